# The measurements. BENCH_FLAGS=--quick for a look; bench-docs writes what it measured down.
BENCH_FLAGS ?=

$(BUILD)/bench/raw_hiredis: bench/raw_hiredis.c $(FLAGS)
	@mkdir -p $(@D)
	$(CC) $(TKS_CPPFLAGS) $(TKS_CFLAGS) $(TKS_LDFLAGS) -o $@ $< -lhiredis

.PHONY: bench bench-docs bench-build
bench: setup-dev bench-build
	@$(PYTHON) bench/run.py $(BENCH_FLAGS)

bench-docs: setup-dev bench-build
	@$(PYTHON) bench/run.py --write docs/benchmarks.md

bench-build: setup-dev
	@$(AGAIN) -j$(JOBS) all $(BUILD)/bench/raw_hiredis
