# Spike's tests (suite spike): pytest over the Python package and the Lua module, before a real
# authorization server (tests/oauth: oidc-provider on Node), one that does as a test says, and a real
# redis-server. Without Node what needs the former is skipped and says so.
#
#   test-spike   all of it
#   asan-spike   the same under ASan and UBSan (make asan does it among others), but what forks, and what
#                wants eight processes with 64 threads each
SUITES += spike
ASAN += spike

SPIKE_FLAGS = $(PYTEST_FLAGS) $(if $(SANITIZE),-k "not fork and not ten_requests")

.PHONY: test-spike asan-spike
test-spike: python lua
	@$(PY_PATH) $(LUA_ENV) $(RUN) $(PYTHON) -m pytest -q $(SPIKE_FLAGS) tests/spike

asan-spike:
	@$(MAKE) --no-print-directory SANITIZE=1 BUILD=$(BUILD)/asan WERROR=1 test-spike
