-- The part of nginx_spike.lua that runs in a thread of nginx's, in a Lua VM of its own, which may block. Such
-- a VM serves one job after the other, so what is made here stays: connections, the public key, tokens.

local core = require "tokenstore.oauth"

local thread = {}
local spikes = {} -- by identity

local function open(identity, source, options)
  local spike = spikes[identity]
  if spike then
    return spike
  end
  local client, handle, message, code
  if source then
    client, message, code = require("tokenstore.blocking").client(source.url, source.options)
    if not client then
      return nil, message, code
    end
  end
  handle, message, code = core.spike(client, options)
  if not handle then
    return nil, message, code
  end
  spikes[identity] = handle
  return handle
end

-- token, for how many seconds it is good, in how many it is renewed, nil, notes; or message, nil, nil, code,
-- notes, what the server said. A token that was rejected is invalidated in this VM too.
local function get(handle, request, rejected, given)
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
  if not good_for then -- it was forgotten just now
    good_for, renew_in = 0, 0
  end
  return token, good_for, renew_in, nil, notes
end

function thread.run(identity, source, options, method, request, token, given)
  local handle, message, code = open(identity, source, options)
  if method == "get" then
    if not handle then
      return message, nil, nil, code
    end
    return get(handle, request, token, given)
  elseif not handle then
    return nil, message, code
  elseif method == "invalidate" then
    return core.invalidate(handle, request, token)
  end
  return core.initialize(handle)
end

return thread
