# The Python package. setup.py builds it; here it links the core built by make, so that only the glue is
# compiled.
#
#   python       the extension, in place: .venv's Python finds the checkout
#   test-python  pytest; PYTEST_FLAGS="-k sessions -x" for some
#   asan-python  the same under ASan and UBSan, in a separate build
#   man          build/tokenstore.1, made from the parser of the command line
#   valgrind-python  the functional tests under valgrind (make valgrind does it
#                among others)
PYTEST_FLAGS ?=

ALL += python
SUITES += python
ASAN += python
VALGRIND += valgrind-python
CLEAN += bindings/python/tokenstore/_core*.so bindings/python/tokenstore/_oauth*.so bindings/python/*.egg-info

# CPython's type slots store function pointers in a void *, which -Wpedantic rejects.
PY_CFLAGS = $(filter-out -Wpedantic -Wmissing-prototypes -std=c11,$(TKS_CFLAGS))
PY_BUILD = TOKENSTORE_LINK="$(TKS_LIBS)" CC="$(CC)" LDSHARED="$(CC) -shared" CFLAGS="$(PY_CFLAGS)" \
	LDFLAGS="$(TKS_LDFLAGS) -Wl,--exclude-libs,ALL" $(PYTHON) setup.py -q

# Built only after changes: setup.py would replace the file while suites run. Another venv may have another
# Python.
PY_BUILT := $(BUILD)/python/built
PY_SRC := setup.py $(wildcard bindings/python/src/*.[ch] core/include/tokenstore/*.h $(VENV)/pyvenv.cfg)
ifdef SANITIZE
PY_PATH := PYTHONPATH=$(CURDIR)/$(BUILD)/python/lib
PY_SRC += $(wildcard bindings/python/tokenstore/*.py* bindings/python/tokenstore/*/*.py*)
PY_WHERE := build --build-base $(BUILD)/python --build-lib $(BUILD)/python/lib
else
PY_PATH :=
PY_WHERE := build_ext --inplace --build-temp $(BUILD)/python
ifeq ($(and $(wildcard bindings/python/tokenstore/_core*.so),$(wildcard bindings/python/tokenstore/_oauth*.so)),)
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

# An interpreter does not free all memory at exit, so leaks are detected elsewhere: in the C tests, and by
# tests/python/test_memory.py.
VALGRIND_PYTHON := $(patsubst %,tests/python/test_%.py,tokens sessions many client data jwt near_views redis_jwt redis_jwt_claims values \
	errors)
valgrind-python: python
	@PYTHONMALLOC=malloc $(VALGRIND_RUN) $(PYTHON) -m pytest -q $(PYTEST_FLAGS) $(VALGRIND_PYTHON)

.PHONY: man
man: $(BUILD)/tokenstore.1
$(BUILD)/tokenstore.1: scripts/man-page $(wildcard bindings/python/tokenstore/_cli/*.py) | $(PY_BUILT)
	$(PYTHON) scripts/man-page > $@
