# The sdist and the wheels, and what a release must be: docs/how-to/releasing.md.
#
#   dist           dist/: the sdist, and a wheel for each of DIST_TARGETS (all: packaging/wheels/build)
#   dist-check     the wheels in dist/: their contents, and the README's example in bare systems of DEBIANS with
#                  nothing but Python, in Debian 13's Python for arm64, and in one that is built for musl
#                  (as root; debootstrap, qemu-user, musl-tools)
#   release-check  version, changelog, tag, tree, sdist and wheels; RELEASE_FLAGS="--no-tag --no-dist"
DIST_TARGETS ?=
RELEASE_FLAGS ?=

.PHONY: dist dist-check release-check
dist: setup-dist
	@$(PYTHON) packaging/wheels/build $(DIST_TARGETS)

dist-check: setup-dist
	@$(PYTHON) packaging/wheels/check_wheel.py dist/*.whl
	@set -e; for suite in $(DEBIANS); do packaging/wheels/try-debian $$suite dist; done
	@packaging/wheels/try-arm64 trixie dist
	@packaging/wheels/try-musl dist

release-check: setup-dist
	@$(PYTHON) scripts/release-check $(RELEASE_FLAGS)

.PHONY: setup-dist
setup-dist:
	@scripts/setup dist
