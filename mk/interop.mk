# The Node packages that tokenstore shares a database with, or takes over from (suite interop): the real ones,
# from npm, and ours on one redis-server. Without Node they are skipped and say so.
#
#   test-interop   all of it
SUITES += interop

.PHONY: test-interop
test-interop: python lua
	@$(PY_PATH) $(LUA_ENV) $(RUN) $(PYTHON) -m pytest -q $(PYTEST_FLAGS) tests/interop
