-- near_view.lua - finds what the near cache keeps ready for a get (its views).
--
-- In LuaJIT the core's function is called through the FFI: a call of any other C function ends what LuaJIT
-- compiles.

local core = require "tokenstore.core"

local views = core.views -- by number
local type = type

local function has_ffi()
  return rawget(_G, "jit") ~= nil and (pcall(require, "ffi"))
end

local find_number = core.find_view
if has_ffi() then
  local ffi = require "ffi"
  local find = ffi.cast([[
    int (*)(const void *store, const char *app, size_t, const char *type, size_t, const char *token, size_t)
  ]], core.find_view_address)
  find_number = function(handle, app, kind, token)
    return find(handle, app, #app, kind, #kind, token, #token)
  end
end

-- The view of the token of this app and type, in the store with this handle: a token or session without its
-- token, which is nobody's to change. Nil: there is none, or these are no strings.
return function(handle, app, kind, token)
  if type(app) == "string" and type(kind) == "string" and type(token) == "string" then
    local number = find_number(handle, app, kind, token)
    return number > 0 and views[number] or nil
  end
  return nil
end
