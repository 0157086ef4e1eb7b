-- In the package of OPM, which has no compiled modules: `require "tokenstore"` finds this file first, and it
-- looks whether those that are installed belong to these Lua files.

local version = "@VERSION@"

local found, core = pcall(require, "tokenstore.core")
if not found then
  error("tokenstore: OPM installs no compiled modules; install those of version " .. version
    .. ", with `make install-lua` or LuaRocks: " .. core, 0)
end
if core.version ~= version then
  error("tokenstore: the Lua files are of version " .. version .. " and the compiled modules of version "
    .. core.version .. "; install the same version of both", 0)
end

return require "tokenstore.init"
