# tokenstore - the two commands are `make demo` and `make test`; `make help` lists the rest.
#
# This file builds the C core and defines suites. Each language has its rules in mk/*.mk, which may use the
# variables below and add to these lists:
#   ALL      targets that `make` builds
#   SUITES   suites that `make test` runs: a suite S is a target test-S that builds what it needs and
#            whose runners each print a line "<n> passed[, <n> skipped]" (scripts/run-tests adds them up; a
#            suite that prints none, or "0 passed", has failed). LANES of them run in parallel, so each uses
#            separate servers and directories, and shared programs are built before
#   PROGRAMS programs of the suites that `make` does not build
#   ASAN     suites that `make asan` runs, the same targets with SANITIZE=1
#   VALGRIND targets that `make valgrind` runs
#   FUZZ     targets that `make fuzz` runs, FUZZ_SECONDS each
#   INSTALL  targets that `make install` runs; each builds what it installs. UNINSTALL: the reverse
#   ENV      targets that `make env` runs: each prints shell assignments
# A rule that compiles C uses $(CC) $(TKS_CPPFLAGS) $(TKS_CFLAGS), writes below $(BUILD), and links
# $(TKS_LIBS) with $(TKS_LDFLAGS) $(TKS_LDLIBS). A rule that runs an interpreter that loads our C code begins
# with $(RUN): under `make asan` that preloads the sanitizer.

MAKEFLAGS += --no-builtin-rules
.SUFFIXES:
.DELETE_ON_ERROR:
.DEFAULT_GOAL := all

BUILD ?= build
VENV := .venv
PYTHON := $(VENV)/bin/python
PREFIX ?= /usr/local
DESTDIR ?=
FUZZ_SECONDS ?= 60
JOBS ?= $(shell nproc 2>/dev/null || echo 2)
LANES ?= 3

ifeq ($(origin CC),default)
CC := gcc
endif
AR ?= ar
CFLAGS ?= -O2 -g
LDFLAGS ?=
CPPFLAGS ?=

TKS_WARNINGS := -Wall -Wextra -Wpedantic -Wconversion -Wsign-conversion -Wshadow -Wstrict-prototypes \
	-Wmissing-prototypes -Wpointer-arith -Wwrite-strings -Wvla -Wundef -Wformat=2
TKS_CPPFLAGS := -Icore/include -Icore/src $(CPPFLAGS)
TKS_CFLAGS := $(CFLAGS) -std=c11 -fPIC -fvisibility=hidden -fno-semantic-interposition -fno-common $(TKS_WARNINGS)
TKS_LDFLAGS := $(LDFLAGS)
TKS_LDLIBS := -lhiredis -lcjson -lsodium -lssl -lcrypto -lpthread -lm $(if $(wildcard core/io/http.c),-lcurl)

# WERROR=1 makes warnings errors; `make test` and `make lint` set it.
ifdef WERROR
TKS_CFLAGS += -Werror
endif

ifdef SANITIZE
TKS_SANITIZE := -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer
TKS_CFLAGS += $(TKS_SANITIZE) -U_FORTIFY_SOURCE
TKS_LDFLAGS += $(TKS_SANITIZE)
RUN := scripts/run-sanitized $(BUILD)
else
# Some systems' gcc defines _FORTIFY_SOURCE already.
TKS_CFLAGS += -fstack-protector-strong -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2
TKS_LDFLAGS += -Wl,-z,relro,-z,now
RUN :=
endif

# The prefix for programs in rules of VALGRIND.
VALGRIND_RUN := valgrind --quiet --error-exitcode=99 --errors-for-leak-kinds=definite,possible \
	--child-silent-after-fork=yes

# Where the tests find the build.
export TOKENSTORE_BUILD := $(abspath $(BUILD))

ALL :=
SUITES := walls docs
PROGRAMS :=
ASAN :=
VALGRIND :=
FUZZ :=
INSTALL :=
UNINSTALL :=
ENV :=

# ---- the C core --------------------------------------------------------------------------------------

CORE_LIB := $(BUILD)/libtokenstore-core.a
IO_LIB := $(BUILD)/libtokenstore-io.a
TKS_LIBS := $(IO_LIB) $(CORE_LIB)

CORE_SRC := $(sort $(wildcard core/src/*.c core/src/ops/*.c))
IO_SRC := $(sort $(wildcard core/io/*.c))
SCRIPTS := $(sort $(wildcard core/scripts/*.lua))
CORE_OBJ := $(CORE_SRC:core/%.c=$(BUILD)/core/%.o) $(BUILD)/core/scripts.o
IO_OBJ := $(IO_SRC:core/%.c=$(BUILD)/core/%.o)

ALL += $(TKS_LIBS)

# Recompile when the flags change (other compiler, WERROR, SANITIZE).
FLAGS := $(BUILD)/flags
FLAGS_NOW := $(CC) $(TKS_CPPFLAGS) $(filter-out -Werror,$(TKS_CFLAGS)) $(TKS_LDFLAGS)
ifneq ($(file <$(FLAGS)),$(FLAGS_NOW))
$(shell mkdir -p $(BUILD))
$(file >$(FLAGS),$(FLAGS_NOW))
endif

# A compiler's message for a missing header does not name the package.
HEADERS := $(BUILD)/headers
$(HEADERS): core/headers.in $(FLAGS)
	@missing=$$($(CC) $(CPPFLAGS) $(CFLAGS) -E -P -x c $< | sed -n 's/^missing //p' | tr '\n' ' '); \
	[ -z "$$missing" ] || { echo "headers are missing; on Debian: apt-get install $$missing" >&2; exit 1; }
	@touch $@
$(CORE_OBJ) $(IO_OBJ): | $(HEADERS)

$(CORE_LIB): $(CORE_OBJ)
$(IO_LIB): $(IO_OBJ)
$(CORE_LIB) $(IO_LIB):
	@rm -f $@
	$(AR) rcs $@ $^

$(BUILD)/core/%.o: core/%.c $(FLAGS)
	@mkdir -p $(@D)
	$(CC) $(TKS_CPPFLAGS) $(TKS_CFLAGS) -MMD -MP -c -o $@ $<

# The server-side scripts, as C strings.
$(BUILD)/scripts.c: core/scripts/embed.sh core/scripts/used.awk $(SCRIPTS) $(wildcard core/scripts/lib/*.lua)
	@mkdir -p $(@D)
	sh core/scripts/embed.sh $@

$(BUILD)/core/scripts.o: $(BUILD)/scripts.c $(FLAGS)
	@mkdir -p $(@D)
	$(CC) $(TKS_CPPFLAGS) $(TKS_CFLAGS) -MMD -MP -c -o $@ $<

-include $(CORE_OBJ:.o=.d) $(IO_OBJ:.o=.d)

# ---- the languages ------------------------------------------------------------------------------------

-include mk/tests-c.mk mk/io.mk mk/cluster.mk mk/http.mk mk/embedded.mk mk/python.mk mk/lua.mk mk/library.mk mk/packaging.mk mk/install.mk mk/bench.mk mk/spike.mk mk/asyncio.mk mk/nginx.mk mk/interop.mk mk/oauth.mk mk/servers.mk mk/operations.mk mk/declared.mk mk/web.mk mk/near.mk mk/dist.mk mk/metrics.mk mk/browser.mk mk/docs.mk mk/console.mk

# The longest first, so that no lane ends long before the others.
LONGEST := python asyncio cluster nginx spike faults web lua old-server oauth console declared docs embedded
SUITES := $(foreach s,$(LONGEST),$(filter $(s),$(SUITES))) $(filter-out $(LONGEST),$(SUITES))

# ---- commands -----------------------------------------------------------------------------------------

.PHONY: all programs help setup demo test lint format walls test-walls test-docs asan asan-run valgrind fuzz soak env \
	install uninstall clean distclean

all: $(ALL)

programs: all $(PROGRAMS)

# Rules that need .venv.
$(PY_BUILT) walls test-walls: | $(PYTHON)
$(PYTHON):
	@echo "there is no .venv yet: scripts/setup demo makes it, and make demo and make test do" >&2; exit 1

help:
	@sed -n 's/^#: //p' Makefile

#: make setup        install what is missing for make test (LEVEL=demo for less, LEVEL=dev for all)
#: make              build the core, the Python package and the Lua modules
#: make demo         install what is missing, build, and run the demo
#: make test         install what is missing, build, run every test (SUITES="c python" for some), three
#:                   suites at a time (LANES=1: one); make test-c runs one suite alone, and so on
#: make lint         formatting, static analysis, types, walls, spelling, the documentation site
#: make format       format the C code
#: make asan         the C, Python and Lua tests under ASan and UBSan
#: make valgrind     the C and Lua tests and some of the Python tests under valgrind
#: make fuzz         the fuzzers, FUZZ_SECONDS=60 each
#: make test-servers the tests of all classes on every installed server (Redis 6.2, redis-server, valkey-server)
#: make test-batteries  the tests of all classes in every driver, on a cluster and behind Sentinels: twenty minutes
#: make soak         the tests whole: long races, each byte, interpreter and Django that make test samples
#: make bench        the measurements as a table (BENCH_FLAGS=--quick)
#: make bench-docs   the same, written to docs/explanation/benchmarks.md
#: make env          shell assignments: eval "$(make -s env)" lets Lua find the checkout
#: make docs         the documentation site, build/docs/html; docs-links checks its links, spell its words
#: make rocks        rocks of this version, make deb Debian packages, from what is committed; make rocks-check,
#:                   deb-check and image-check install and use them (the last two as root, in a bare Debian)
#: make man          the man page of the command line, build/tokenstore.1
#: make install      headers, libraries and Lua modules below PREFIX=/usr/local; needs neither Python nor Node.
#:                   install-lua installs the modules alone; uninstall removes all of it
#: make dist         the sdist and the wheels, in dist/; dist-check tries the wheels, release-check looks at all of it
#: make clean        remove what was built; distclean removes .venv too

LEVEL ?= test
setup:
	@scripts/setup $(LEVEL)

# `demo` and `test` call make again, because setup may install what the rules above detect.
# V=1 shows the commands.
AGAIN = $(MAKE) --no-print-directory $(if $(V),,-s)

demo:
	@scripts/setup demo
	@echo "building"
	@$(AGAIN) -j$(JOBS) all
	@scripts/demo

test: setup
	@echo "building"
	@$(AGAIN) -j$(JOBS) WERROR=1 programs
	@$(PYTHON) scripts/run-tests $(LANES) $(BUILD) "$(AGAIN) WERROR=1" $(SUITES)

walls test-walls:
	@$(PYTHON) scripts/check-walls

# Runs the code in README and docs, and the examples.
test-docs: all
	@eval "$$($(MAKE) -s env)" && $(PYTHON) scripts/check-docs

lint:
	@scripts/setup dev
	@$(AGAIN) -j$(JOBS) WERROR=1 all
	@scripts/lint

format:
	@scripts/setup dev
	@scripts/lint --format

asan:
	@scripts/setup
	@$(AGAIN) SANITIZE=1 BUILD=$(BUILD)/asan WERROR=1 asan-run

asan-run: $(TKS_LIBS)
	@$(PYTHON) scripts/run-tests 1 $(BUILD) "$(AGAIN) SANITIZE=1 BUILD=$(BUILD) WERROR=1" $(ASAN)

valgrind: setup-dev
	@$(AGAIN) -j$(JOBS) WERROR=1 all
	@$(AGAIN) WERROR=1 $(VALGRIND)

fuzz: setup-dev
	@$(AGAIN) $(FUZZ)

.PHONY: setup-dev
setup-dev:
	@scripts/setup dev

soak: setup
	@$(AGAIN) -j$(JOBS) WERROR=1 programs
	@TOKENSTORE_SOAK=1 $(PYTHON) scripts/run-tests 1 $(BUILD) "$(AGAIN) WERROR=1" $(SUITES)

env: $(ENV)

install: $(INSTALL)
	@echo "the Python package: pip install $(CURDIR)"

uninstall: $(UNINSTALL)

clean:
	rm -rf build $(CLEAN)

distclean: clean
	rm -rf $(VENV)
