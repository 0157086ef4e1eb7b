# Installing (suite install): what `make install` puts where, what a failed build says, which packages each level of
# scripts/setup wants.
SUITES += install

.PHONY: test-install
test-install: lua python
	@TOKENSTORE_BUILD=$(BUILD) $(PYTHON) -m pytest -q $(PYTEST_FLAGS) tests/install
