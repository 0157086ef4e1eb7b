rockspec_format = "3.0"
package = "tokenstore"
version = "scm-1"

-- For `luarocks make` in a checkout.
source = { url = "." }

description = {
  summary = "Tokens and sessions in Redis or Valkey, access tokens by OAuth 2.0",
  detailed = [[
    Opaque tokens that point at an owner and at data, and login sessions, stored in Redis so that Redis
    never sees a token. One C core, which a Python package shares.
  ]],
  license = "MIT",
}

dependencies = { "lua >= 5.1, < 5.5" }

external_dependencies = {
  HIREDIS = { header = "hiredis/hiredis.h", library = "hiredis" },
  CJSON = { header = "cjson/cJSON.h", library = "cjson" },
  SODIUM = { header = "sodium.h", library = "sodium" },
  OPENSSL = { header = "openssl/ssl.h", library = "ssl" },
  CURL = { library = "curl" }, -- its headers stand where only the compiler looks
}

build = {
  type = "make",
  build_target = "rock",
  install_target = "install-rock",
  build_variables = {
    BUILD = "build/rock",
    CC = "$(CC)",
    CFLAGS = "$(CFLAGS)",
    ROCK_INCLUDE = "$(LUA_INCDIR)",
  },
  install_variables = { -- the same, or all would be built again
    BUILD = "build/rock",
    CC = "$(CC)",
    CFLAGS = "$(CFLAGS)",
    ROCK_INCLUDE = "$(LUA_INCDIR)",
    ROCK_LUADIR = "$(LUADIR)",
    ROCK_LIBDIR = "$(LIBDIR)",
  },
}
