# Spike's tests (suite spike): pytest over the Python package and the Lua module, before a real
# authorization server (tests/oauth: oidc-provider on Node), one that does as a test says, and a real
# redis-server. Without Node what needs the former is skipped and says so.
#
#   test-spike   all of it
#   asan-spike   the same under ASan and UBSan, but what forks
SUITES += spike

.PHONY: test-spike asan-spike
test-spike: python lua
	@$(PY_PATH) $(LUA_ENV) $(RUN) $(PYTHON) -m pytest -q $(PYTEST_FLAGS) tests/spike

asan-spike:
	@$(MAKE) --no-print-directory SANITIZE=1 BUILD=$(BUILD)/asan WERROR=1 \
		PYTEST_FLAGS="$(PYTEST_FLAGS) -k 'not fork and not ten_requests'" test-spike
