# What is measured, and who exports it (suite metrics): Prometheus, OpenTelemetry, nginx; the dashboard against real names; no
# secret in any of them.
#
#   test-metrics  all of it
#   metrics-cost  what a `get` costs more: instructions under callgrind, with and without (tests/metrics/cost.py)
SUITES += metrics

.PHONY: test-metrics metrics-cost
test-metrics: python lua
	@$(PY_PATH) $(LUA_ENV) $(RUN) $(PYTHON) -m pytest -q -rs $(PYTEST_FLAGS) tests/metrics

metrics-cost: python
	@$(PY_PATH) $(PYTHON) tests/metrics/cost.py
