# The plug-ins for web frameworks (suite web): each rule of tokenstore.web in each of them, the frameworks' own tests of their
# sessions, from the sdists that are installed, and servers with several processes.
#
#   test-web   all, and the rules on a cluster and behind Sentinels in Starlette, Flask and Django; PYTEST_FLAGS="-k flask" for some
SUITES += web

.PHONY: test-web
test-web: python
	@$(PY_PATH) $(RUN) $(PYTHON) -m pytest -q -rs $(PYTEST_FLAGS) tests/web
	@for topology in cluster sentinel; do TOKENSTORE_TEST_TOPOLOGY=$$topology $(PY_PATH) $(RUN) $(PYTHON) -m pytest -q \
	  $(PYTEST_FLAGS) -k "starlette or flask or wsgi or asgi-async" tests/web/test_contract.py tests/web/test_django_contract.py || exit 1; done
