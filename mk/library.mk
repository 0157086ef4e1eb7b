# The C library for C programs.
#
#   library       $(BUILD)/lib: libtokenstore.so.0.1.0 with its soname, libtokenstore.a, tokenstore.pc
#   install-c     these and the headers, below PREFIX
#   uninstall-c   the reverse
#
# The version is defined only in version.h. The shared object exports the functions of the public headers
# (api.h).

INSTALL += install-c
UNINSTALL += uninstall-c

version_of = $(shell sed -n 's/^.define $(1)  *"*\([0-9.]*\)"*$$/\1/p' core/include/tokenstore/version.h)
VERSION := $(call version_of,TKS_VERSION)
SONAME := libtokenstore.so.$(call version_of,TKS_ABI)

LIBRARY := $(BUILD)/lib
SHARED := $(LIBRARY)/libtokenstore.so.$(VERSION)
LIBRARY_FILES := $(SHARED) $(LIBRARY)/libtokenstore.a $(LIBRARY)/tokenstore.pc
LIBDIR ?= $(PREFIX)/lib
INCLUDEDIR ?= $(PREFIX)/include

.PHONY: library install-c uninstall-c
library: $(LIBRARY_FILES)

# -z nodelete: a thread that resolves a host name may outlive the last user (client.h).
$(SHARED): $(CORE_OBJ) $(IO_OBJ)
	@mkdir -p $(@D)
	$(CC) -shared $(TKS_LDFLAGS) -Wl,-soname,$(SONAME) -Wl,-z,defs,-z,nodelete -Wl,--as-needed -o $@ $^ $(TKS_LDLIBS)
	@ln -sf $(@F) $(@D)/$(SONAME)
	@ln -sf $(SONAME) $(@D)/libtokenstore.so

$(LIBRARY)/libtokenstore.a: $(CORE_OBJ) $(IO_OBJ)
	@mkdir -p $(@D)
	@rm -f $@
	$(AR) rcs $@ $^

# Always rewritten: PREFIX may have changed.
.PHONY: $(LIBRARY)/tokenstore.pc
$(LIBRARY)/tokenstore.pc: core/tokenstore.pc.in
	@mkdir -p $(@D)
	@sed -e 's|@PREFIX@|$(PREFIX)|; s|@LIBDIR@|$(LIBDIR)|; s|@INCLUDEDIR@|$(INCLUDEDIR)|; s|@VERSION@|$(VERSION)|' $< >$@

install-c: $(LIBRARY_FILES)
	install -d $(DESTDIR)$(INCLUDEDIR)/tokenstore $(DESTDIR)$(LIBDIR)/pkgconfig
	install -m 644 core/include/tokenstore/*.h $(DESTDIR)$(INCLUDEDIR)/tokenstore
	install -m 644 $(LIBRARY)/tokenstore.pc $(DESTDIR)$(LIBDIR)/pkgconfig
	install -m 644 $(LIBRARY)/libtokenstore.a $(SHARED) $(DESTDIR)$(LIBDIR)
	ln -sf $(notdir $(SHARED)) $(DESTDIR)$(LIBDIR)/$(SONAME)
	ln -sf $(SONAME) $(DESTDIR)$(LIBDIR)/libtokenstore.so
	@# So that programs find it at once. Packages do this themselves, and it may not be permitted.
	@[ -n "$(DESTDIR)" ] || ldconfig 2>/dev/null || true

uninstall-c:
	rm -rf $(DESTDIR)$(INCLUDEDIR)/tokenstore
	rm -f $(DESTDIR)$(LIBDIR)/pkgconfig/tokenstore.pc $(addprefix $(DESTDIR)$(LIBDIR)/,\
		libtokenstore.a libtokenstore.so $(SONAME) $(notdir $(SHARED)))
