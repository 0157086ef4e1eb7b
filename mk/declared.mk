# No script touches a key that is not among its KEYS (suite declared): tests of all classes again, with a MONITOR beside
# their servers (tests/declared/declared_keys.py), until every script ran.
SUITES += declared

DECLARED_BATTERY := $(patsubst %,tests/python/test_%.py,tokens rotation binding reuse audit tokens_end update_of_owner idle migrate \
	tokenstore tokenstore_others tokenstore_server redis_jwt redis_jwt_foreign wrong_types) \
	$(patsubst %,tests/spike/test_%.py,places slots)

.PHONY: test-declared
test-declared: python
	@$(if $(PY_PATH),$(PY_PATH):,PYTHONPATH=)$(CURDIR)/tests/declared:$(CURDIR)/tests/python $(RUN) $(PYTHON) -m pytest -q \
	  $(PYTEST_FLAGS) -p declared_keys tests/declared/test_declared_keys.py $(DECLARED_BATTERY) tests/declared/test_every_script.py
