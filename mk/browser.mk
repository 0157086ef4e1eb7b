# Pages in a real browser, Debian's Chromium (suite browser).
#
#   test-browser   the examples: two devices log in, one ends the other
SUITES += browser

.PHONY: test-browser
test-browser: python
	@$(PY_PATH) $(RUN) $(PYTHON) -m pytest -q -rs $(PYTEST_FLAGS) --ignore tests/browser/console tests/browser
