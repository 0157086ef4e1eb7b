# The tests in a real nginx (suite nginx): the Lua module with cosockets. They need nginx with its Lua module,
# which scripts/setup installs; without it, nearly all are skipped.
SUITES += nginx

.PHONY: test-nginx
test-nginx: lua python
	@$(PY_PATH) $(LUA_ENV) $(PYTHON) -m pytest -q -rs $(PYTEST_FLAGS) tests/nginx
