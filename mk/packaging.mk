# Packages for LuaRocks, OPM, Debian, and an image (packaging/). They are made from what is committed.
#
#   rocks        the rocks of this version: $(PACKAGES)/rocks. SOURCE_URL=…: where their archive will be published
#   rocks-check  … built, packed, installed and run by each installed Lua
#   opm          the folder for `opm build`: $(PACKAGES)/opm. REPOSITORY=…: its URL
#   deb          the Debian packages of this version, for this Debian: $(PACKAGES)/deb
#   deb-check    … for each of DEBIANS, as root: built and linted in a bare system, installed in another, and used
#   deb-symbols  writes the list of what libtokenstore0 exports, for a release
#   image-check  the image of packaging/docker, as root: linted, built by buildah, and used

PACKAGES := $(BUILD)/packages
SOURCE_URL ?=
DEBIANS ?= bookworm trixie

.PHONY: rocks rocks-check opm deb deb-check deb-symbols image-check
rocks:
	@packaging/rocks/make $(PACKAGES)/rocks $(VERSION) $(SOURCE_URL)

rocks-check:
	@packaging/rocks/make $(PACKAGES)/rocks $(VERSION)
	@sh tests/install/rocks.sh $(PACKAGES)/rocks $(BUILD)/rocks-check

opm:
	@[ -n "$(REPOSITORY)" ] || { echo "say where the repository is: make opm REPOSITORY=https://…" >&2; exit 1; }
	@packaging/opm/make $(PACKAGES)/opm $(VERSION) $(REPOSITORY)

deb:
	@tree=$$(packaging/deb $(PACKAGES)/deb $(VERSION)) && cd "$$tree" && dpkg-buildpackage -us -uc
	@ls $(PACKAGES)/deb/*.deb

deb-check:
	@sh tests/install/deb.sh $(PACKAGES)/deb-check $(VERSION) $(DEBIANS)

deb-symbols:
	@mkdir -p $(BUILD)
	@packaging/deb-symbols $(VERSION) >$(BUILD)/symbols
	@cp $(BUILD)/symbols packaging/debian/libtokenstore0.symbols

image-check: python
	@sh tests/install/image.sh $(PACKAGES)/image
