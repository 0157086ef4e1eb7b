# The session console (suite console): its pages over WSGI and ASGI, some on a cluster, as a process, and in Chromium.
#
#   test-console       all
#   console-pictures   docs/images/console-*.png anew
SUITES += console

.PHONY: test-console console-pictures
test-console: python
	@$(PY_PATH) $(RUN) $(PYTHON) -m pytest -q $(PYTEST_FLAGS) tests/console
	@TOKENSTORE_TEST_TOPOLOGY=cluster $(PY_PATH) $(RUN) $(PYTHON) -m pytest -q $(PYTEST_FLAGS) \
	  -k "overview or hundred or the_others or actor" tests/console/test_pages.py tests/console/test_history.py
	@$(PY_PATH) $(RUN) $(PYTHON) -m pytest -q $(PYTEST_FLAGS) -k "not pictures" tests/browser/console

console-pictures: python
	@TOKENSTORE_PICTURES=1 $(PYTHON) -m pytest -q -k pictures tests/browser/console
