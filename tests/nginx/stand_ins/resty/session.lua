-- A stand-in for lua-resty-session 4: the documented functions that the tests use. It calls the storage as
-- that does: each save has a new key, and names the old one, which may live for stale_ttl; `info:save` stores
-- under the same key once more. The cookie is the key, and what is stored is not encrypted.

local core = require "tokenstore.core"

local NAME = "session"

local Session = {}
Session.__index = Session

local session = { is_stand_in = true }
local settings, storage

function session.init(given)
  settings = given
  storage = given.storage
  if type(storage) == "string" then
    storage = require(storage).new(given[storage])
  end
end

local function encode(bytes)
  return (ngx.encode_base64(bytes, true):gsub("+", "-"):gsub("/", "_"))
end

function session.new()
  local self = setmetatable({ content = { data = {} } }, Session)
  self.info = {
    set = function(_, name, value)
      self.content["info " .. name] = value
    end,
    save = function()
      return self:store(self.key)
    end,
  }
  return self
end

-- The session, why it was not found, and whether it was.
function session.open()
  local self = session.new()
  local key = ngx.var["cookie_" .. NAME]
  if not key then
    return self, "missing session cookie", false
  end
  local value, message = storage:get(NAME, key, ngx.time())
  if not value then
    return self, message or "unable to load session", false
  end
  self.key, self.content = key, core.decode(value)
  return self, nil, true
end

function session.logout()
  local self, message, exists = session.open()
  if not exists then
    return nil, message, false
  end
  return self:destroy()
end

function Session:set_subject(subject)
  self.content.subject = subject
end

function Session:get_subject()
  return self.content.subject
end

function Session:set(name, value)
  self.content.data[name] = value
end

function Session:get(name)
  return self.content.data[name]
end

function Session:get_property()
  return self.key
end

function Session:metadata()
  local subject = settings.store_metadata and self.content.subject
  return subject and { audiences = { encode "default" }, subjects = { encode(subject) } } or nil
end

function Session:store(key, old_key)
  local ttl, now, value = settings.rolling_timeout, ngx.time(), core.encode(self.content)
  if key == self.key then
    return storage:set(NAME, key, value, ttl, now)
  end
  return storage:set(NAME, key, value, ttl, now, old_key, settings.stale_ttl, self:metadata())
end

function Session:save()
  local key = encode(core.random(32))
  local good, message = self:store(key, self.key)
  if good then
    self.key = key
    ngx.header["Set-Cookie"] = NAME .. "=" .. key .. "; Path=/; SameSite=Lax; HttpOnly"
  end
  return good, message
end

function Session:destroy()
  local good, message = storage:delete(NAME, self.key, ngx.time(), self:metadata())
  if good then
    ngx.header["Set-Cookie"] = NAME .. "=; Path=/; Max-Age=0"
  end
  return good, message
end

return session
