-- What the stores have in common: a handle with their options, a client of their own or a shared one,
-- and closing.

local Client = require "tokenstore.client"
local options = require "tokenstore.options"

local store = {}

-- A class: calling it makes an object. `redis_names` are what its first option may be called, `kinds` the
-- options of its own (name = type). open(options, target) makes the handle, or gives nil, message, code.
-- Where options say where the server is, or are wanted later, it gives handle, nil, nil, { target, kea }.
function store.class(name, redis_names, kinds, open)
  local class = { __name = name }
  class.__index = class

  -- Closes the client, unless it was passed in. Twice is fine.
  function class:close()
    if self._owns_client then
      self.client:close()
    end
  end

  class.__close = class.close

  function class:__tostring()
    return name .. ": " .. self.client.url
  end

  return setmetatable(class, {
    __call = function(_, redis, given)
      local target, client_options, store_options =
        options.read(redis, given, Client.is, redis_names, kinds)
      local handle, message, code, more = open(store_options, target)
      if not handle then
        return nil, message, code
      end
      more = more or {}
      target = more.target or target
      local client = target
      if not Client.is(target) then
        client, message, code = Client.open(target, client_options)
        if not client then
          return nil, message, code
        end
      end
      return setmetatable({
        client = client,
        _owns_client = client ~= target,
        _store = handle,
        _handle = client._handle,
        _run = client._run,
        _kea = more.kea,
      }, class)
    end,
  })
end

return store
