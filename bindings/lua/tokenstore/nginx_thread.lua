-- Called by nginx_threads.lua in one of nginx's threads, in its own Lua VM, where blocking is allowed. A VM
-- runs jobs in sequence and keeps connections, keys and tokens.

local core = require "tokenstore.oauth"

local thread = {}
local handles = {} -- by identity

local function keep(identity, open, ...)
  local handle, message, code = handles[identity]
  if not handle then
    handle, message, code = open(...)
    handles[identity] = handle
  end
  return handle, message, code
end

-- ---- keys at a URL -----------------------------------------------------------------------------------

-- The text at the URL and for how many seconds it is fresh; or false, message, code.
function thread.download(identity, options)
  local handle, message, code = keep(identity, core.keys_open, options)
  if not handle then
    return false, message, code
  end
  local text, fresh
  text, fresh, code = core.keys_download(handle)
  return text or false, fresh, code
end

-- ---- Spike -------------------------------------------------------------------------------------------

local function open(source, options)
  if not source then
    return core.spike(nil, options)
  end
  local client, message, code = require("tokenstore.blocking").client(source.url, source.options)
  if not client then
    return nil, message, code
  end
  return core.spike(client, options)
end

-- token, for how many seconds it is valid, in how many it is due for renewal, nil, notes; or message, nil,
-- nil, code, notes, the server's answer. A token that was rejected is invalidated in this VM too.
function thread.get(identity, source, options, request, rejected, given)
  local handle, failure, kind = keep(identity, open, source, options)
  if not handle then
    return failure, nil, nil, kind
  end
  local token, message, code, notes, answer = core.get(handle, request, nil, nil, given)
  if token and token == rejected then
    core.invalidate(handle, request, token)
    token, message, code, notes, answer = core.get(handle, request, nil, nil, given)
  elseif token and given and core.wants(handle, request) then
    core.renew(handle, request, given)
  end
  if not token then
    return message, nil, nil, code, notes, answer
  end
  local good_for, renew_in = core.times(handle, request)
  if not good_for then -- just invalidated
    good_for, renew_in = 0, 0
  end
  return token, good_for, renew_in, nil, notes
end

function thread.invalidate(identity, source, options, request, token)
  local handle, message, code = keep(identity, open, source, options)
  if not handle then
    return nil, message, code
  end
  return core.invalidate(handle, request, token)
end

function thread.initialize(identity, source, options)
  local handle, message, code = keep(identity, open, source, options)
  if not handle then
    return nil, message, code
  end
  return core.initialize(handle)
end

return thread
