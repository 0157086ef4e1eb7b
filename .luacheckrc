-- luacheck: our Lua runs on 5.1, LuaJIT, 5.3 and 5.4 alike, so only what all of them have is known.
std = "min"
max_line_length = 110
unused_args = false
codes = true
-- The server-side scripts have their own rules: scripts/lint.
exclude_files = { "build", ".venv", "**/*.d.lua", "core/scripts" }
files["**/*.rockspec"] = { std = "+rockspec" }
files["bindings/lua/tokenstore/nginx*.lua"] = { std = "ngx_lua" }
files["bindings/lua/tokenstore/guard*.lua"] = { std = "ngx_lua" }
files["bindings/lua/tokenstore/web.lua"] = { std = "ngx_lua" }
files["bindings/lua/tokenstore/gateway.lua"] = { std = "ngx_lua" }
files["bindings/lua/tokenstore/resty_session.lua"] = { std = "ngx_lua" }
files["bindings/lua/tokenstore/metrics.lua"] = { std = "ngx_lua" }
files["bindings/lua/kong"] = { std = "ngx_lua", globals = { "kong" } }
files["bindings/lua/apisix"] = { std = "ngx_lua" }
files["tests/nginx/stand_ins"] = { std = "ngx_lua" }
-- These look whether they are there.
files["tests/lua"] = { read_globals = { "unpack", math = { fields = { "maxinteger", "mininteger", "type" } }, table = { fields = { "unpack" } } } }
