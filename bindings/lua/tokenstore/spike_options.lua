-- Checks the arguments of Spike and its methods: unknown names and wrong types raise, invalid values are
-- listed.

local Client = require "tokenstore.client"
local loggers = require "tokenstore.logger"
local options = require "tokenstore.options"

local spike_options = {}

-- Those that are read here, or are not of the core's table, which has all others.
local KINDS = options.kinds("Spike", {
  url = "string",
  client_secret = "any",
  client_assertion = "function",
  redis = "any",
  token_key_prefix = "string",
  discovery = "boolean",
  public_key_path = "string",
  public_key_url = "string",
  jwks_url = "string",
  retry = "table",
  logger = "any",
  ca = "string",
  cert = "string",
  key = "string",
  proxy = "string",
  verify = "boolean",
  connect_timeout = "number",
  scope = "any",
  audience_parameter = "any",
  expect_audience = "any",
})
local RETRY_KINDS = {}
for name, kind in pairs(options.kinds "Spike") do
  if name:find "^retry%." then
    RETRY_KINDS[name:sub(7)], KINDS[name] = kind, nil
  end
end
for _, name in ipairs { "discover", "key_url", "key_text", "client_given", "any_audience" } do
  KINDS[name] = nil -- what spike.lua makes of the others
end
local REQUIRED = { "url", "client_id" }
local KEY_SOURCES = { "public_key_path", "public_key_url", "jwks_url" }
local KEY_SIZE = 2 ^ 20

-- ---- making --------------------------------------------------------------------------------------

-- { name, value, … } sorted by name.
local function read_pairs(parameters, option, level)
  local names, list = {}, {}
  for name, value in next, parameters do
    if type(name) ~= "string" or type(value) ~= "string" then
      error(("bad option '%s' (a table of names and strings expected)"):format(option), level + 1)
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

-- A string, or a list of strings joined by blanks; anything else raises.
function spike_options.join_words(words, kind, name, level)
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

-- false if an option may be turned off; anything else but a string raises.
local function check_text_or_false(o, name, level)
  local value = o[name]
  if value ~= nil and value ~= false and type(value) ~= "string" then
    error(("bad option '%s' (string or false expected, got %s)"):format(name, type(value)), level + 1)
  end
end

-- Unknown names and wrong types raise `level` functions up. Returns the options, the logger, the
-- parameters.
function spike_options.check(given, level)
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
  o.retry = options.check(o.retry or {}, RETRY_KINDS, "option of retry", level + 1)
  o.scope = spike_options.join_words(o.scope, "option", "scope", level + 1)
  check_text_or_false(o, "audience_parameter", level + 1)
  check_text_or_false(o, "expect_audience", level + 1)
  o.parameters = read_pairs(o.parameters or {}, "parameters", level + 1)
  o.headers = read_pairs(o.headers or {}, "headers", level + 1)
  local secret = type(o.client_secret)
  if secret ~= "nil" and secret ~= "string" and secret ~= "function" then
    error("bad option 'client_secret' (string or function expected, got " .. secret .. ")", level + 1)
  end
  o.logger = loggers.read(o.logger, level + 1)
  return o
end

-- A list of errors in values of the right type.
function spike_options.find_faults(o)
  local faults, sources = {}, 0
  if o.url:find "[?#]" then
    faults[1] = "url has a query or a fragment: give only the server, and its endpoint as token_url"
  end
  for _, name in ipairs(KEY_SOURCES) do
    sources = sources + (o[name] and 1 or 0)
  end
  if sources > 1 then
    faults[#faults + 1] =
      "give one of public_key_path, public_key_url and jwks_url: they exclude each other"
  end
  return faults
end

-- The file's contents; nil, message.
function spike_options.read_key(path)
  if path:find("\0", 1, true) then -- io.open would open the file named before it
    return nil, "public_key_path cannot be read: the path contains a NUL byte"
  end
  local file, problem = io.open(path, "rb")
  local text
  if file then
    text, problem = file:read(KEY_SIZE + 1) -- enough for the core to report that it is too long
    problem = problem or "it is empty"
    file:close()
  end
  if text then
    return text
  end
  problem = tostring(problem):gsub("^.*: ", "")
  return nil, "public_key_path cannot be read: " .. problem
end

local GIVEN = { "client_secret", "client_secret_file", "client_assertion", "client_assertion_file" }

-- The source of the client's secret or assertion: client_auth, a function or nil, and whether it is a file.
function spike_options.read_given(o, faults)
  local auth, count = o.client_auth or "auto", 0
  for _, name in ipairs(GIVEN) do
    count = count + (o[name] and 1 or 0)
  end
  if count > 1 then
    faults[#faults + 1] =
      "give one of client_secret, client_secret_file, client_assertion and client_assertion_file"
  end
  if o.client_assertion or o.client_assertion_file then
    if auth == "auto" then
      auth = "client_assertion"
    elseif auth ~= "client_assertion" then
      faults[#faults + 1] = "an assertion is given, and client_auth is not 'client_assertion'"
    end
  elseif auth == "client_assertion" then
    faults[#faults + 1] = "client_assertion is missing: give a function, or client_assertion_file"
  end
  local ask = type(o.client_secret) == "function" and o.client_secret or o.client_assertion
  return auth, ask, o.client_secret_file ~= nil or o.client_assertion_file ~= nil
end

-- The options that the core takes as they are, by its names; spike.lua adds the others.
function spike_options.of_core(o)
  local given = {}
  for name in pairs(options.kinds "Spike") do
    given[name] = o[name]
  end
  for name, value in pairs(o.retry) do
    given["retry." .. name] = value
  end
  return given
end

function spike_options.join(url, path)
  return url:gsub("/+$", "") .. path
end

-- ---- what is asked for ------------------------------------------------------------------------------

local ASKED = { audience = "string", scope = "any", resource = "any", timeout = "number" }
local REJECTED = { audience = "string", scope = "any", resource = "any", token = "string" }

-- The request as one string, as in tokenstore/spike.h: an audience alone is its own. Raises at the caller
-- of the method.
local function write_request(args)
  local audience, texts = args.audience, {}
  for _, name in ipairs { "audience", "scope", "resource" } do
    local text = spike_options.join_words(args[name], "argument", name, 4)
    if text and text:find("\0", 1, true) then
      error(("bad argument '%s' (it contains a NUL byte)"):format(name), 4)
    end
    texts[#texts + 1] = text or ""
  end
  if audience and not (args.scope or args.resource) then
    return audience
  end
  return "\0" .. table.concat(texts, "\0")
end

function spike_options.read_asked(given)
  if type(given) == "table" then
    local args = options.check(given, ASKED, "argument", 3)
    return write_request(args), args.timeout
  elseif type(given) ~= "string" then
    error("bad argument 'audience' (string expected, got " .. type(given) .. ")", 3)
  end
  return write_request { audience = given }
end

function spike_options.read_rejected(given)
  if type(given) ~= "table" then
    error("bad argument #1 (table expected, got " .. type(given) .. ")", 3)
  end
  local args = options.check(given, REJECTED, "argument", 3)
  if args.token == nil then
    error("bad argument 'token' (string expected, got nil)", 3)
  end
  return write_request(args), args.token
end

return spike_options
