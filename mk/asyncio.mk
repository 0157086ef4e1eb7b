# tokenstore.asyncio (suite asyncio): its own tests; and, unchanged, those of the blocking classes and of the
# faults (tests/asyncio/blocking_shim.py), on asyncio's loop, the first also on uvloop's. `make soak` runs
# the faults under TLS too, and longer storms.
#
#   test-asyncio  all; PYTEST_FLAGS="-k cancel" for some
#   asan-asyncio  the same under ASan and UBSan (make asan does it among others)
#   fuzz-connection  calls on a connection against a server that sends anything (tests/fuzz/python)
SUITES += asyncio
ASAN += asyncio
FUZZ += fuzz-connection

ASYNCIO_PATH := $(if $(PY_PATH),$(PY_PATH):,PYTHONPATH=)$(CURDIR)/tests/asyncio
ASYNCIO_PYTEST = $(ASYNCIO_PATH) $(RUN) $(PYTHON) -m pytest -q $(PYTEST_FLAGS)

# Not applicable: threads that wait for a pool, or during a command that blocks at the server; a client that
# is garbage collected without a warning; a child that has no thread with the loop.
ASYNCIO_SHIM := -p blocking_shim \
	--deselect tests/python/test_client.py::test_pool_size \
	--deselect tests/python/test_client.py::test_close_while_others_wait \
	--deselect tests/python/test_threads.py::test_calls_wait_side_by_side \
	--deselect tests/python/test_memory.py::test_cycles_through_a_client_are_collected \
	--deselect tests/python/test_near_cache.py::test_a_forked_child

ASYNCIO_BATTERY := $(patsubst %,tests/python/test_%.py,acl binding call_key client data durability errors lifetimes limits many near_cache near_credentials near_keys near_views options presented pages redis_jwt reuse rotation servers sessions \
	tls tokens tokens_end tokenstore tokenstore_others url values $(if $(TOKENSTORE_SOAK),threads upgrade))
ASYNCIO_ON_UVLOOP := $(if $(TOKENSTORE_SOAK),$(ASYNCIO_BATTERY),$(patsubst %,tests/python/test_%.py,client many tls tokens))
# They fork, and with a loop in a thread ASan's allocator may be locked in the child. All of them take minutes, and are
# about the scripts; the one that loses connections is about drivers too.
RACES := $(if $(TOKENSTORE_SOAK),$(wildcard tests/python/test_races*.py),$(patsubst %,tests/python/test_%.py, \
	races_rotation races_page))
ASYNCIO_RACES := $(if $(SANITIZE),,$(if $(TOKENSTORE_SOAK),$(RACES), \
	'tests/python/test_races_rotation.py::test_a_chain_of_rotations_loses_nobody[lost connections]'))
ASYNCIO_FAULTS := $(patsubst %,tests/faults/test_%.py,certificates crash deadlines greeting replies reply_size script_flush)
# Without the tests that restart the authorization server, for seconds of Node: what happens then is the core's.
ASYNCIO_SPIKE := $(patsubst %,tests/spike/test_%.py,creator options provider) \
	$(if $(TOKENSTORE_SOAK),,-k 'not restart and not with_the_servers_keys')

# It takes seconds, for the core's clocks; `make test-servers` has it.
ASYNCIO_LATER := $(if $(TOKENSTORE_SOAK),,tests/python/test_lifetimes.py)

.PHONY: test-asyncio asan-asyncio
test-asyncio: python $(BUILD)/tests/http/names.so
	@$(ASYNCIO_PYTEST) tests/asyncio
	@$(ASYNCIO_PYTEST) $(ASYNCIO_SHIM) $(filter-out $(ASYNCIO_LATER),$(ASYNCIO_BATTERY)) $(ASYNCIO_RACES)
	@TOKENSTORE_TEST_LOOP=uvloop $(ASYNCIO_PYTEST) $(ASYNCIO_SHIM) $(ASYNCIO_ON_UVLOOP)
	@$(ASYNCIO_PYTEST) -p blocking_shim $(ASYNCIO_SPIKE)
	@$(ASYNCIO_PYTEST) $(ASYNCIO_SHIM) $(if $(TOKENSTORE_SOAK),,-k 'not tls or turned_away') $(ASYNCIO_FAULTS)

asan-asyncio:
	@$(MAKE) --no-print-directory SANITIZE=1 BUILD=$(BUILD)/asan WERROR=1 test-asyncio

# ---- the fuzzer: an interpreter with the extension linked in -------------------------------------------

PY_CONFIG = $(shell $(PYTHON) -c 'import sysconfig as s; print(s.get_path("include"))')
PY_EMBED = $(shell $(PYTHON) -c 'import sysconfig as s; v = s.get_config_var; print("-L" + v("LIBDIR"), "-lpython" + v("LDVERSION"))')
FUZZ_GLUE_OBJ := $(patsubst bindings/python/src/%.c,$(FUZZ_DIR)/glue/%.o,$(sort $(wildcard bindings/python/src/*.c)))
FUZZ_PY_FLAGS = $(TKS_CPPFLAGS) -isystem $(PY_CONFIG) $(filter-out -Wpedantic -Wmissing-prototypes,$(TKS_WARNINGS))

$(FUZZ_DIR)/glue/%.o: bindings/python/src/%.c
	@mkdir -p $(@D)
	$(CLANG) $(FUZZ_PY_FLAGS) $(FUZZ_FLAGS) -MMD -MP -c -o $@ $<

$(FUZZ_DIR)/python/%.o: tests/fuzz/python/%.c
	@mkdir -p $(@D)
	$(CLANG) $(FUZZ_PY_FLAGS) $(FUZZ_FLAGS) -MMD -MP -c -o $@ $<

$(FUZZ_DIR)/fuzz_connection: $(FUZZ_DIR)/python/fuzz_connection.o $(FUZZ_GLUE_OBJ) $(IO_SRC:core/%.c=$(FUZZ_DIR)/core/%.o) $(FUZZ_CORE_OBJ)
	$(CLANG) -fsanitize=fuzzer,address,undefined -o $@ $^ $(TKS_LDLIBS) $(PY_EMBED)

-include $(wildcard $(FUZZ_DIR)/glue/*.d $(FUZZ_DIR)/python/*.d $(FUZZ_DIR)/core/io/*.d)

# An interpreter does not free all memory: test_storm.py detects leaks.
.PHONY: fuzz-connection
fuzz-connection: $(FUZZ_DIR)/fuzz_connection
	@mkdir -p $(FUZZ_DIR)/found/connection
	@echo "fuzz connection: $(FUZZ_SECONDS) s"
	@PYTHONMALLOC=malloc ASAN_OPTIONS=detect_leaks=0 $(FUZZ_DIR)/fuzz_connection -max_total_time=$(FUZZ_SECONDS) \
		-timeout=10 -rss_limit_mb=2048 -max_len=4096 -detect_leaks=0 -print_final_stats=1 -verbosity=0 \
		-artifact_prefix=$(FUZZ_DIR)/connection- $(FUZZ_DIR)/found/connection tests/fuzz/corpus/connection
