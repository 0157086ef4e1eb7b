# The HTTP driver's tests (suite http): a small program with the driver, controlled by pytest, which starts
# the servers.
#
#   test-http      against good and bad servers, plain and TLS, with a test CA
#   asan-http      the same under ASan and UBSan, leaks too (make asan does it among others)
#   valgrind-http  the same under valgrind; takes a quarter of an hour
SUITES += http
ASAN += http

HTTP_TESTS := $(BUILD)/tests/http

PROGRAMS += $(HTTP_TESTS)/client
$(HTTP_TESTS)/client: tests/http/client.c $(TKS_LIBS) $(FLAGS)
	@mkdir -p $(@D)
	$(CC) $(TKS_CPPFLAGS) -Icore/io $(TKS_CFLAGS) $(TKS_LDFLAGS) -o $@ $< $(TKS_LIBS) $(TKS_LDLIBS)

# For LD_PRELOAD: a resolver that hangs, failing allocations.
HTTP_PRELOADED := $(HTTP_TESTS)/names.so $(HTTP_TESTS)/failing_memory.so
$(HTTP_PRELOADED): $(HTTP_TESTS)/%.so: tests/http/%.c
	@mkdir -p $(@D)
	$(CC) -std=c11 $(filter-out -Wpedantic -Wmissing-prototypes,$(TKS_WARNINGS)) -O1 -fPIC -shared -o $@ $< -ldl

.PHONY: test-http asan-http valgrind-http
test-http: $(HTTP_TESTS)/client $(HTTP_PRELOADED)
	@TOKENSTORE_HTTP_SLOW=$(if $(SANITIZE),1) $(PYTHON) -m pytest -q $(PYTEST_FLAGS) tests/http

asan-http:
	@$(MAKE) --no-print-directory SANITIZE=1 BUILD=$(BUILD)/asan WERROR=1 test-http

valgrind-http:
	@TOKENSTORE_HTTP_RUN="$(VALGRIND_RUN) --leak-check=full --show-leak-kinds=definite" \
		$(MAKE) --no-print-directory test-http
