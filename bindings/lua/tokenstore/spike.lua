-- Spike: access tokens from a Spike server, or any OAuth 2.0 server, by client credentials.
--
--     local spike = assert(tokenstore.Spike {
--       url = "https://spike.example", client_id = "my-client", client_secret = "my-secret",
--       redis = "redis://localhost:6379",
--     })
--     local token = assert(spike:get_token "https://api.example")
--
-- A token in memory costs a look-up. Otherwise it is looked for in Redis, where all processes share it,
-- and else asked for at the token endpoint: one process asks, the others wait for it. Past half of its
-- life it is renewed in the background, while the old one is still given out; when that fails, the old
-- one stays in use until `expiration_offset` before its end. A Redis that is down costs a warning in
-- the log, nothing else. Options are explained in spike.d.lua.
--
-- _held has the last token of each audience as a Lua string: C is asked whether it is still the one,
-- and no string is made again.

local Client = require "tokenstore.client"
local loggers = require "tokenstore.logger"
local options = require "tokenstore.options"

local KINDS = {
  url = "string",
  client_id = "string",
  client_secret = "string",
  client_auth = "string",
  client_key = "string",
  client_algorithm = "string",
  redis = "any",
  token_key_prefix = "string",
  redis_key = "string",
  redis_string = "string",
  issuer = "string",
  public_key_path = "string",
  public_key_url = "string",
  jwks_url = "string",
  expiration_offset = "number",
  default_lifetime = "number",
  retry = "table",
  logger = "any",
  ca = "string",
  cert = "string",
  key = "string",
  proxy = "string",
  verify = "boolean",
  connect_timeout = "number",
  token_url = "string",
  scope = "any",
  audience_parameter = "any",
  expect_audience = "any",
  grant_type = "string",
  parameters = "table",
  body_format = "string",
  host_header = "string",
  token_format = "string",
}
local REQUIRED = { "url", "client_id" }
local KEY_SOURCES = { "public_key_path", "public_key_url", "jwks_url" }
local RETRY = { retries = 3, factor = 2, min = 0.1, max = 1, total = 10 }
local RETRY_KINDS = {
  retries = "number", factor = "number", min = "number", max = "number", total = "number",
}
local KEY_SIZE = 2 ^ 20
local NOT_VERIFIED = "TLS certificates are not verified: whoever is in between can read all"

-- ---- making --------------------------------------------------------------------------------------

-- { name, value, … } in the order of the names.
local function read_parameters(parameters, level)
  local names, list = {}, {}
  for name, value in next, parameters do
    if type(name) ~= "string" or type(value) ~= "string" then
      error("bad option 'parameters' (a table of names and strings expected)", level + 1)
    end
    names[#names + 1] = name
  end
  table.sort(names)
  for _, name in ipairs(names) do
    list[#list + 1] = name
    list[#list + 1] = parameters[name]
  end
  return list
end

-- A string, or a list of strings with a blank between two of them; the rest raises.
local function join_words(words, kind, name, level)
  if type(words) == "table" then
    for i, word in ipairs(words) do
      if type(word) ~= "string" then
        error(("bad %s '%s' (strings expected, [%d] is a %s)"):format(kind, name, i, type(word)), level + 1)
      end
    end
    words = table.concat(words, " ")
  elseif words ~= nil and type(words) ~= "string" then
    error(("bad %s '%s' (string expected, got %s)"):format(kind, name, type(words)), level + 1)
  end
  return words
end

-- false where an option may be turned off; the rest that is no string raises.
local function check_text_or_false(o, name, level)
  local value = o[name]
  if value ~= nil and value ~= false and type(value) ~= "string" then
    error(("bad option '%s' (string or false expected, got %s)"):format(name, type(value)), level + 1)
  end
end

-- Wrong names and types raise `level` functions up. Gives the options, the logger, the parameters.
local function check(given, level)
  if type(given) ~= "table" then
    error("bad argument #1 (table of options expected, got " .. type(given) .. ")", level + 1)
  end
  local o = options.check(given, KINDS, "option", level + 1)
  for _, name in ipairs(REQUIRED) do
    if o[name] == nil then
      error(("bad option '%s' (string expected, got nil)"):format(name), level + 1)
    end
  end
  if o.redis ~= nil and type(o.redis) ~= "string" and not Client.is(o.redis) then
    error("bad option 'redis' (URL or Client expected, got " .. type(o.redis) .. ")", level + 1)
  end
  local retry = options.check(o.retry or {}, RETRY_KINDS, "option of retry", level + 1)
  for name, default in pairs(RETRY) do
    retry[name] = retry[name] or default
  end
  o.retry = retry
  o.scope = join_words(o.scope, "option", "scope", level + 1)
  check_text_or_false(o, "audience_parameter", level + 1)
  check_text_or_false(o, "expect_audience", level + 1)
  o.parameters = read_parameters(o.parameters or {}, level + 1)
  o.logger = loggers.read(o.logger, level + 1)
  return o
end

-- A list of what is wrong with values whose types are right.
local function find_faults(o)
  local faults, sources = {}, 0
  if o.url:find "[?#]" then
    faults[1] = "url has a query or a fragment: give the server alone, and its endpoint as token_url"
  end
  if o.body_format and o.body_format ~= "form" and o.body_format ~= "json" then
    faults[#faults + 1] = "body_format must be 'form' or 'json'"
  end
  if o.token_format and o.token_format ~= "jwt" and o.token_format ~= "opaque" then
    faults[#faults + 1] = "token_format must be 'jwt' or 'opaque'"
  end
  if o.audience_parameter == "" then
    faults[#faults + 1] = "audience_parameter must be 'audience', 'resource' or false"
  end
  if o.expect_audience == "" then
    faults[#faults + 1] = "expect_audience is empty: give what aud must be, or false"
  end
  for _, name in ipairs(KEY_SOURCES) do
    sources = sources + (o[name] and 1 or 0)
  end
  if o.redis_key == "" then
    faults[#faults + 1] = "redis_key is empty: leave it out, or give one"
  end
  if sources > 1 then
    faults[#faults + 1] =
      "give one of public_key_path, public_key_url and jwks_url: they exclude each other"
  end
  return faults
end

-- The file's contents; nil, message.
local function read_key(path)
  local file, problem = io.open(path, "rb")
  local text
  if file then
    text, problem = file:read(KEY_SIZE + 1) -- enough for the core to say that it is too long
    problem = problem or "it is empty"
    file:close()
  end
  if text then
    return text
  end
  problem = tostring(problem):gsub("^.*: ", "")
  return nil, "public_key_path cannot be read: " .. problem
end

local function join(url, path)
  return url:gsub("/+$", "") .. path
end

local Spike = {}
Spike.__index = Spike
Spike.__name = "tokenstore.Spike"

-- Hands what was noted to the logger, as function(level, text).
local function log(self, notes)
  if self._logger then
    loggers.write(self._logger, notes)
  end
end

-- Logs what came with results, and gives these.
local function finish(self, result, message, code, notes)
  if notes then
    log(self, notes)
  end
  if message then
    return nil, message, code
  end
  return result
end

-- A Spike of checked options. nil, message, code when it cannot be.
local function open(o)
  local faults = find_faults(o)
  local is_jwt = o.token_format ~= "opaque"
  local key_url = o.public_key_url or o.jwks_url
  local key_text, client, handle, message, code
  if o.public_key_path then
    key_text, message = read_key(o.public_key_path)
    faults[#faults + 1] = message
  end
  if not (key_url or key_text) and is_jwt then
    key_url = join(o.url, "/.well-known/publickey.pem")
  end
  client = o.redis
  if type(client) == "string" then
    client, message, code = Client.open(client, {})
    if code and code ~= "configuration" then
      return nil, message, code
    end
    faults[#faults + 1] = message
  end
  local core = require(Client.nonblocking() and "tokenstore.nginx_spike" or "tokenstore.oauth")
  handle, message, code = core.spike(client and client._handle, {
    token_url = o.token_url or join(o.url, "/oauth2/token"),
    key_url = key_url,
    key_text = key_text,
    client_id = o.client_id,
    client_secret = o.client_secret,
    client_auth = o.client_auth or "basic",
    client_key = o.client_key,
    client_algorithm = o.client_algorithm,
    grant_type = o.grant_type,
    scope = o.scope,
    audience_parameter = o.audience_parameter == nil and "audience" or o.audience_parameter or "",
    expect_audience = o.expect_audience or nil,
    any_audience = o.expect_audience == false,
    parameters = o.parameters,
    host_header = o.host_header,
    json_body = o.body_format == "json",
    opaque = not is_jwt,
    redis_key = client
      and (o.redis_key or (o.token_key_prefix or "spike-tokens-for-clientId-") .. o.client_id) or nil,
    redis_string = o.redis_string,
    issuer = o.issuer,
    ca = o.ca,
    cert = o.cert,
    key = o.key,
    proxy = o.proxy,
    faults = table.concat(faults, "; "),
    insecure = o.verify == false,
    expiration_offset = o.expiration_offset or 10,
    default_lifetime = o.default_lifetime or 0,
    connect_timeout = o.connect_timeout or 5,
    retries = o.retry.retries,
    factor = o.retry.factor,
    min = o.retry.min,
    max = o.retry.max,
    total = o.retry.total,
  })
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
    return open(check(given, 2))
  end,
})

-- ---- methods -------------------------------------------------------------------------------------

local ASKED = { audience = "string", scope = "any", resource = "any", timeout = "number" }
local REJECTED = { audience = "string", scope = "any", resource = "any", token = "string" }

-- What is asked for as one string, as tokenstore/spike.h has it: an audience alone is its own. Raises at the
-- caller of the method.
local function write_request(args)
  local audience, texts = args.audience, {}
  for _, name in ipairs { "audience", "scope", "resource" } do
    local text = join_words(args[name], "argument", name, 4)
    if text and text:find("\0", 1, true) then
      error(("bad argument '%s' (it holds a NUL)"):format(name), 4)
    end
    texts[#texts + 1] = text or ""
  end
  if audience and not (args.scope or args.resource) then
    return audience
  end
  return "\0" .. table.concat(texts, "\0")
end

local function read_asked(given)
  if type(given) == "table" then
    local args = options.check(given, ASKED, "argument", 3)
    return write_request(args), args.timeout
  elseif type(given) ~= "string" then
    error("bad argument 'audience' (string expected, got " .. type(given) .. ")", 3)
  end
  return write_request { audience = given }
end

local function read_rejected(given)
  if type(given) ~= "table" then
    error("bad argument #1 (table expected, got " .. type(given) .. ")", 3)
  end
  local args = options.check(given, REJECTED, "argument", 3)
  if args.token == nil then
    error("bad argument 'token' (string expected, got nil)", 3)
  end
  return write_request(args), args.token
end

-- get_token(audience) or get_token{ audience, scope, resource, timeout }: an access token, good for at least
-- `expiration_offset` seconds.
function Spike:get_token(asked)
  local request, timeout = asked, nil
  local held = self._held[asked]
  if not held then
    request, timeout = read_asked(asked)
    held = self._held[request]
  end
  local token, message, code, notes = self._get(self._handle, request, held, timeout)
  if token ~= held then
    self._held[request] = token
  end
  if message or notes then
    return finish(self, token, message, code, notes)
  end
  return token
end

-- invalidate{ token, audience, scope, resource }: forgets the token, which was answered with 401, here and in
-- Redis, unless it has been replaced meanwhile. True; the failure that Redis could not be told.
function Spike:invalidate(given)
  local request, token = read_rejected(given)
  local done, message, code, notes = self._core.invalidate(self._handle, request, token)
  return finish(self, done, message, code, notes)
end

-- initialize(): fetches the public key now, to learn early whether the server can be reached. True.
-- Twice is fine.
function Spike:initialize()
  local done, message, code, notes = self._core.initialize(self._handle)
  return finish(self, done, message, code, notes)
end

-- Is the public key there (or none needed), and this open?
function Spike:is_initialized()
  return self._core.is_initialized(self._handle)
end

-- Stops renewing, and closes the client unless it was passed in. Twice is fine.
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

-- What get_token_creator gives: called, it gives the token.
local Creator = {}
Creator.__index = Creator
Creator.__name = "tokenstore.TokenCreator"

function Creator:__call()
  return self._spike:get_token(self._audience)
end

-- Closes what is underneath. Twice is fine.
function Creator:close()
  self._spike:close()
end

Creator.__close = Creator.close

function Creator:__tostring()
  return "tokenstore.TokenCreator: " .. self._spike.url
end

-- get_token_creator{ … }: something to call for an access token, from the options of the Node package
-- spike-get-token, in their own names, and `logger`. All faults come in one message.
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
