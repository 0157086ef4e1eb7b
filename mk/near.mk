# What near caches serve while something breaks (suite near): readers in blocking Python, asyncio, LuaJIT and nginx, and
# both ways of tracking, at real servers. `make soak` runs a thousand rounds of each fault, with clusters and Sentinels.
#
#   test-near    two rounds of some
#   near-faults  a table (tests/near/faults.py): FAULTS="--rounds 100 silent" for some
SUITES += near

.PHONY: test-near near-faults
test-near: python lua
	@$(PY_PATH) $(LUA_ENV) $(RUN) $(PYTHON) -m pytest -q $(PYTEST_FLAGS) tests/near

near-faults: python lua
	@$(PY_PATH) $(LUA_ENV) $(PYTHON) tests/near/faults.py $(FAULTS)
