# Faults (suite faults): the blocking driver against a server that misbehaves in every way at every byte.
# `make test` tries some of the bytes, `make soak` all, and it runs longer.
#
#   test-faults  pytest over the Python package, and the driver alone from many C threads
#   tsan-io      the latter under ThreadSanitizer
#   asan-faults  all under ASan and UBSan (make asan does it among others), except fork: in a child
#                of a process with threads ASan's allocator may be locked
SUITES += faults
ASAN += faults

STRESS := $(BUILD)/tests/faults/stress
STRESS_SECONDS ?= 2
PROGRAMS += $(STRESS)

$(STRESS): tests/faults/stress.c $(TKS_LIBS)
	@mkdir -p $(@D)
	$(CC) $(TKS_CPPFLAGS) $(TKS_CFLAGS) $(TKS_LDFLAGS) -o $@ $< $(TKS_LIBS) $(TKS_LDLIBS)

$(BUILD)/tests/faults/interrupted.so: tests/faults/interrupted.c
	@mkdir -p $(@D)
	$(CC) -std=c11 $(filter-out -Wpedantic -Wmissing-prototypes,$(TKS_WARNINGS)) -O1 -fPIC -shared -o $@ $< -ldl

FAULTS_FLAGS = $(PYTEST_FLAGS) $(if $(SANITIZE),--ignore tests/faults/test_fork.py)

.PHONY: test-faults tsan-io run-stress asan-faults
test-faults: python lua $(STRESS) $(BUILD)/tests/http/names.so $(BUILD)/tests/faults/interrupted.so
	@$(PY_PATH) $(RUN) $(PYTHON) -m pytest -q $(FAULTS_FLAGS) tests/faults
	@$(PYTHON) tests/faults/run_stress.py $(STRESS) $(STRESS_SECONDS)

run-stress: $(STRESS)
	@TSAN_OPTIONS=halt_on_error=1 $(PYTHON) tests/faults/run_stress.py $(STRESS) $(STRESS_SECONDS)

tsan-io:
	@$(MAKE) --no-print-directory BUILD=$(BUILD)/tsan CFLAGS="-O1 -g -fsanitize=thread" \
		LDFLAGS=-fsanitize=thread run-stress

asan-faults:
	@$(MAKE) --no-print-directory SANITIZE=1 BUILD=$(BUILD)/asan WERROR=1 test-faults
