rockspec_format = "3.0"
package = "kong-plugin-tokenstore-auth"
version = "scm-1"

-- For `luarocks make` in a checkout.
source = { url = "." }

description = {
  summary = "Kong checks the sessions of tokenstore before a request reaches the service",
  detailed = [[
    The plugin tokenstore-auth for Kong Gateway 3. An app creates sessions with tokenstore in Python, Lua or nginx;
    Kong looks them up in Redis or Valkey, and tells the service whose they are.
  ]],
  license = "MIT",
}

dependencies = { "lua = 5.1", "tokenstore = scm" }

build = {
  type = "builtin",
  modules = {
    ["kong.plugins.tokenstore-auth.handler"] = "bindings/lua/kong/plugins/tokenstore-auth/handler.lua",
    ["kong.plugins.tokenstore-auth.schema"] = "bindings/lua/kong/plugins/tokenstore-auth/schema.lua",
  },
}
