# Checks that stubs, classes, docs and tests agree with the tables of operations (suite operations).
SUITES += operations

PRINT_OPERATIONS := $(BUILD)/tests/operations/print
PROGRAMS += $(PRINT_OPERATIONS)

$(PRINT_OPERATIONS): tests/operations/print.c $(TKS_LIBS) $(FLAGS)
	@mkdir -p $(@D)
	$(CC) $(TKS_CPPFLAGS) $(TKS_CFLAGS) $(TKS_LDFLAGS) -o $@ $< $(TKS_LIBS) $(TKS_LDLIBS)

.PHONY: test-operations
test-operations: python lua $(PRINT_OPERATIONS)
	@$(PY_PATH) TOKENSTORE_PRINT_OPERATIONS=$(abspath $(PRINT_OPERATIONS)) $(LUA_ENV) $(RUN) \
	  $(PYTHON) -m pytest -q -rs $(PYTEST_FLAGS) tests/operations
