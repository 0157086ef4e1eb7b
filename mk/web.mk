# The plug-ins for web frameworks (suite web): each rule of tokenstore.web in each of them, the frameworks' own tests of their
# sessions, from the sdists that are installed, and servers with several processes.
#
#   test-web   all, and the rules on a cluster in Starlette and Django, and behind Sentinels in Flask and Django (`make soak`:
#              in all of them); PYTEST_FLAGS="-k flask" for some
SUITES += web

# $(call web_contract,TOPOLOGY,WHICH PLUG-INS)
web_contract = TOKENSTORE_TEST_TOPOLOGY=$(1) $(PY_PATH) $(RUN) $(PYTHON) -m pytest -q $(PYTEST_FLAGS) \
	-k "$(2)" tests/web/test_contract.py tests/web/test_django_contract.py

.PHONY: test-web
test-web: python
	@$(PY_PATH) $(RUN) $(PYTHON) -m pytest -q -rs $(PYTEST_FLAGS) tests/web
	@$(call web_contract,cluster,$(if $(TOKENSTORE_SOAK),,starlette or asgi-async))
	@$(call web_contract,sentinel,$(if $(TOKENSTORE_SOAK),,flask or wsgi))
