rockspec_format = "3.0"
package = "apisix-plugin-tokenstore-auth"
version = "scm-1"

-- For `luarocks make` in a checkout.
source = { url = "." }

description = {
  summary = "Apache APISIX checks the sessions of tokenstore before a request reaches the upstream",
  detailed = [[
    The plugin tokenstore-auth for Apache APISIX 3. An app creates sessions with tokenstore in Python, Lua or nginx;
    APISIX looks them up in Redis or Valkey, and tells the upstream whose they are.
  ]],
  license = "MIT",
}

dependencies = { "lua = 5.1", "tokenstore = scm" }

build = {
  type = "builtin",
  modules = {
    ["apisix.plugins.tokenstore-auth"] = "bindings/lua/apisix/plugins/tokenstore-auth.lua",
  },
}
