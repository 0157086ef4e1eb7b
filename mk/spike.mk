# Spike's tests (suite spike): pytest for the Python package and the Lua module, against a real authorization
# server (tests/oauth: oidc-provider on Node), a scripted one, and a real redis-server. Without Node some
# tests are skipped.
#
#   test-spike   all
#   asan-spike   the same under ASan and UBSan (make asan does it among others), except tests that fork or
#                need eight processes with 64 threads each
#   tsan-spike   readers of a token while it is renewed, under ThreadSanitizer
SUITES += spike
ASAN += spike

SPIKE_FLAGS = $(PYTEST_FLAGS) $(if $(SANITIZE),-k "not fork and not ten_requests")

SPIKE_THREADS := $(BUILD)/bench/spike_threads
SPIKE_READS ?= 200000
# They come up to five seconds apart, and the readers use both cores meanwhile.
SPIKE_RENEWALS ?= $(if $(TOKENSTORE_SOAK),9,1)
PROGRAMS += $(SPIKE_THREADS)

.PHONY: test-spike asan-spike tsan-spike run-spike-threads
test-spike: python lua $(SPIKE_THREADS)
	@$(MAKE) --no-print-directory run-spike-threads
	@$(PY_PATH) $(LUA_ENV) $(RUN) $(PYTHON) -m pytest -q $(SPIKE_FLAGS) tests/spike

asan-spike:
	@$(MAKE) --no-print-directory SANITIZE=1 BUILD=$(BUILD)/asan WERROR=1 test-spike

run-spike-threads: $(SPIKE_THREADS)
	@$(PY_PATH) $(RUN) $(PYTHON) tests/spike/run_threads.py $(SPIKE_THREADS) $(SPIKE_READS) $(SPIKE_RENEWALS)

tsan-spike:
	@$(MAKE) --no-print-directory BUILD=$(BUILD)/tsan CFLAGS="-O1 -g -fsanitize=thread" \
		LDFLAGS=-fsanitize=thread RUN="TSAN_OPTIONS=halt_on_error=1" SPIKE_RENEWALS=9 run-spike-threads
