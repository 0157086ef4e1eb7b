-- Spike: access tokens from a Spike server, or any OAuth 2.0 server, by client credentials.
--
--     local spike = assert(tokenstore.Spike {
--       url = "https://spike.example", client_id = "my-client", client_secret = "my-secret",
--       redis = "redis://localhost:6379",
--     })
--     local token = assert(spike:get_token "https://api.example")
--
-- A token in memory costs a look-up. Otherwise it is read from Redis, where all processes share it, or else
-- requested at the token endpoint: one process asks, the others wait for it. Past half of its life it is
-- renewed in the background, while the old one is still returned; if that fails, the old one stays in use
-- until `expiration_offset` before its expiry. A Redis that is down costs only a warning in the log.
-- Options are explained in spike.d.lua.
--
-- _held has the last token of each audience as a Lua string: C checks whether it is still current, which
-- saves creating the string again.

local Client = require "tokenstore.client"
local loggers = require "tokenstore.logger"
local spike_options = require "tokenstore.spike_options"

local NOT_VERIFIED = "TLS certificates are not verified: an attacker on the network can read everything"

local Spike = {}
Spike.__index = Spike
Spike.__name = "tokenstore.Spike"

-- Passes notes to the logger, as function(level, text).
local function log(self, notes)
  if self._logger then
    loggers.write(self._logger, notes)
  end
end

-- Logs the notes of results, and returns the results.
local function finish(self, result, message, code, notes, answer)
  if notes then
    log(self, notes)
  end
  if message then
    return nil, message, code, answer
  end
  return result
end

-- A Spike of checked options; or nil, message, code.
local function open(o)
  local faults = spike_options.find_faults(o)
  local is_jwt = o.token_format ~= "opaque"
  local key_url = o.public_key_url or o.jwks_url
  local key_text, client, handle, message, code
  if o.public_key_path then
    key_text, message = spike_options.read_key(o.public_key_path)
    faults[#faults + 1] = message
  end
  if not (key_url or key_text or o.discovery) and is_jwt then
    key_url = spike_options.join(o.url, "/.well-known/publickey.pem")
  end
  client = o.redis
  if type(client) == "string" then
    client, message, code = Client.open(client, {})
    if code and code ~= "configuration" then
      return nil, message, code
    end
    faults[#faults + 1] = message
  end
  local auth, ask, file = spike_options.read_given(o, faults)
  local core = require(Client.nonblocking() and "tokenstore.nginx_spike" or "tokenstore.oauth")
  local given = spike_options.of_core(o)
  given.discover = o.discovery and o.url or nil
  given.token_url = o.token_url or not o.discovery and spike_options.join(o.url, "/oauth2/token") or nil
  given.key_url = key_url
  given.key_text = key_text
  given.client_auth = auth
  if ask or file then
    given.client_secret = nil
  end
  given.client_given = ask ~= nil or file
  given.audience_parameter = o.audience_parameter == false and "none" or o.audience_parameter
  given.expect_audience = o.expect_audience or nil
  given.any_audience = o.expect_audience == false
  given.redis_key = (client or o.redis_key == "")
    and (o.redis_key or (o.token_key_prefix or "spike-tokens-for-clientId-") .. o.client_id) or nil
  handle, message, code = core.spike(client and client._handle, {
    spike = given,
    http = {
      ca = o.ca, cert = o.cert, key = o.key, proxy = o.proxy, insecure = o.verify == false,
      connect_timeout = o.connect_timeout,
    },
    faults = table.concat(faults, "; "),
  }, ask)
  if not handle then
    if client and client ~= o.redis then
      client:close()
    end
    return nil, message, code
  end
  local self = setmetatable({
    url = o.url:match "[^@]*$",
    client = client,
    _owns_client = client ~= o.redis,
    _core = core,
    _get = core.get,
    _ask = core.asks_itself == nil and ask or nil,
    _handle = handle,
    _held = {},
    _logger = o.logger,
  }, Spike)
  if o.verify == false then
    log(self, "w" .. NOT_VERIFIED .. "\n")
  end
  return self
end

setmetatable(Spike, {
  __call = function(_, given)
    return open(spike_options.check(given, 2))
  end,
})

-- ---- methods -------------------------------------------------------------------------------------

local ASKING = "the function for client_secret or client_assertion: "

-- The function's result for the client's secret or assertion; nil, message, code. Its errors are raised.
local function ask(self)
  local given, problem = self._ask()
  if type(given) == "string" and given ~= "" then
    return given
  end
  problem = given == nil and problem ~= nil and tostring(problem)
    or "it returned " .. (given == "" and "an empty string" or "a " .. type(given))
  return nil, ASKING .. problem, "configuration"
end

-- Continues if C needs the function's result: for a missing token, or to renew one that is returned
-- meanwhile. In the latter case a failure is only logged.
local function ask_for(self, request, timeout, token, message, code, notes, answer)
  if token == false then
    local given
    given, message, code = ask(self)
    if not given then
      return nil, message, code, notes
    end
    return self._get(self._handle, request, nil, timeout, given)
  elseif token and self._core.wants(self._handle, request) then
    local called, given, problem = pcall(ask, self)
    if called and given then
      self._core.renew(self._handle, request, given)
    else
      log(self, "wnot renewed: " .. (called and problem or ASKING .. "it raised") .. "\n")
    end
  end
  return token, message, code, notes, answer
end

-- discover{ issuer, … }: a Spike with `discovery` for the issuer, its metadata and public key are read.
-- The options are Spike's, `url` may be called `issuer`.
function Spike.discover(given)
  local named = { discovery = true }
  if type(given) == "table" then
    for name, value in next, given do
      named[name] = value
    end
    if named.url == nil then
      named.url, named.issuer = named.issuer, nil
    end
  end
  local self, message, code = open(spike_options.check(type(given) == "table" and named or given, 2))
  if not self then
    return nil, message, code
  end
  local done
  done, message, code = self:initialize()
  if not done then
    self:close()
    return nil, message, code
  end
  return self
end

-- get_token(audience) or get_token{ audience, scope, resource, timeout }: an access token, valid for at
-- least `expiration_offset` seconds.
function Spike:get_token(asked)
  local request, timeout = asked, nil
  local held = self._held[asked]
  if not held then
    request, timeout = spike_options.read_asked(asked)
    held = self._held[request]
  end
  local token, message, code, notes, answer = self._get(self._handle, request, held, timeout)
  if self._ask then
    token, message, code, notes, answer =
      ask_for(self, request, timeout, token, message, code, notes, answer)
  end
  if token ~= held then
    self._held[request] = token
  end
  if message or notes then
    return finish(self, token, message, code, notes, answer)
  end
  return token
end

-- invalidate{ token, audience, scope, resource }: forgets the token, which was rejected with 401, here and in
-- Redis, unless it has been replaced meanwhile. True; a failure means that Redis could not be updated.
function Spike:invalidate(given)
  local request, token = spike_options.read_rejected(given)
  local done, message, code, notes = self._core.invalidate(self._handle, request, token)
  return finish(self, done, message, code, notes)
end

-- initialize(): fetches the public key, and the metadata of `discovery`, now, to learn early whether the
-- server can be reached. True. May be called twice.
function Spike:initialize()
  local done, message, code, notes, answer = self._core.initialize(self._handle)
  return finish(self, done, message, code, notes, answer)
end

-- True if the public key is loaded (or not needed), and this object is open.
function Spike:is_initialized()
  return self._core.is_initialized(self._handle)
end

-- Stops renewing, and closes the client unless it was passed in. May be called twice.
function Spike:close()
  local _, _, _, notes = self._core.close(self._handle)
  self._held = {}
  if self._owns_client then
    self.client:close()
  end
  if notes then
    log(self, notes)
  end
end

Spike.__close = Spike.close

function Spike:__tostring()
  return "tokenstore.Spike: " .. self.url
end

Spike.getToken = Spike.get_token
Spike.isInitialized = Spike.is_initialized

-- ---- get_token_creator ---------------------------------------------------------------------------

-- The result of get_token_creator: a callable that returns the token.
local Creator = {}
Creator.__index = Creator
Creator.__name = "tokenstore.TokenCreator"

function Creator:__call()
  return self._spike:get_token(self._audience)
end

-- Closes the underlying objects. May be called twice.
function Creator:close()
  self._spike:close()
end

Creator.__close = Creator.close

function Creator:__tostring()
  return "tokenstore.TokenCreator: " .. self._spike.url
end

-- get_token_creator{ … }: a callable that returns an access token, from the options of the Node package
-- spike-get-token, by their names, and `logger`. One message lists all errors.
local function get_token_creator(given)
  if type(given) ~= "table" then
    error("bad argument #1 (table of options expected, got " .. type(given) .. ")", 2)
  end
  local named = {}
  for name, value in next, given do
    if name ~= "logger" then
      named[name] = value
    end
  end
  local logger = loggers.read(given.logger, 2)
  local o, message, code = require("tokenstore.oauth").creator(named)
  if not o then
    return nil, message, code
  end
  local host = o.redis_host
  if host and not host:find("://", 1, true) then
    host = "redis://" .. host
  end
  local spike
  spike, message, code = open {
    url = o.token_url:match "^[^?]*",
    client_id = o.client_id,
    client_secret = o.client_secret,
    client_auth = "basic_raw", -- as the Node packages do
    redis = host,
    redis_key = o.redis_key,
    redis_string = o.redis_string,
    public_key_path = o.key_path,
    public_key_url = o.key_url,
    retry = { retries = o.retries, factor = 1, min = o.sleep, max = o.sleep, total = o.total },
    parameters = {},
    headers = {},
    logger = logger,
    verify = o.validate,
    token_url = o.token_url,
    grant_type = o.grant_type,
    host_header = o.host_header,
  }
  if not spike then
    return nil, message, code
  end
  return setmetatable({ _spike = spike, _audience = o.audience }, Creator)
end

return { Spike = Spike, get_token_creator = get_token_creator }
