# The C tests of the private server (suite embedded), on redis-server and again on valkey-server. Included
# by the Makefile after mk/tests-c.mk, whose rule compiles them.

SUITES += embedded
PROGRAMS += $(TESTS_C)/embedded
ASAN += embedded

EMBEDDED_SRC := tests/c/test.c $(sort $(wildcard tests/c/*embedded*.c)) tests/c/alloc.c
EMBEDDED_OBJ := $(EMBEDDED_SRC:tests/c/%.c=$(TESTS_C)/%.o)

$(TESTS_C)/embedded: $(EMBEDDED_OBJ) $(TKS_LIBS)
	$(CC) $(TKS_LDFLAGS) -o $@ $^ $(TKS_LDLIBS)

.PHONY: test-embedded
test-embedded: $(TESTS_C)/embedded
	@TEST_SERVER=redis-server $(TESTS_C)/embedded
	@if command -v valkey-server >/dev/null; then TEST_SERVER=valkey-server $(TESTS_C)/embedded; \
	else echo "SKIP the embedded suite on valkey-server, which is not installed"; fi
