-- RedisJWT: the Node package's behaviour, row by row of docs/reference/redis-jwt.md, then what is Lua's own.

local harness = require "harness"
local tokenstore = require "tokenstore"
local equal, fails, only, raises = harness.equal, harness.fails, harness.only, harness.raises
local test = harness.test

local SECRET = "a secret of thirty-two bytes, yes"
local NOBODY = harness.tagged "nobody"
local count = 0

-- A user that no other case uses.
local function user()
  count = count + 1
  return harness.tagged(("user%d%s"):format(count, tostring({}):match "0x(%x+)"))
end

local function open(options)
  local all = { redis = harness.url, secret = SECRET }
  for name, value in pairs(options or {}) do
    all[name] = value
  end
  return assert(tokenstore.RedisJWT(all))
end

local function key_of(sessions, token)
  return assert(sessions:verify { token = token }).rjwt
end

local function is_live(sessions, token)
  local found, _, code = sessions:verify { token = token }
  assert(found or code == "invalid_token")
  return found ~= nil
end

test("max_size", function()
  local usual, large, id = open(), open { max_size = 16384 }, user()
  local data = { text = ("x"):rep(9000) }
  fails("data", "max_size", usual:sign { id = id, data_token = data })
  local token = assert(large:sign { id = id, data_token = data })
  equal(assert(large:verify { token = token }).dataToken.text, data.text)
  fails("invalid_token", "max_size is 8192", usual:verify { token = token })
  for _, size in ipairs { 0, 1.5, 2 ^ 20 + 1 } do
    local options = { redis = harness.url, secret = SECRET, max_size = size }
    fails("configuration", "max_size must be", tokenstore.RedisJWT(options))
  end
end)

-- ---- the rows of docs/reference/redis-jwt.md -----------------------------------------------------------

test("sign", function()
  local sessions, id = open(), user()
  local token = assert(sessions:sign { id = id })
  local claims = assert(tokenstore.jwt.decode {
    token = token, key = tokenstore.jwt.Key.from_secret(SECRET), algorithms = { "HS256" },
  })
  assert(claims.rjwt:sub(1, #id) == id and claims.rjwt:sub(#id + 1):match("^:" .. ("%w"):rep(11) .. "$"))
  assert(type(claims.iat) == "number")
  equal(sessions.client:execute("GET", claims.rjwt), '{"rjwt":"' .. claims.rjwt .. '"}')
  equal(sessions.client:execute("TTL", claims.rjwt), -1)
end)

test("sign_ttl", function()
  local sessions = open()
  for ttl, seconds in pairs { ["15 minutes"] = 900, [60] = 60, ["1.5h"] = 5400 } do
    equal(sessions:verify { token = sessions:sign { id = user(), ttl = ttl } }.ttl, seconds)
  end
  fails("data", "is not a duration", sessions:sign { id = user(), ttl = "15" })
  fails("data", "ttl must be", sessions:sign { id = user(), ttl = 0 })
  raises("'ttl' (number or string expected", sessions.sign, sessions, { id = user(), ttl = {} })
end)

test("sign_data_token", function()
  local sessions = open()
  local token = sessions:sign { id = user(), dataToken = { world = "hello" } }
  equal(sessions:verify { token = token }.dataToken, { world = "hello" })
end)

test("sign_data_session", function()
  local sessions = open()
  local key = key_of(sessions, sessions:sign { id = user(), data_session = { hello = "world" } })
  equal(sessions.client:execute("GET", key),
    '{"rjwt":"' .. key .. '","dataSession":{"hello":"world"}}')
end)

test("verify", function()
  local sessions, id = open(), user()
  local token = sessions:sign { id = id, ttl = 60, data_token = { a = 1 }, data_session = { b = 2 } }
  local found = assert(sessions:verify { token = token })
  equal({ found.id, found.ttl, found.dataToken, found.dataSession }, { id, 60, { a = 1 } })
end)

test("verify_plain", function()
  local sessions, id = open(), user()
  local token = sessions:sign { id = id, ttl = 60, data_session = { b = 2 } }
  local claims = assert(tokenstore.jwt.decode {
    token = token, key = tokenstore.jwt.Key.from_secret(SECRET), algorithms = { "HS256" },
  })
  equal(sessions:verify { token = token },
    { rjwt = claims.rjwt, iat = claims.iat, id = id, ttl = 60 })
  equal(sessions:verify { token = token, value_session = true },
    { rjwt = claims.rjwt, iat = claims.iat, id = id, ttl = 60, dataSession = { b = 2 } })
end)

test("verify_value", function()
  local sessions = open()
  local token = sessions:sign { id = user(), data_session = { b = { 1, { c = tokenstore.array() } } } }
  equal(sessions:verify { token = token, value_session = true }.dataSession.b[1], 1)
  equal(sessions:verify { token = sessions:sign { id = user() }, valueSession = true }.dataSession, nil)
end)

test("verify_wrong", function()
  local token = open({ secret = "another secret of thirty-two bytes" }):sign { id = user() }
  fails("invalid_token", "", open():verify { token = token })
  fails("invalid_token", "", open():verify { token = "" })
end)

test("verify_ended", function()
  local sessions = open()
  local token = sessions:sign { id = user() }
  only(true, sessions:destroy { rjwt = key_of(sessions, token) })
  fails("invalid_token", "the session has ended", sessions:verify { token = token })
end)

test("single", function()
  local sessions, id = open(), user()
  local first, second = sessions:sign { id = id }, sessions:sign { id = id }
  equal({ is_live(sessions, first), is_live(sessions, second) }, { false, true })
end)

test("multiple", function()
  local sessions, id = open { multiple = true }, user()
  local first, second = sessions:sign { id = id }, sessions:sign { id = id }
  equal({ is_live(sessions, first), is_live(sessions, second) }, { true, true })
end)

test("exec", function()
  only("PONG", open():exec():execute "PING")
end)

test("ping", function()
  only("PONG", open():call():ping())
end)

test("call_create", function()
  local sessions, id = open(), user()
  local old, key = sessions:sign { id = id }, id .. ":abcdefghijk"
  only(true, sessions:call():create(key, '{"rjwt":"' .. key .. '"}', "1 day"))
  equal(sessions.client:execute("TTL", key), 86400)
  equal(is_live(sessions, old), false)
  fails("data", "not a session", sessions:call():create("x", "{}"))
end)

test("exists", function()
  local sessions = open()
  local key = key_of(sessions, sessions:sign { id = user() })
  only(true, sessions:call():exists(key))
  sessions:destroy { rjwt = key }
  only(false, sessions:call():exists(key))
end)

test("ttl", function()
  local sessions = open()
  local call = sessions:call()
  only(50, call:ttl(key_of(sessions, sessions:sign { id = user(), ttl = 50 })))
  only(-1, call:ttl(key_of(sessions, sessions:sign { id = user() })))
  only(-2, call:ttl(NOBODY .. ":abcdefghijk"))
end)

test("get_value_by_key", function()
  local sessions = open()
  local key = key_of(sessions, sessions:sign { id = user() })
  only('{"rjwt":"' .. key .. '"}', sessions:call():get_value_by_key(key))
  only(nil, sessions:call():getValueByKey(NOBODY .. ":abcdefghijk"))
end)

test("get_values_by_pattern", function()
  local sessions, id = open { multiple = true }, user()
  local keys = {}
  for _ = 1, 3 do
    keys['{"rjwt":"' .. key_of(sessions, sessions:sign { id = id }) .. '"}'] = true
  end
  local values = assert(sessions:call():get_values_by_pattern(id))
  equal(#values, 3)
  for _, value in ipairs(values) do
    assert(keys[value])
  end
  only({}, sessions:call():getValuesByPattern(NOBODY))
end)

test("get_count_by_pattern", function()
  local sessions, id = open { multiple = true }, user()
  sessions:sign { id = id }
  sessions:sign { id = id }
  only(2, sessions:call():get_count_by_pattern(id))
  only(0, sessions:call():getCountByPattern(harness.tagged "*"))
end)

test("get_info", function()
  local call = open():call()
  harness.matches(call:get_info "server", "# Server")
  assert(call:getInfo "DBSIZE" >= 0)
end)

test("call_destroy", function()
  local sessions = open()
  local key = key_of(sessions, sessions:sign { id = user() })
  only(true, sessions:call():destroy(key))
  only(false, sessions:call():destroy(key))
end)

test("destroy_multiple", function()
  local sessions, id = open { multiple = true }, user()
  local token = sessions:sign { id = id }
  sessions:sign { id = id }
  only(2, sessions:call():destroy_multiple(id))
  only(0, sessions:destroyMultiple { id = id })
  equal(is_live(sessions, token), false)
end)

test("options", function()
  local path = assert(harness.url:match "^unix://(.*)$")
  local sessions = assert(tokenstore.RedisJWT { host = path, db = 3, maxretries = 10, secret = SECRET })
  local key = key_of(sessions, sessions:sign { id = user() })
  equal(sessions:exec():execute("EXISTS", key), 1)
  equal(open().client:execute("EXISTS", key), 0) -- it is in database 3
  equal(tokenstore.RedisJWT({ host = "::1", port = 7, auth = "p w", secret = SECRET }).client.url,
    "redis://[::1]:7/0")
end)

test("every row of the documentation has its test", function()
  local file = io.open(harness.here .. "/../../docs/reference/redis-jwt.md")
  if not file then
    return -- the tests run without the documentation
  end
  local page = file:read "*a"
  file:close()
  local text = io.open(harness.here .. "/test_redis_jwt.lua"):read "*a"
  local rows = 0
  for name in (page:match "%-%- rows: .-\n\n(.-)\n\n" .. "\n"):gmatch "| `([%w_]+)` |\n" do
    rows = rows + 1
    assert(text:find('\ntest("' .. name .. '"', 1, true), name)
  end
  assert(rows > 15, rows)
end)

-- ---- beyond the Node package ---------------------------------------------------------------------

test("list shows the newest first", function()
  local sessions, id = open { multiple = true }, user()
  for n = 1, 3 do
    sessions:sign { id = id, ttl = 100, data_session = { n = n } }
  end
  local found = assert(sessions:list { id = id })
  equal({ #found, found[1].dataSession.n, found[3].dataSession.n, found[1].ttl }, { 3, 3, 1, 100 })
  only({}, sessions:list { id = NOBODY })
end)

test("signing ends the oldest beyond max_sessions", function()
  local sessions, id = open { max_sessions = 2 }, user()
  local tokens = {}
  for n = 1, 3 do
    tokens[n] = sessions:sign { id = id }
  end
  equal({ is_live(sessions, tokens[1]), is_live(sessions, tokens[2]) }, { false, true })
end)

test("create keeps who asked", function()
  local sessions = open()
  local token = assert(sessions:create {
    id = user(), data = { role = "admin" }, ttl = "1 hour", request = { address = "10.0.0.1" },
  })
  local data = sessions:verify { token = token, value_session = true }.dataSession
  equal({ data.role, data.request.address, data.request.user_agent },
    { "admin", "10.0.0.1", tokenstore.null })
  fails("data", "request", sessions:create { id = user(), data = { request = 1 }, request = {} })
  raises("unknown argument 'nonsense'", sessions.create, sessions, { id = "x", nonsense = 1 })
  raises("request", sessions.create, sessions, { id = "x", request = 1 })
end)

-- tests/python/test_redis_jwt.py has the same list.
test("create takes whatever a client put into its headers", function()
  local sessions = open()
  local headers = {
    ["caf\195\169"] = "caf\195\169",
    ["caf\233"] = "caf\195\169", -- Latin-1
    ["caf\195\169 \233"] = "caf\195\131\194\169 \195\169", -- not UTF-8 as a whole
    ["\226\130\172 \240\159\152\128"] = "\226\130\172 \240\159\152\128",
    ["\226\130"] = "\195\162\194\130", -- truncated
    ["\192\128"] = "\195\128\194\128", -- overlong
    ["\237\160\128"] = "\195\173\194\160\194\128", -- a surrogate
    ["\224\128\128"] = "\195\160\194\128\194\128",
    ["\240\128\128\128"] = "\195\176\194\128\194\128\194\128",
    ["\244\144\128\128"] = "\195\180\194\144\194\128\194\128", -- beyond Unicode
    ["\226\195\169\130\172"] = "\195\162\195\131\194\169\194\130\194\172",
    ["\255"] = "\195\191",
    ["a\0\233"] = "a \195\169",
    [""] = "",
  }
  for sent, kept in pairs(headers) do
    local token = assert(sessions:create { id = user(), request = { address = sent, user_agent = sent } })
    equal(sessions:verify { token = token, value_session = true }.dataSession.request,
      { address = kept, user_agent = kept })
  end
  local twice = { "caf\233", "caf\195\169" }
  local token = assert(sessions:create { id = user(), request = { user_agent = twice } })
  equal(sessions:verify { token = token, value_session = true }.dataSession.request,
    { address = tokenstore.null, user_agent = "caf\195\169, caf\195\169" })
end)

test("create refuses what is no text elsewhere, and what is too long", function()
  local sessions, strange = open(), "caf\233"
  fails("data", "UTF-8", sessions:create { id = user(), data = { note = strange }, request = {} })
  fails("data", "UTF-8", sessions:create { id = user(), data = { [strange] = 1 }, request = {} })
  fails("data", "max_data_size", open { max_data_size = 100 }:create {
    id = user(), request = { user_agent = ("x"):rep(100) },
  })
end)

test("reindex takes what Node wrote", function()
  local sessions, id = open { multiple = true }, user()
  local key = id .. ":ABCDEFGHIJK"
  sessions.client:execute("SET", key, '{"rjwt":"' .. key .. '"}')
  only({}, sessions:list { id = id })
  assert(sessions:reindex() >= 1)
  only(0, sessions:reindex { timeout = 30 })
  equal(sessions:list({ id = id })[1].rjwt, key)
end)

test("node_writers looks by SCAN", function()
  local sessions, id = open { node_writers = true }, user()
  local key = id .. ":ABCDEFGHIJK"
  sessions.client:execute("SET", key, '{"rjwt":"' .. key .. '"}')
  equal(sessions:list({ id = id })[1].rjwt, key)
  sessions:sign { id = id }
  equal(sessions.client:execute("EXISTS", key), 0)
  sessions.client:execute("SET", key, "another program's")
  sessions:sign { id = id }
  only(1, sessions:destroy_multiple { id = id })
  equal(sessions.client:execute("GET", key), "another program's")
end)

test("destroy_multiple finds sessions whose index was evicted", function()
  local sessions, id = open { multiple = true }, user()
  local admin = assert(tokenstore.Client(harness.url))
  local function evict(limit, policy)
    admin:for_each_primary("CONFIG", "SET", "maxmemory", limit)
    admin:for_each_primary("CONFIG", "SET", "maxmemory-policy", policy)
  end
  local token = sessions:sign { id = id }
  admin:execute("DEL", "rjwt-sessions/" .. id)
  only(0, sessions:destroy_multiple { id = id })
  evict("1gb", "allkeys-lru")
  local ended = sessions:destroy_multiple { id = id }
  evict("0", "noeviction")
  equal(ended, 1)
  assert(not is_live(sessions, token))
end)

test("sign ends sessions whose index was evicted", function()
  local sessions, id = open(), user()
  local admin = assert(tokenstore.Client(harness.url))
  admin:for_each_primary("CONFIG", "SET", "maxmemory", "1gb")
  admin:for_each_primary("CONFIG", "SET", "maxmemory-policy", "allkeys-lru")
  local first = sessions:sign { id = id }
  admin:execute("DEL", "rjwt-sessions/" .. id)
  local second = sessions:sign { id = id }
  admin:for_each_primary("CONFIG", "SET", "maxmemory", "0")
  admin:for_each_primary("CONFIG", "SET", "maxmemory-policy", "noeviction")
  assert(not is_live(sessions, first))
  assert(is_live(sessions, second))
end)

test("what does not say its own name is no session", function()
  local sessions, id = open { multiple = true }, user()
  local token = sessions:sign { id = id, data_session = { n = 1 } }
  local key, client = sessions:verify({ token = token }).rjwt, sessions.client
  local whole = client:execute("GET", key)
  for _, command in ipairs {
    { "SET", key, "another program's" }, { "SET", key, whole:sub(1, -2) }, { "HSET", key, "a", "b" },
    { "RPUSH", key, "a" },
  } do
    client:execute("DEL", key)
    client:execute((unpack or table.unpack)(command))
    local is_text = command[1] == "SET"
    for _, value_session in ipairs { false, true } do
      if is_text then
        fails("data", "is not this session", sessions:verify { token = token, value_session = value_session })
      else
        fails("invalid_token", "has ended", sessions:verify { token = token, value_session = value_session })
      end
    end
    only(false, sessions:call():exists(key))
    only(-2, sessions:call():ttl(key))
    only(nil, sessions:call():get_value_by_key(key))
    if command[3] ~= whole:sub(1, -2) then
      only(false, sessions:destroy { rjwt = key })
      only(0, sessions:destroy_multiple { id = id })
      fails("data", "nothing was changed", sessions:call():create(key, whole))
    end
    equal(client:execute("EXISTS", key), 1)
  end
end)

test("events tell when a session ends", function()
  local sessions, id = open { kea = true }, user()
  if rawget(_G, "ngx") then
    fails("configuration", "would block nginx", sessions:events { keepalive = 5 })
    return
  end
  local events = assert(sessions:events { keepalive = 5 })
  local told = {}
  only(true, sessions:on("del", function(event) told[#told + 1] = event.id end))
  local key = key_of(sessions, sessions:sign { id = id })
  sessions:sign { id = id } -- which ends the previous one
  local event
  repeat
    event = assert(events:next(10))
  until event.id == id
  equal({ event.kind, event.rjwt }, { "del", key })
  repeat
    assert(sessions:poll(10) > 0)
  until told[#told] == id
  events:close()
  sessions:close()
end)

test("what is refused", function()
  fails("configuration", "secret is missing", tokenstore.RedisJWT { redis = harness.url })
  fails("configuration", "too short", tokenstore.RedisJWT { redis = harness.url, secret = "short" })
  fails("configuration", "not both",
    tokenstore.RedisJWT { secret = SECRET, multiple = true, max_sessions = 2 })
  fails("configuration", "whole number", tokenstore.RedisJWT { secret = SECRET, max_sessions = 0 })
  fails("configuration", "twice",
    tokenstore.RedisJWT { redis = harness.url, host = "x", secret = SECRET })
  fails("configuration", "cannot sign", tokenstore.RedisJWT { secret = SECRET, algorithm = "RS256" })
  raises("'host' (string expected", tokenstore.RedisJWT, { host = 1, secret = SECRET })
  raises("Key expected", tokenstore.RedisJWT, { secret = { "x" } })
  for _, port in ipairs { 0, 1.5, 65536, 0 / 0 } do
    fails("configuration", "port must be", tokenstore.RedisJWT { port = port, secret = SECRET })
  end
  for _, host in ipairs { "", "a@b", "h/5?timeout=1" } do
    fails("configuration", "host", tokenstore.RedisJWT { host = host, secret = SECRET })
  end
  equal(assert(tokenstore.RedisJWT { host = "::1", secret = SECRET }).client.url, "redis://[::1]:6379/0")
  local inherited = setmetatable({ host = "127.0.0.1", secret = SECRET }, {})
  equal(assert(tokenstore.RedisJWT(inherited)).client.url, "redis://127.0.0.1:6379/0")
  local sessions = open()
  for _, id in ipairs { "", "a:b", ("x"):rep(1025), "nul\0" } do
    fails("data", "id", sessions:sign { id = id })
    fails("data", "id", sessions:list { id = id })
  end
  raises("'id'", sessions.sign, sessions, {})
  raises("'data' (table expected", sessions.create, sessions, { id = "x", data = false })
  raises("tokenstore.store expected", sessions.sign, { _run = print, _handle = 1 }, { id = "x" })
end)

test("keys change without logging anybody out", function()
  local old = tokenstore.jwt.Key.from_secret { secret = ("a"):rep(32), kid = "a" }
  local new = tokenstore.jwt.Key.from_secret { secret = ("b"):rep(32), kid = "b" }
  local id = user()
  local before = open({ secret = old, multiple = true }):sign { id = id }
  local ring = open { secret = { new, old }, multiple = true }
  local after = ring:sign { id = id }
  equal({ is_live(ring, before), is_live(ring, after) }, { true, true })
  equal(is_live(open { secret = new }, before), false)
end)
