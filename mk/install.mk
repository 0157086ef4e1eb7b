# Installing (suite install): the files of `make install`, the message of a failed build, the packages of each
# level of scripts/setup.
SUITES += install

.PHONY: test-install
test-install: lua python
	@TOKENSTORE_BUILD=$(BUILD) $(PYTHON) -m pytest -q $(PYTEST_FLAGS) tests/install
