# tokenstore.asyncio (suite asyncio): its own tests; and over it, unchanged, those of the blocking classes and of
# the faults (tests/asyncio/blocking_shim.py), on asyncio's loop and the first also on uvloop's. `make soak` runs
# the faults under TLS too, and longer storms.
#
#   test-asyncio  all of it; PYTEST_FLAGS="-k cancel" for some
#   asan-asyncio  the same under ASan and UBSan, but what forks
SUITES += asyncio
ASAN += asyncio

ASYNCIO_PATH := $(if $(PY_PATH),$(PY_PATH):,PYTHONPATH=)$(CURDIR)/tests/asyncio
ASYNCIO_PYTEST = $(ASYNCIO_PATH) $(RUN) $(PYTHON) -m pytest -q $(PYTEST_FLAGS)

# Not of this driver: threads that wait for a pool, or beside a command that waits at the server; a client that
# is collected without a word.
ASYNCIO_SHIM := -p blocking_shim \
	--deselect tests/python/test_client.py::test_pool_size \
	--deselect tests/python/test_client.py::test_close_while_others_wait \
	--deselect tests/python/test_threads.py::test_calls_wait_side_by_side \
	--deselect tests/python/test_memory.py::test_cycles_through_a_client_are_collected

ASYNCIO_BATTERY := $(patsubst %,tests/python/test_%.py,acl client data errors limits many options redis_jwt servers sessions \
	threads tls tokens tokenstore tokenstore_others url values)
ASYNCIO_ON_UVLOOP := $(if $(TOKENSTORE_SOAK),$(ASYNCIO_BATTERY),$(patsubst %,tests/python/test_%.py,client many \
	sessions tls tokens tokenstore))
ASYNCIO_FAULTS := $(patsubst %,tests/faults/test_%.py,certificates crash deadlines greeting replies script_flush)
ASYNCIO_SPIKE := $(patsubst %,tests/spike/test_%.py,creator options provider)

.PHONY: test-asyncio asan-asyncio
test-asyncio: python
	@$(ASYNCIO_PYTEST) tests/asyncio
	@$(ASYNCIO_PYTEST) $(ASYNCIO_SHIM) $(ASYNCIO_BATTERY)
	@TOKENSTORE_TEST_LOOP=uvloop $(ASYNCIO_PYTEST) $(ASYNCIO_SHIM) $(ASYNCIO_ON_UVLOOP)
	@$(ASYNCIO_PYTEST) -p blocking_shim $(ASYNCIO_SPIKE)
	@$(ASYNCIO_PYTEST) $(ASYNCIO_SHIM) $(if $(TOKENSTORE_SOAK),,-k 'not tls') $(ASYNCIO_FAULTS)

asan-asyncio:
	@$(MAKE) --no-print-directory SANITIZE=1 BUILD=$(BUILD)/asan WERROR=1 \
		PYTEST_FLAGS="$(PYTEST_FLAGS) -k 'not fork'" test-asyncio
