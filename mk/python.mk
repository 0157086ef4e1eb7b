# The Python package. setup.py is the one way it is built; here it links the core that make has built, so
# that only the glue is compiled.
#
#   python       the extension, in place: .venv's Python finds the checkout
#   test-python  pytest; PYTEST_FLAGS="-k sessions -x" for some
#   asan-python  the same under ASan and UBSan, built aside
#   valgrind-python  the tests of what it does, not of how fast, under valgrind (make valgrind does it
#                among others)
PYTEST_FLAGS ?=

ALL += python
SUITES += python
ASAN += python
VALGRIND += valgrind-python
CLEAN += bindings/python/tokenstore/_core*.so bindings/python/*.egg-info

# The type slots of CPython's C API are function pointers in a void *, which -Wpedantic refuses.
PY_CFLAGS = $(filter-out -Wpedantic -Wmissing-prototypes -std=c11,$(TKS_CFLAGS))
PY_BUILD = TOKENSTORE_LINK="$(TKS_LIBS)" CC="$(CC)" LDSHARED="$(CC) -shared" CFLAGS="$(PY_CFLAGS)" \
	LDFLAGS="$(TKS_LDFLAGS) -Wl,--exclude-libs,ALL" $(PYTHON) setup.py -q

# Not built where nothing has changed: setup.py would put the same file there again, from under the suites that
# run. Another venv may be another Python.
PY_BUILT := $(BUILD)/python/built
PY_SRC := setup.py $(wildcard bindings/python/src/*.[ch] core/include/tokenstore/*.h $(VENV)/pyvenv.cfg)
ifdef SANITIZE
PY_PATH := PYTHONPATH=$(CURDIR)/$(BUILD)/python/lib
PY_SRC += $(wildcard bindings/python/tokenstore/*.py* bindings/python/tokenstore/*/*.py*)
PY_WHERE := build --build-base $(BUILD)/python --build-lib $(BUILD)/python/lib
else
PY_PATH :=
PY_WHERE := build_ext --inplace --build-temp $(BUILD)/python
ifeq ($(wildcard bindings/python/tokenstore/_core*.so),)
.PHONY: $(PY_BUILT)
endif
endif

.PHONY: python test-python asan-python valgrind-python
python: $(PY_BUILT)
$(PY_BUILT): $(TKS_LIBS) $(PY_SRC)
	$(PY_BUILD) $(PY_WHERE)
	@touch $@

test-python: python
	@$(PY_PATH) $(RUN) $(PYTHON) -m pytest -q $(PYTEST_FLAGS) tests/python

asan-python:
	@$(MAKE) --no-print-directory SANITIZE=1 BUILD=$(BUILD)/asan test-python

# An interpreter does not free everything it holds at its end, so leaks are looked for elsewhere: in the C
# tests, and by tests/python/test_memory.py.
VALGRIND_PYTHON := $(patsubst %,tests/python/test_%.py,tokens sessions many client data jwt redis_jwt redis_jwt_claims values \
	errors)
valgrind-python: python
	@PYTHONMALLOC=malloc $(VALGRIND_RUN) $(PYTHON) -m pytest -q $(PYTEST_FLAGS) $(VALGRIND_PYTHON)
