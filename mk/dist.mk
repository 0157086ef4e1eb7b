# The sdist and the wheels, and what a release must be: docs/how-to/releasing.md.
#
#   dist           dist/: the sdist, and a wheel for each of DIST_TARGETS (all: packaging/wheels/build)
#   dist-check     the wheels in dist/: their contents, and the README's example in bare systems of Debian 12 and 13 with
#                  nothing but Python (as root; debootstrap)
#   release-check  version, changelog, tag, tree, sdist and wheels; RELEASE_FLAGS="--no-tag --no-dist"
DIST_TARGETS ?=
RELEASE_FLAGS ?=

.PHONY: dist dist-check release-check
dist: setup-dist
	@$(PYTHON) packaging/wheels/build $(DIST_TARGETS)

dist-check: setup-dist
	@$(PYTHON) packaging/wheels/check_wheel.py dist/*.whl
	@packaging/wheels/try-debian bookworm dist
	@packaging/wheels/try-debian trixie dist

release-check: setup-dist
	@$(PYTHON) scripts/release-check $(RELEASE_FLAGS)

.PHONY: setup-dist
setup-dist:
	@scripts/setup dist
