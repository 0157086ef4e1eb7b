-- The part of nginx_keys.lua that runs in a thread of nginx's, in a Lua VM of its own, which may block.
-- What is made here stays, for a VM serves one job after the other: the connections to each server.

local core = require "tokenstore.oauth"

local thread = {}
local handles = {} -- by identity

-- The text at the URL and for how many seconds it is fresh; or false, message, code.
function thread.run(identity, options)
  local handle = handles[identity]
  if not handle then
    local message, code
    handle, message, code = core.keys_open(options)
    if not handle then
      return false, message, code
    end
    handles[identity] = handle
  end
  local text, fresh, code = core.keys_download(handle)
  return text or false, fresh, code
end

return thread
