# What near caches serve while something breaks (suite near): readers in blocking Python, asyncio, LuaJIT and nginx, and
# both ways of tracking, at a real server. `make soak` runs a thousand rounds of each fault, and clusters and Sentinels.
#
#   test-near    a round of each fault of one server
#   near-faults  a table (tests/near/faults.py): FAULTS="--rounds 100 silent" for some
SUITES += near

.PHONY: test-near near-faults
test-near: python lua
	@$(PY_PATH) $(LUA_ENV) $(RUN) $(PYTHON) -m pytest -q $(PYTEST_FLAGS) tests/near

near-faults: python lua
	@$(PY_PATH) $(LUA_ENV) $(PYTHON) tests/near/faults.py $(FAULTS)
