# Interoperability with the Node packages (suite interop): the real ones, from npm, and ours on one
# redis-server. Skipped without Node.
#
#   test-interop   all
SUITES += interop

.PHONY: test-interop
test-interop: python lua
	@$(PY_PATH) $(LUA_ENV) $(RUN) $(PYTHON) -m pytest -q $(PYTEST_FLAGS) tests/interop
