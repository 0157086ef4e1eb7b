-- The result of jwt.KeySet.from_url: the public keys at a URL, fetched and cached. jwt.decode accepts it as
-- key.
--
-- tokenstore.oauth fetches, in nginx tokenstore.nginx_keys, which has the same functions.

local Client = require "tokenstore.client"
local loggers = require "tokenstore.logger"
local options = require "tokenstore.options"

local KINDS = {
  url = "string",
  max_age = "number",
  max_stale = "number",
  min_interval = "number",
  timeout = "number",
  ca = "string",
  cert = "string",
  key = "string",
  proxy = "string",
  verify = "boolean",
  logger = "any",
}
local NOT_VERIFIED = "the server of the keys is not verified: an attacker on the network can replace them"

local RemoteKeySet = {}
RemoteKeySet.__index = RemoteKeySet
RemoteKeySet.__name = "tokenstore.jwt.RemoteKeySet"

-- True for a RemoteKeySet.
function RemoteKeySet.is(value)
  return type(value) == "table" and getmetatable(value) == RemoteKeySet
end

-- Implements from_url. Unknown names and wrong types raise at the caller of the function that calls this.
function RemoteKeySet.open(given)
  if type(given) == "string" then
    given = { url = given }
  end
  local o = options.check(given, KINDS, "option", 3)
  if o.url == nil then
    error("bad option 'url' (string expected, got nil)", 3)
  end
  local core = require(Client.nonblocking() and "tokenstore.nginx_keys" or "tokenstore.oauth")
  local logger = loggers.read(o.logger, 3) or core.log -- in nginx: its error log
  local handle, message, code = core.keys_open {
    url = o.url,
    max_age = o.max_age or 600,
    max_stale = o.max_stale or 3600,
    min_interval = o.min_interval or 10,
    timeout = o.timeout or 5,
    ca = o.ca,
    cert = o.cert,
    key = o.key,
    proxy = o.proxy,
    insecure = o.verify == false,
  }
  if not handle then
    return nil, message, code
  end
  if o.verify == false and logger then
    loggers.write(logger, "w" .. NOT_VERIFIED .. "\n")
  end
  return setmetatable({ _core = core, _handle = handle, _logger = logger }, RemoteKeySet)
end

-- newer(seen): the KeySet newer than version `seen` (0: any), and its version; false if there is none. For
-- jwt.decode.
function RemoteKeySet:newer(seen)
  local keys, version, code, notes = self._core.keys_get(self._handle, seen)
  if notes and self._logger then
    loggers.write(self._logger, notes)
  end
  return keys, version, code
end

-- helped(): a token was valid only with newer keys. For jwt.decode.
function RemoteKeySet:helped()
  self._core.keys_helped(self._handle)
end

-- get(): the current KeySet, fetched if there is none.
function RemoteKeySet:get()
  local keys, message, code = self:newer(0)
  if keys then
    return keys
  end
  return nil, message, code
end

-- Cancels a fetch in progress; decode fails from now on. May be called twice.
function RemoteKeySet:close()
  local _, _, _, notes = self._core.keys_close(self._handle)
  if notes and self._logger then
    loggers.write(self._logger, notes)
  end
end

RemoteKeySet.__close = RemoteKeySet.close

function RemoteKeySet:__tostring()
  return "tokenstore.jwt.RemoteKeySet"
end

return RemoteKeySet
