-- Shared by the test files: cases, checks, stores with separate keys.
-- luacheck: std max

local tokenstore = require "tokenstore"

local harness = { passed = 0, failed = 0, stress = false, file = "?" }

harness.url = os.getenv "TEST_URL"
harness.dir = os.getenv "TEST_DIR"
harness.lua = os.getenv "TEST_LUA"
harness.is_cluster = (harness.url or ""):find("+cluster", 1, true) ~= nil
harness.has_several = harness.is_cluster or (harness.url or ""):find("+sentinel", 1, true) ~= nil
harness.has_integers = math.type ~= nil

-- Cases that are left out where the URL is of several servers, by their file, with the reason.
local SOCKET = "it takes the URL of a socket apart, or names a database of it"
local ONE_SERVER = {
  redis_jwt = { options = SOCKET },
  run = { ["whether anybody listens"] = SOCKET },
  client = {
    ping = SOCKET, ["a refusal says the server's word for it"] = SOCKET,
    ["the server sees the client's name and database"] = SOCKET,
  },
}
local ONE_PRIMARY = {
  names = { ["Sessions, Tokenstore, RedisJWT"] = "RedisJWT wants braces, which no number has" },
  client = {
    ["replies of every kind"] = "MGET of two slots",
    ["one server is its only node"] = "as it says",
  },
}

local function is_left_out(name)
  local one, primary = ONE_SERVER[harness.file] or {}, ONE_PRIMARY[harness.file] or {}
  return harness.has_several and one[name] or harness.is_cluster and primary[name]
end

-- Runs one case; an error fails it.
function harness.test(name, body)
  if is_left_out(name) then
    return
  end
  local ok, problem = xpcall(body, debug.traceback)
  if ok then
    harness.passed = harness.passed + 1
  else
    harness.failed = harness.failed + 1
    print(("FAILED %s: %s\n  %s"):format(harness.file, name, tostring(problem)))
  end
end

local function show(value)
  if type(value) == "string" then
    return ("%q"):format(#value > 200 and value:sub(1, 200) .. "…" or value)
  end
  return tostring(value)
end

-- Deep and exact: an integer differs from a float, an array from an object.
function harness.same(a, b)
  if type(a) ~= "table" or type(b) ~= "table" then
    if harness.has_integers and math.type(a) ~= math.type(b) then
      return false
    end
    return a == b
  end
  if getmetatable(a) ~= getmetatable(b) then
    return false
  end
  for key, value in pairs(a) do
    if not harness.same(value, b[key]) then
      return false
    end
  end
  for key in pairs(b) do
    if a[key] == nil then
      return false
    end
  end
  return true
end

function harness.equal(got, expected, what)
  if not harness.same(got, expected) then
    error(("%s: got %s, expected %s"):format(what or "value", show(got), show(expected)), 2)
  end
end

function harness.matches(text, part)
  if type(text) ~= "string" or not text:find(part, 1, true) then
    error(("got %s, expected something with %s"):format(show(text), show(part)), 2)
  end
end

-- Checks the three results of a failing call; of a reused token there is a fourth.
function harness.fails(code, part, ...)
  local got, message, got_code = ...
  if select("#", ...) ~= (code == "reused_token" and 4 or 3) or got ~= nil or got_code ~= code then
    error(("got %s, %s, %s; expected a failure of code %s"):format(show(got), show(message),
      show(got_code), show(code)), 2)
  end
  harness.matches(message, part)
end

-- Checks that there is exactly one result.
function harness.only(expected, ...)
  if select("#", ...) ~= 1 then
    error(("got %d results, expected one"):format(select("#", ...)), 2)
  end
  harness.equal((...), expected)
end

-- Checks that the call raises, with a message that contains `part`; returns the message.
function harness.raises(part, body, ...)
  local ok, message = pcall(body, ...)
  if ok then
    error("expected an error with " .. show(part), 2)
  end
  harness.matches(message, part)
  return message
end

local count = 0

-- A prefix that no other case uses, in this run and the previous one.
function harness.prefix()
  count = count + 1
  return ("t%d%s"):format(count, tostring({}):match "0x(%x+)")
end

-- A name whose keys must share a slot: in braces on a cluster.
function harness.tagged(name)
  return harness.is_cluster and "{" .. name .. "}" or name
end

-- The keys that match a pattern, of all primaries.
function harness.keys(client, pattern)
  local all = {}
  for _, keys in pairs(assert(client:for_each_primary("KEYS", pattern))) do
    for _, key in ipairs(keys) do
      all[#all + 1] = key
    end
  end
  return all
end

-- A RedisTokens (or the given class) with a unique prefix.
function harness.store(options, class)
  local prefix = harness.prefix()
  local needs_tag = class == tokenstore.Tokenstore
  local all = { redis = harness.url, prefix = needs_tag and harness.tagged(prefix) or prefix }
  for name, value in pairs(options or {}) do
    all[name] = value
  end
  return assert((class or tokenstore.RedisTokens)(all))
end

-- Under --stress one of `step` cases, in each interpreter others; `make soak` takes all. For the garbage
-- collector a sample of what the core does is enough, and each collection marks the rest.
function harness.sample(list, step)
  if not harness.stress or os.getenv "TOKENSTORE_SOAK" then
    return list
  end
  local some = {}
  local first = ({ ["lua5.1"] = 1, luajit = 2 })[harness.lua] or 0
  for i = first % step + 1, #list, step do
    some[#some + 1] = list[i]
  end
  return some
end

-- Polls until `check` returns a value, for events in another process.
function harness.await(what, check)
  local client = assert(tokenstore.Client(harness.url))
  local started = client:execute("TIME")[1]
  while true do
    local result = check()
    if result then
      client:close()
      return result
    end
    if client:execute("TIME")[1] - started > 20 then
      error("waited in vain for " .. what, 2)
    end
  end
end

return harness
