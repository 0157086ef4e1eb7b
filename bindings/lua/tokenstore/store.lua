-- Common to all stores: a handle with their options, an own or shared client, and closing.

local Client = require "tokenstore.client"
local core = require "tokenstore.core"
local options = require "tokenstore.options"

local store = {}

-- A class: calling it creates an object. `redis_names` are the names of its first option, `kinds` its own
-- options (name = type). open(options, target) creates the handle, or returns nil, message, code. If
-- options name the server, or are needed later, it returns handle, nil, nil, { target, kea }.
function store.class(name, redis_names, kinds, open)
  local class = { __name = name }
  class.__index = class

  -- Closes the client, unless it was passed in. May be called twice.
  function class:close()
    if self._owns_client then
      self.client:close()
    end
  end

  class.__close = class.close

  -- acting(actor): this store, for what `actor` does - a user, an administrator, a job - as events of the
  -- client's audit say: store:acting("admin:alice"):delete_all{ … }. It shares everything, and need not be
  -- closed.
  function class:acting(actor)
    if type(actor) ~= "string" then
      error("bad argument #1 to 'acting' (string expected, got " .. type(actor) .. ")", 2)
    end
    local other = {}
    for field, value in next, self do
      other[field] = value
    end
    other._owns_client = false
    other._run = self.client:_runner(actor)
    return setmetatable(other, getmetatable(self))
  end

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
      core.look_into(handle, client._near)
      return setmetatable({
        client = client,
        _owns_client = client ~= target,
        _store = handle,
        _handle = client._handle,
        _run = client:_runner(),
        _near = client._near,
        _kea = more.kea,
      }, class)
    end,
  })
end

return store
