# The measurements; the figures are also in build/bench/figures.json. BENCH_FLAGS=--quick for a short run; bench-docs
# writes the results, and draws them.
BENCH_FLAGS ?=

$(BUILD)/bench/raw_hiredis: bench/raw_hiredis.c $(FLAGS)
	@mkdir -p $(@D)
	$(CC) $(TKS_CPPFLAGS) $(TKS_CFLAGS) $(TKS_LDFLAGS) -o $@ $< -lhiredis

$(BUILD)/bench/steps: bench/steps.c $(TKS_LIBS) $(FLAGS)
	@mkdir -p $(@D)
	$(CC) $(TKS_CPPFLAGS) $(TKS_CFLAGS) $(TKS_LDFLAGS) -o $@ $< $(TKS_LIBS) $(TKS_LDLIBS)

$(BUILD)/bench/raw_verify: bench/raw_verify.c $(FLAGS)
	@mkdir -p $(@D)
	$(CC) $(TKS_CPPFLAGS) $(TKS_CFLAGS) $(TKS_LDFLAGS) -o $@ $< -lcrypto -lsodium

$(BUILD)/bench/spike_threads: bench/spike_threads.c $(TKS_LIBS) $(FLAGS)
	@mkdir -p $(@D)
	$(CC) $(TKS_CPPFLAGS) $(TKS_CFLAGS) $(TKS_LDFLAGS) -o $@ $< $(TKS_LIBS) $(TKS_LDLIBS)

BENCH_PROGRAMS := $(addprefix $(BUILD)/bench/,raw_hiredis steps raw_verify spike_threads)

.PHONY: bench bench-docs bench-build
bench: setup-dev bench-build
	@$(PYTHON) bench/run.py --json $(BUILD)/bench/figures.json $(BENCH_FLAGS)

bench-docs: setup-dev bench-build
	@$(PYTHON) bench/run.py --json docs/explanation/benchmarks.json --write docs/explanation/benchmarks.md
	@$(PYTHON) bench/plots.py docs/explanation/benchmarks.json docs/images

bench-build: setup-dev
	@$(AGAIN) -j$(JOBS) all $(BENCH_PROGRAMS)

# What other packages do with sessions: the table of docs/explanation/comparison.md. PEERS="Flask-Session" for some;
# fastapi-redis-sdk needs TOKENSTORE_TEST_SERVER=… of Redis 7.4 or later.
PEERS ?=
.PHONY: peers
peers: setup-dev
	@$(AGAIN) python
	@$(PYTHON) bench/peers.py $(PEERS)
