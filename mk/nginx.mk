# The tests in a real nginx (suite nginx): the Lua module over cosockets. They want nginx with its Lua module,
# which scripts/setup installs; where there is none, nearly all of them are skipped.
SUITES += nginx

.PHONY: test-nginx
test-nginx: lua python
	@$(PY_PATH) $(LUA_ENV) $(PYTHON) -m pytest -q -rs $(PYTEST_FLAGS) tests/nginx
