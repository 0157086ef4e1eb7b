# Faults (suite faults): a server that misbehaves in every way at every byte, the blocking driver before
# it. `make soak` tries more offsets and runs longer.
#
#   test-faults  pytest over the Python package, and the driver alone from many C threads
#   tsan-io      the latter under ThreadSanitizer
SUITES += faults

STRESS := $(BUILD)/tests/faults/stress
STRESS_SECONDS ?= 2

$(STRESS): tests/faults/stress.c $(TKS_LIBS)
	@mkdir -p $(@D)
	$(CC) $(TKS_CPPFLAGS) $(TKS_CFLAGS) $(TKS_LDFLAGS) -o $@ $< $(TKS_LIBS) $(TKS_LDLIBS)

.PHONY: test-faults tsan-io run-stress
test-faults: python $(STRESS)
	@$(PY_PATH) $(RUN) $(PYTHON) -m pytest -q $(PYTEST_FLAGS) tests/faults
	@$(PYTHON) tests/faults/run_stress.py $(STRESS) $(STRESS_SECONDS)

run-stress: $(STRESS)
	@TSAN_OPTIONS=halt_on_error=1 $(PYTHON) tests/faults/run_stress.py $(STRESS) $(STRESS_SECONDS)

tsan-io:
	@$(MAKE) --no-print-directory BUILD=$(BUILD)/tsan CFLAGS="-O1 -g -fsanitize=thread" \
		LDFLAGS=-fsanitize=thread run-stress
