# Checks that stubs, classes, docs and tests agree with the tables of operations (suite operations).
SUITES += operations

PRINT_OPERATIONS := $(BUILD)/tests/operations/print
RAW_KEY := $(BUILD)/tests/operations/raw_key
PROGRAMS += $(PRINT_OPERATIONS) $(RAW_KEY)

$(PRINT_OPERATIONS) $(RAW_KEY): $(BUILD)/%: %.c $(TKS_LIBS) $(FLAGS)
	@mkdir -p $(@D)
	$(CC) $(TKS_CPPFLAGS) $(TKS_CFLAGS) $(TKS_LDFLAGS) -o $@ $< $(TKS_LIBS) $(TKS_LDLIBS)

.PHONY: test-operations
test-operations: python lua $(PRINT_OPERATIONS) $(RAW_KEY)
	@$(PY_PATH) TOKENSTORE_PRINT_OPERATIONS=$(abspath $(PRINT_OPERATIONS)) \
	  TOKENSTORE_RAW_KEY=$(abspath $(RAW_KEY)) $(LUA_ENV) $(RUN) \
	  $(PYTHON) -m pytest -q -rs $(PYTEST_FLAGS) tests/operations
