# A cluster of six real nodes (suite cluster): blocking Python, the same tests on asyncio, Lua, and nginx; and some of the
# tests of all classes on a cluster of three primaries (tests/python/topologies.py).
#
#   test-cluster  all; PYTEST_FLAGS="-k failover" for some
#   test-batteries  the tests of all classes in every driver, on a cluster and behind Sentinels: twenty minutes;
#                   battery-cluster and battery-sentinel for one of them
#   cluster-faults  a table of faults under load (tests/cluster/faults.py): minutes; FAULTS="--driver asyncio kill" for some
SUITES += cluster

python_tests = $(patsubst %,tests/python/test_%.py,$(1))
BATTERY := tokens tokens_end binding reuse rotation update update_of_owner many pages presented values idle sessions \
	owner_hash tokenstore tokenstore_others tokenstore_server redis_jwt redis_jwt_claims redis_jwt_foreign redis_jwt_races \
	redis_jwt_request session_events session_callbacks foreign_json call_key data errors limits
BATTERY_ALONE := hostile model races races_late races_page races_rotation wrong_types
BATTERY_SPIKE := $(shell grep -l redis $(wildcard tests/spike/test_*.py) /dev/null)
BATTERY_LUA := data tokens rotation pages sessions tokenstore redis_jwt client arguments names secrets cookie durability vectors
QUICK := tokens tokens_end rotation update_of_owner values sessions tokenstore tokenstore_others redis_jwt redis_jwt_foreign

# $(call battery,TOPOLOGY,DRIVER'S PYTEST,TESTS)
battery = TOKENSTORE_TEST_TOPOLOGY=$(1) $(LUA_ENV) $(2) $(3)
lua_battery = TOKENSTORE_TEST_TOPOLOGY=$(1) TEST_ONCE=1 $(LUA_ENV) $(RUN) $(PYTHON) tests/python/topologies.py sh tests/lua/run.sh
BLOCKING_PYTEST = $(PY_PATH) $(RUN) $(PYTHON) -m pytest -q $(PYTEST_FLAGS)

.PHONY: test-cluster test-batteries battery-cluster battery-sentinel cluster-faults
test-batteries: battery-cluster battery-sentinel

battery-cluster battery-sentinel: battery-%: python lua
	@$(call battery,$*,$(BLOCKING_PYTEST),$(call python_tests,$(BATTERY) $(BATTERY_ALONE)))
	@$(call battery,$*,$(BLOCKING_PYTEST),$(BATTERY_SPIKE))
	@$(call battery,$*,$(ASYNCIO_PYTEST),-p blocking_shim $(call python_tests,$(BATTERY)))
	@$(call battery,$*,$(BLOCKING_PYTEST),tests/nginx/test_battery.py)
	@for lua in $(LUA_INTERPRETERS); do $(call lua_battery,$*) $$lua $(BATTERY_LUA) || exit 1; done

test-cluster: python lua
	@$(PY_PATH) $(LUA_ENV) $(RUN) $(PYTHON) -m pytest -q $(PYTEST_FLAGS) tests/cluster
	@$(ASYNCIO_PYTEST) -p blocking_shim tests/cluster/test_cluster.py tests/cluster/test_moving.py tests/cluster/test_primaries.py
	@$(call battery,cluster,$(BLOCKING_PYTEST),$(call python_tests,$(QUICK)))
	@$(call battery,cluster,$(ASYNCIO_PYTEST),-p blocking_shim $(call python_tests,tokens rotation tokenstore))
	@$(call battery,cluster,$(BLOCKING_PYTEST),tests/nginx/test_battery.py)
	@$(call lua_battery,cluster) $(firstword $(LUA_INTERPRETERS)) tokens rotation tokenstore redis_jwt

cluster-faults: python
	@$(PY_PATH) $(PYTHON) tests/cluster/faults.py $(FAULTS)
