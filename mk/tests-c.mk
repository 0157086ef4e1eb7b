# The C tests of the sans-I/O core (suite c) and the fuzzers. Included by the Makefile.
#
#   test-c      unit tests and vectors, then with every allocation failing in turn
#   asan-c      the same under ASan and UBSan (make asan does it among others)
#   valgrind-c  the unit tests under valgrind (make valgrind does it among others)
#   fuzz-c      every fuzzer for FUZZ_SECONDS; fuzz-NAME runs one
#
# Nothing here links the I/O library: these tests must need only the core.

SUITES += c
ASAN += c
VALGRIND += valgrind-c
FUZZ += fuzz-c

CLANG ?= clang
TESTS_C := $(BUILD)/tests/c
PROGRAMS += $(TESTS_C)/core $(TESTS_C)/alloc
TESTS_C_LDLIBS := -lhiredis -lcjson -lsodium -lcrypto -lm -lpthread

# Tests with separate rules: of the I/O part, and of failing allocations.
TESTS_C_OTHER := $(wildcard tests/c/*embedded*.c tests/c/alloc*.c)
TESTS_C_SRC := $(filter-out $(TESTS_C_OTHER),$(sort $(wildcard tests/c/*.c)))
TESTS_C_OBJ := $(TESTS_C_SRC:tests/c/%.c=$(TESTS_C)/%.o)
ALLOC_OBJ := $(patsubst tests/c/%.c,$(TESTS_C)/%.o,$(sort $(wildcard tests/c/alloc*.c tests/c/script_*.c)) \
	tests/c/test.c tests/c/vectors.c tests/c/cluster_help.c)

$(TESTS_C)/%.o: tests/c/%.c $(FLAGS)
	@mkdir -p $(@D)
	$(CC) $(TKS_CPPFLAGS) -Itests/c $(TKS_CFLAGS) -MMD -MP -c -o $@ $<

$(TESTS_C)/core: $(TESTS_C_OBJ) $(CORE_LIB)
	$(CC) $(TKS_LDFLAGS) -o $@ $^ $(TESTS_C_LDLIBS)

$(TESTS_C)/alloc: $(ALLOC_OBJ) $(CORE_LIB)
	$(CC) $(TKS_LDFLAGS) -o $@ $^ $(TESTS_C_LDLIBS)

-include $(wildcard $(TESTS_C)/*.d)

# A locale with a decimal comma; without localedef (not glibc) the test that needs it is skipped. localedef
# exits with 1 after a warning.
LOCALES := $(BUILD)/locale
$(LOCALES)/made: tests/c/comma.locale
	@mkdir -p $(@D)
	-@localedef --quiet -c -i $< $(LOCALES)/tks_comma 2>/dev/null || true
	@touch $@

.PHONY: test-c asan-c valgrind-c fuzz-c
test-c: $(TESTS_C)/core $(TESTS_C)/alloc $(LOCALES)/made
	@LOCPATH=$(LOCALES) $(TESTS_C)/core
	@$(TESTS_C)/alloc

asan-c:
	@$(MAKE) --no-print-directory SANITIZE=1 BUILD=$(BUILD)/asan test-c

valgrind-c: $(TESTS_C)/core $(LOCALES)/made
	@LOCPATH=$(LOCALES) $(VALGRIND_RUN) --leak-check=full $(TESTS_C)/core

# ---- fuzzers -----------------------------------------------------------------------------------------

FUZZ_DIR := $(BUILD)/fuzz
FUZZ_FLAGS := -g -O1 -fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=all \
	-fno-omit-frame-pointer
FUZZ_CORE_OBJ := $(CORE_SRC:core/%.c=$(FUZZ_DIR)/core/%.o) $(FUZZ_DIR)/core/scripts.o
FUZZERS := $(patsubst tests/fuzz/fuzz_%.c,%,$(sort $(wildcard tests/fuzz/fuzz_*.c)))

$(FUZZ_DIR)/core/%.o: core/%.c
	@mkdir -p $(@D)
	$(CLANG) $(TKS_CPPFLAGS) -std=c11 $(FUZZ_FLAGS) -MMD -MP -c -o $@ $<

$(FUZZ_DIR)/core/scripts.o: $(BUILD)/scripts.c
	@mkdir -p $(@D)
	$(CLANG) $(TKS_CPPFLAGS) -std=c11 $(FUZZ_FLAGS) -MMD -MP -c -o $@ $<

$(FUZZ_DIR)/%.o: tests/fuzz/%.c
	@mkdir -p $(@D)
	$(CLANG) $(TKS_CPPFLAGS) -std=c11 $(TKS_WARNINGS) $(FUZZ_FLAGS) -MMD -MP -c -o $@ $<

$(FUZZ_DIR)/fuzz_%: $(FUZZ_DIR)/fuzz_%.o $(FUZZ_CORE_OBJ)
	$(CLANG) -fsanitize=fuzzer,address,undefined -o $@ $^ $(TESTS_C_LDLIBS)

-include $(wildcard $(FUZZ_DIR)/*.d $(FUZZ_DIR)/core/*.d $(FUZZ_DIR)/core/*/*.d $(FUZZ_DIR)/core/*/*/*.d)
.PRECIOUS: $(FUZZ_DIR)/%.o $(FUZZ_DIR)/core/%.o

# New inputs go to the first directory; the committed corpus is only read.
.PHONY: $(FUZZERS:%=fuzz-%)
$(FUZZERS:%=fuzz-%): fuzz-%: $(FUZZ_DIR)/fuzz_%
	@mkdir -p $(FUZZ_DIR)/found/$*
	@echo "fuzz $*: $(FUZZ_SECONDS) s"
	@$(FUZZ_DIR)/fuzz_$* -max_total_time=$(FUZZ_SECONDS) -timeout=10 -rss_limit_mb=2048 -max_len=4096 \
		-print_final_stats=1 -verbosity=0 -artifact_prefix=$(FUZZ_DIR)/$*- \
		$(FUZZ_DIR)/found/$* tests/fuzz/corpus/$*

fuzz-c: $(FUZZERS:%=fuzz-%)
	@echo "$(words $(FUZZERS)) passed: $(FUZZERS)"
