# The Lua modules (tokenstore.core, tokenstore.blocking, tokenstore.openssl, tokenstore.oauth) and their
# tests (suite lua).
#
#   lua        $(BUILD)/lua/5.4/tokenstore/*.so and $(BUILD)/lua/5.1/…, also for LuaJIT
#   test-lua   the suite in every installed interpreter; in `make soak` whole in each
#   asan-lua   the same under ASan and UBSan (make asan does it among others)
#   valgrind-lua  the same under valgrind, once (make valgrind does it among others)
#   test-rock  luarocks make for 5.1, and in `make soak` for 5.4 (suite rock)
#   env-lua    variables with which an interpreter finds the checkout
#
# Each C module contains the core, with hidden symbols: it exports only luaopen_*. tokenstore.core does not
# link OpenSSL, so that a host with another OpenSSL can load it; only tokenstore.oauth links libcurl.

ALL += lua
SUITES += lua rock
ASAN += lua
VALGRIND += valgrind-lua
INSTALL += install-lua
UNINSTALL += uninstall-lua
ENV += env-lua

# Headers: detected, or LUA54_INCLUDE=…. LuaJIT's are used if those of 5.1 are missing: the ABI is the same,
# and only common functions are used.
first_dir = $(patsubst %/lua.h,%,$(firstword $(wildcard $(addsuffix /lua.h,$(1)))))
LUA54_INCLUDE ?= $(call first_dir,/usr/include/lua5.4 /usr/local/include/lua5.4)
LUA53_INCLUDE ?= $(call first_dir,/usr/include/lua5.3 /usr/local/include/lua5.3)
LUA51_INCLUDE ?= $(call first_dir,/usr/include/lua5.1 /usr/include/luajit-2.1 /usr/local/include/luajit-2.1)

LUAJIT_INCLUDE ?= $(call first_dir,/usr/include/luajit-2.1 /usr/local/include/luajit-2.1)

LUA_ABIS := $(if $(LUA54_INCLUDE),5.4) $(if $(LUA53_INCLUDE),5.3) $(if $(LUA51_INCLUDE),5.1)
# luarocks passes the headers of its Lua.
ifdef ROCK_INCLUDE
LUA_ABIS := $(shell sed -n 's/^\#define LUA_VERSION_NUM[^0-9]*\([0-9]\)0\([0-9]\).*/\1.\2/p' $(ROCK_INCLUDE)/lua.h)
endif
LUA_INTERPRETERS := $(foreach i,lua5.4 lua5.3 lua5.1 luajit,$(if $(shell command -v $(i)),$(i)))

LUA_SRC := $(sort $(wildcard bindings/lua/src/*.c))
LUA_SHARED := $(filter-out lua_core lua_blocking lua_session_events lua_openssl lua_oauth lua_oauth_creator lua_remote_keys,$(LUA_SRC:bindings/lua/src/%.c=%))
LUA_CORE_LDLIBS := -lhiredis -lcjson -lsodium -lm
# A thread that resolves a host name may outlive the Lua state: the module stays loaded.
LUA_LDFLAGS = -shared $(TKS_LDFLAGS) -Wl,--exclude-libs,ALL -Wl,--as-needed -Wl,-z,nodelete

# $(call lua_rules,ABI,INCLUDE,DIRECTORY)
define lua_rules
$(3)/%.o: bindings/lua/src/%.c $$(FLAGS) | $$(HEADERS)
	@mkdir -p $$(@D)
	$$(CC) $$(TKS_CPPFLAGS) -isystem $(2) $$(TKS_CFLAGS) -MMD -MP -c -o $$@ $$<

$(3)/tokenstore/core.so: $$(addprefix $(3)/,$$(LUA_SHARED:=.o) lua_core.o) $$(CORE_LIB)
	@mkdir -p $$(@D)
	$$(CC) $$(LUA_LDFLAGS) -o $$@ $$^ $$(LUA_CORE_LDLIBS)

$(3)/tokenstore/blocking.so: $$(addprefix $(3)/,$$(LUA_SHARED:=.o) lua_blocking.o lua_session_events.o) $$(TKS_LIBS)
	@mkdir -p $$(@D)
	$$(CC) $$(LUA_LDFLAGS) -o $$@ $$^ $$(LUA_CORE_LDLIBS) -lssl -lcrypto -lpthread

$(3)/tokenstore/openssl.so: $$(addprefix $(3)/,$$(LUA_SHARED:=.o) lua_openssl.o) $$(CORE_LIB)
	@mkdir -p $$(@D)
	$$(CC) $$(LUA_LDFLAGS) -o $$@ $$^ $$(LUA_CORE_LDLIBS) -lcrypto

$(3)/tokenstore/oauth.so: $$(addprefix $(3)/,$$(LUA_SHARED:=.o) lua_oauth.o lua_oauth_creator.o lua_remote_keys.o) $$(TKS_LIBS)
	@mkdir -p $$(@D)
	$$(CC) $$(LUA_LDFLAGS) -o $$@ $$^ $$(LUA_CORE_LDLIBS) -lssl -lcrypto -lcurl -lpthread

-include $$(wildcard $(3)/*.d)
endef

lua_include = $(or $(ROCK_INCLUDE),$(LUA$(subst .,,$(1))_INCLUDE))
$(foreach abi,$(LUA_ABIS),$(eval $(call lua_rules,$(abi),$(call lua_include,$(abi)),$(BUILD)/lua/$(abi))))

LUA_MODULES := $(foreach abi,$(LUA_ABIS),$(patsubst %,$(BUILD)/lua/$(abi)/tokenstore/%.so,\
	core blocking openssl oauth))

.PHONY: lua test-lua asan-lua valgrind-lua env-lua install-lua uninstall-lua rock install-rock test-rock
lua: $(LUA_MODULES)
ifeq ($(strip $(LUA_ABIS)),)
	@echo "SKIP lua: no headers of Lua 5.1, LuaJIT, 5.3 or 5.4 (liblua5.4-dev and the like)"
endif

# ---- where interpreters look -------------------------------------------------------------------------

# LuaJIT and Lua 5.1 read LUA_PATH and LUA_CPATH, the others their own names first.
LUA_FILES = $(CURDIR)/bindings/lua/?.lua;$(CURDIR)/bindings/lua/?/init.lua;;
lua_objects = $(abspath $(BUILD))/lua/$(1)/?.so;;
LUA_ENV = LUA_PATH='$(LUA_FILES)' LUA_CPATH='$(call lua_objects,5.1)' \
	LUA_PATH_5_3='$(LUA_FILES)' LUA_CPATH_5_3='$(call lua_objects,5.3)' \
	LUA_PATH_5_4='$(LUA_FILES)' LUA_CPATH_5_4='$(call lua_objects,5.4)'

env-lua:
	@echo "export $(LUA_ENV)"

# ---- tests -------------------------------------------------------------------------------------------

# A host program for each Lua, for failing allocations; without a library to link, these tests are skipped.
LUA_HOSTS := $(LUA_INTERPRETERS:%=$(BUILD)/lua/memory_host-%)
$(BUILD)/lua/memory_host-lua%: tests/lua/memory_host.c $(FLAGS)
	@mkdir -p $(@D)
	-$(CC) -isystem $(LUA$(subst .,,$*)_INCLUDE) $(TKS_CFLAGS) $(TKS_LDFLAGS) -o $@ $< -llua$* -lm

$(BUILD)/lua/memory_host-luajit: tests/lua/memory_host.c $(FLAGS)
	@mkdir -p $(@D)
	-$(CC) -isystem $(LUAJIT_INCLUDE) $(TKS_CFLAGS) $(TKS_LDFLAGS) -o $@ $< -lluajit-5.1 -lm

# The collector always at work, and failing allocations: once for each module, so not in Lua 5.1, which has LuaJIT's.
# `make soak` and `make asan` leave none out.
LUA_ONCE := $(if $(TOKENSTORE_SOAK)$(SANITIZE),,$(if $(filter luajit,$(LUA_INTERPRETERS)),$(filter lua5.1,$(LUA_INTERPRETERS))))

test-lua: lua $(LUA_HOSTS)
	@failed=; for lua in $(LUA_INTERPRETERS); do \
	  case " $(LUA_ONCE) " in *" $$lua "*) TEST_ONCE=1 $(LUA_ENV) $(RUN) sh tests/lua/run.sh $$lua || failed=1; continue ;; esac; \
	  host=$(BUILD)/lua/memory_host-$$lua; \
	  [ -x $$host ] || { echo "SKIP lua: no library of $$lua to link: failing allocations"; host=; }; \
	  $(LUA_ENV) MEMORY_HOST=$$host $(RUN) sh tests/lua/run.sh $$lua || failed=1; \
	done; [ -z "$$failed" ]
ifeq ($(strip $(LUA_INTERPRETERS)),)
	@echo "SKIP lua: no interpreter on PATH"
endif

asan-lua:
	@$(MAKE) --no-print-directory SANITIZE=1 BUILD=$(BUILD)/asan WERROR=1 test-lua

valgrind-lua:
	@TEST_VALGRIND="$(VALGRIND_RUN)" $(MAKE) --no-print-directory test-lua

# ---- installing --------------------------------------------------------------------------------------

# The plugins for Kong and APISIX, which run on LuaJIT: $(call install_plugins,ABI,DIRECTORY)
LUA_PLUGINS := kong/plugins/tokenstore-auth/handler.lua kong/plugins/tokenstore-auth/schema.lua \
	apisix/plugins/tokenstore-auth.lua
define install_plugins
[ $(1) != 5.1 ] || for f in $(LUA_PLUGINS); do install -D -m 644 bindings/lua/$$f $(2)/$$f; done
endef

install-lua: lua
	@[ -n "$(strip $(LUA_ABIS))" ] || \
	  { echo "no headers of any Lua; on Debian: apt-get install liblua5.4-dev (or liblua5.1-0-dev)" >&2; exit 1; }
	@set -e; for abi in $(LUA_ABIS); do \
	  install -d $(DESTDIR)$(PREFIX)/share/lua/$$abi/tokenstore $(DESTDIR)$(LIBDIR)/lua/$$abi/tokenstore; \
	  install -m 644 bindings/lua/tokenstore/*.lua $(DESTDIR)$(PREFIX)/share/lua/$$abi/tokenstore; \
	  install -m 644 $(BUILD)/lua/$$abi/tokenstore/*.so $(DESTDIR)$(LIBDIR)/lua/$$abi/tokenstore; \
	  $(call install_plugins,$$abi,$(DESTDIR)$(PREFIX)/share/lua/$$abi); \
	done

uninstall-lua:
	rm -rf $(foreach abi,5.1 5.3 5.4,$(DESTDIR)$(PREFIX)/share/lua/$(abi)/tokenstore \
	  $(DESTDIR)$(LIBDIR)/lua/$(abi)/tokenstore)
	cd $(DESTDIR)$(PREFIX)/share/lua/5.1 2>/dev/null && rm -f $(LUA_PLUGINS) && \
	  rmdir -p --ignore-fail-on-non-empty $(sort $(dir $(LUA_PLUGINS))) || true

# For luarocks: see tokenstore-scm-1.rockspec, which sets ROCK_INCLUDE and where things go. The plugins have rocks of
# their own (packaging/rocks).
rock: lua

install-rock:
	install -d $(ROCK_LUADIR)/tokenstore $(ROCK_LIBDIR)/tokenstore
	install -m 644 bindings/lua/tokenstore/*.lua $(ROCK_LUADIR)/tokenstore
	install -m 755 $(BUILD)/lua/$(LUA_ABIS)/tokenstore/*.so $(ROCK_LIBDIR)/tokenstore

test-rock:
	@sh tests/lua/rock.sh $(BUILD)/rocks
