# The tests of all classes on other servers than the redis-server on PATH. TOKENSTORE_TEST_SERVER is the
# server binary for the tests, in every language.
#
#   test-old-server  some of them on Redis 6.2, which scripts/setup fetches (suite old-server)
#   test-servers     all of them on every installed server; SERVERS="/path/to/redis-server" for others
SUITES += old-server

OLD_SERVER := $(VENV)/servers/redis-server-6.2
SERVERS ?= $(wildcard $(OLD_SERVER)) $(foreach s,redis-server valkey-server,$(shell command -v $(s)))

SERVER_BATTERY := $(ASYNCIO_BATTERY) $(RACES) $(patsubst %,tests/python/test_%.py,migrate owner_hash secrecy session_events \
	threads tokenstore_server upgrade)
# test_servers.py starts a 6.2 itself, in other suites.
OLD_BATTERY := $(patsubst %,tests/python/test_%.py,errors limits many migrate owner_hash redis_jwt sessions tokens tokens_end tokenstore \
	tokenstore_server)
OLD_ASYNCIO := $(if $(TOKENSTORE_SOAK),$(filter $(OLD_BATTERY),$(ASYNCIO_BATTERY)),$(patsubst %,tests/python/test_%.py, \
	many sessions tokens tokenstore))
ON_SERVER := -p no:cacheprovider

.PHONY: test-old-server test-servers
test-old-server: python lua
	@if [ ! -x $(OLD_SERVER) ]; then \
	  echo "SKIP old-server: there is no Redis 6.2 for this machine"; \
	  $(PY_PATH) $(RUN) $(PYTHON) -m pytest -q $(PYTEST_FLAGS) tests/python/test_servers.py; exit; \
	fi; export TOKENSTORE_TEST_SERVER=$(abspath $(OLD_SERVER)) && \
	$(PY_PATH) $(RUN) $(PYTHON) -m pytest -q $(PYTEST_FLAGS) $(ON_SERVER) $(OLD_BATTERY) && \
	$(ASYNCIO_PYTEST) $(ASYNCIO_SHIM) $(ON_SERVER) $(OLD_ASYNCIO) && \
	TEST_ONCE=1 $(LUA_ENV) $(RUN) sh tests/lua/run.sh $(firstword $(LUA_INTERPRETERS))

test-servers: python lua
	@failed=; for server in $(SERVERS); do \
	  case $$server in /*) ;; *) server=$(CURDIR)/$$server ;; esac; export TOKENSTORE_TEST_SERVER=$$server; \
	  echo "on $$server: $$($$server --version)"; \
	  $(PY_PATH) $(RUN) $(PYTHON) -m pytest -q $(PYTEST_FLAGS) $(ON_SERVER) $(SERVER_BATTERY) || failed=1; \
	  $(ASYNCIO_PYTEST) $(ASYNCIO_SHIM) $(ON_SERVER) $(ASYNCIO_BATTERY) $(ASYNCIO_RACES) || failed=1; \
	  for lua in $(LUA_INTERPRETERS); do TEST_ONCE=1 $(LUA_ENV) $(RUN) sh tests/lua/run.sh $$lua || failed=1; done; \
	  $(PY_PATH) $(LUA_ENV) $(PYTHON) -m pytest -q -rs $(PYTEST_FLAGS) \
	    tests/nginx/test_battery.py tests/nginx/test_guard.py || failed=1; \
	done; [ -z "$$failed" ]
