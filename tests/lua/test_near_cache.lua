-- near_cache, near_cache_staleness, near_cache_tracking: what is served from memory, and that a change
-- reaches it.

local harness = require "harness"
local tokenstore = require "tokenstore"
local equal, fails, only, test = harness.equal, harness.fails, harness.only, harness.test

local function eventually(true_now)
  local ends = os.time() + 10
  while not true_now() do
    assert(os.time() < ends, "it did not become true")
  end
end

-- LuaJIT's machine code keeps what it was made for.
local function collect()
  if _G.jit then
    _G.jit.flush()
  end
  collectgarbage()
  collectgarbage()
end

-- A store whose client has a near cache that answers, and a token that is in it.
local function store_with_token(tracking, credentials)
  local prefix = harness.prefix()
  local tokens = harness.store {
    prefix = prefix, near_cache = 100, near_cache_staleness = 1, near_cache_tracking = tracking,
    credentials = credentials,
  }
  local token = assert(tokens:create { app = "web", type = "login", owner = "bob", data = { n = 1 } }).token
  eventually(function()
    local before = tokens.client:near_cache_stats().hits
    assert(tokens:get { app = "web", type = "login", token = token })
    return tokens.client:near_cache_stats().hits > before
  end)
  return tokens, token, prefix
end

for _, tracking in ipairs { "broadcast", "keys" } do

test("a hit, and what takes it back, " .. tracking, function()
  local tokens, token = store_with_token(tracking)
  local found = assert(tokens:get { app = "web", type = "login", token = token })
  equal({ found.owner, found.data.n, found.token }, { "bob", 1, token })
  local stats = tokens.client:near_cache_stats()
  equal({ stats.entries, stats.alive, stats.evictions }, { 1, true, 0 })
  assert(tokens:get { app = "web", type = "login", token = token, fresh = true })
  assert(tokens:get_many({ app = "web", type = "login", tokens = { token }, fresh = true })[1])
  equal(tokens.client:near_cache_stats().hits, stats.hits)
  assert(tokens:update { app = "web", type = "login", token = token, data = { n = 2 } })
  equal(tokens:get({ app = "web", type = "login", token = token }).data.n, 2)
  equal(tokens:delete { app = "web", type = "login", token = token }, true)
  only(nil, tokens:get { app = "web", type = "login", token = token })
  tokens.client:close()
end)

test("a change of another client, " .. tracking, function()
  local tokens, token, prefix = store_with_token(tracking)
  local other = harness.store { prefix = prefix }
  assert(other:delete { app = "web", type = "login", token = token })
  eventually(function()
    return tokens:get { app = "web", type = "login", token = token } == nil
  end)
  tokens.client:close()
end)

test("credentials, " .. tracking, function()
  local admin = assert(tokenstore.Client(harness.url))
  for _, said in pairs(assert(admin:for_each_primary(
    "ACL", "SETUSER", "near", "reset", "on", ">of-the-link", "~*", "&*", "+@all"))) do
    equal(said, "OK")
  end
  local asked = 0
  local tokens, token = store_with_token(tracking, function()
    asked = asked + 1
    return "near", "of-the-link"
  end)
  if not _G.ngx then -- there the function is called for the connection that listens, too
    equal(asked, 1)
    equal(select(2, admin:execute("CLIENT", "LIST"):gsub("user=near", "")), 2)
  end
  assert(tokens:update { app = "web", type = "login", token = token, data = { n = 2 } })
  equal(tokens:get({ app = "web", type = "login", token = token }).data.n, 2)
  tokens.client:close()
  admin:close()
end)

end

-- Counts what is served: the first hit leaves what the others find by the token itself.
test("each caller gets its own", function()
  local tokens, _, prefix = store_with_token()
  local sessions = assert(tokenstore.Sessions { redis = tokens.client, prefix = prefix })
  local list = tokenstore.array { 1, { deep = tokenstore.array {} } }
  local data = { n = 1, list = list, no = tokenstore.null, off = false }
  local new = { app = "web", owner_id = "bob", data = data, idle = 60, duration = 600 }
  local token = assert(sessions:create(new))
  local function get()
    return assert(sessions:get { app = "web", token = token })
  end
  eventually(function()
    local before = tokens.client:near_cache_stats().hits
    return get() and get() and tokens.client:near_cache_stats().hits == before + 2
  end)
  local hits = tokens.client:near_cache_stats().hits
  local first, second = get(), get()
  equal(tokens.client:near_cache_stats().hits, hits + 2)
  local asked = assert(sessions:get { app = "web", token = token, fresh = true })
  equal(first, asked)
  equal(second, asked)
  equal(tostring(first), tostring(asked))
  equal({ first.token, first.owner_id, first.sid == first.id }, { token, "bob", true })
  assert(first.idle == 60)
  equal(getmetatable(first.data.list[2].deep), getmetatable(tokenstore.array {}))
  first.owner_id, first.data.n, first.data.list[2].deep[1] = "eve", 2, "mine"
  equal(get(), asked)
  equal(second, asked)
  assert(sessions:update { app = "web", token = token, data = { n = 3 } })
  equal(get().data.n, 3)
  assert(tokens:get { app = "web", type = "session", token = token })
  tokens.client:close()
end)

-- Data of each of these shapes is copied in its own way: see near_copy.lua.
local function nest(depth)
  return depth == 0 and { 1, { deep = true } } or { inside = nest(depth - 1), [("k"):rep(depth)] = depth }
end

local function of_fields(count, first)
  local data = {}
  for i = 1, count do
    data[first .. i] = i % 3 == 0 and { i, tostring(i) } or i % 3 == 1 and tokenstore.null or i / 4
  end
  return data
end

local SHAPES = {
  {},
  { [""] = 1, [" "] = 2, ["1"] = 3, ["end"] = 4 },
  { ['"] = os.exit() --'] = '"]', ["]] .. x"] = "]]" },
  { ["\\"] = "\\", ["a\nb\r\tc"] = "\n\1", ["\226\128\168é%d%q"] = "%s" },
  { list = { "a", false, tokenstore.null, { {}, { 1 }, tokenstore.array {} }, 5 }, one = { 1 } },
  { list = of_fields(62, "in") },
  { wide = of_fields(63, "out") },
  of_fields(64, "f"),
  of_fields(400, "many"),
  { long = { [("x"):rep(5000)] = 1 } },
  nest(10),
  nest(30),
}

test("data of all shapes", function()
  local tokens, _, prefix = store_with_token()
  local sessions = assert(tokenstore.Sessions { redis = tokens.client, prefix = prefix })
  for _, data in ipairs(SHAPES) do
    local token = assert(sessions:create { app = "web", owner_id = "bob", data = data, duration = 600 })
    local asked = assert(sessions:get { app = "web", token = token, fresh = true })
    eventually(function()
      local before = tokens.client:near_cache_stats().hits
      for _ = 1, 3 do
        equal(sessions:get { app = "web", token = token }, asked)
      end
      return tokens.client:near_cache_stats().hits == before + 3
    end)
    local found = sessions:get { app = "web", token = token }
    found.data.mine = true
    for _, value in next, found.data do
      if type(value) == "table" then
        value[1] = "mine"
      end
    end
    equal(sessions:get { app = "web", token = token }, asked)
  end
  tokens.client:close()
end)

test("data that nests as deeply as a function can be written for, and more deeply", function()
  local copy, arrays, objects = require "tokenstore.near_copy", {}, {}
  for _ = 1, 150 do
    arrays, objects = tokenstore.array { 1, arrays }, setmetatable({ a = objects }, {})
    equal({ copy(arrays), copy(objects) }, { arrays, objects })
  end
end)

test("few shapes are remembered", function()
  local copy = require "tokenstore.near_copy"
  local function take(name)
    local data = { [name] = { 1, name } }
    equal(copy(data), data)
  end
  collect()
  local before = collectgarbage "count"
  for i = 1, 20 do
    take(("n"):rep(100000) .. i)
  end
  for i = 1, 1000 do
    take(("n"):rep(1000) .. i)
  end
  collect()
  local grown = collectgarbage "count" - before
  assert(grown < 1500, grown)
end)

-- Only another program's record has one.
test("an integer that this Lua cannot represent", function()
  local tokens, token, prefix = store_with_token()
  local function get()
    return assert(tokens:get { app = "web", type = "login", token = token })
  end
  local other = harness.store { prefix = prefix }
  local id = get().id
  for _, key in ipairs(harness.keys(other.client, prefix .. ":*")) do
    local text = other.client:execute("TYPE", key) == "hash" and other.client:execute("HGET", key, id)
    if text then
      other.client:execute("HSET", key, id, (text:gsub('{"n":1}', '{"n":281674916028284930281,"m":[2]}')))
    end
  end
  eventually(function()
    local before = tokens.client:near_cache_stats().hits
    return get().data.m and get() and get() and tokens.client:near_cache_stats().hits == before + 3
  end)
  equal({ tostring(get().data.n), get().data.m[1] }, { "281674916028284930281", 2 })
  tokens.client:close()
end)

test("other questions have other answers", function()
  local tokens, token, prefix = store_with_token()
  local function get(args)
    return tokens:get(args)
  end
  assert(get { app = "web", type = "login", token = token })
  only(nil, get { app = "we", type = "blogin", token = token })
  only(nil, get { app = "login", type = "web", token = token })
  only(nil, get { app = "web", type = "login", token = token:sub(1, -2) })
  only(nil, assert(tokenstore.RedisTokens { redis = tokens.client, prefix = prefix, pepper = ("p"):rep(16) })
    :get { app = "web", type = "login", token = token })
  local wrong = { app = "web", type = "login", token = token, refersh = 1 }
  harness.raises("unknown argument 'refersh'", get, wrong)
  harness.raises("bad argument 'app'", get, { app = true, type = "login", token = token })
  harness.raises("bad argument", get, { app = "web", token = token })
  assert(get({ app = "web", type = "login", token = token, expiry = true }))
  tokens.client:close()
  fails("closed", "the client is closed", get { app = "web", type = "login", token = token })
end)

-- Of each there is one table, or none; those of a client that is gone, none.
test("what is kept is freed", function()
  local kept = setmetatable({}, { __mode = "k" })
  local function fill()
    local tokens, token = store_with_token()
    local find = require "tokenstore.near_view"
    for _ = 1, 20 do
      assert(tokens:update { app = "web", type = "login", token = token, data = { n = 1 } })
      eventually(function()
        assert(tokens:get { app = "web", type = "login", token = token })
        local view = find(tokens._store, "web", "login", token)
        kept[view or {}] = view ~= nil
        return view
      end)
    end
    collect()
    local count = 0
    for _, is_view in pairs(kept) do
      count = count + (is_view and 1 or 0)
    end
    assert(count <= 2, count)
  end
  fill()
  if not _G.ngx then -- which keeps the thread of a timer, and what that knows, for the next one
    collect()
    equal(next(kept), nil)
  end
end)

test("an unreferenced client ends its connection", function()
  local client = assert(tokenstore.Client(harness.url))
  local function listeners()
    local _, count = client:execute("CLIENT", "LIST", "TYPE", "pubsub"):gsub("id=", "")
    return count
  end
  local before = listeners()
  for _ = 1, 5 do
    store_with_token()
  end
  collect()
  eventually(function()
    return listeners() <= before
  end)
  client:close()
end)

test("off by default", function()
  equal(harness.store().client:near_cache_stats(), nil)
end)

test("options", function()
  fails("configuration", "near_cache_tracking must be 'broadcast' or 'keys'",
    tokenstore.RedisTokens { near_cache_tracking = "all" })
  fails("configuration", "near_cache must be a whole number from 0 to 10000000",
    tokenstore.RedisTokens { near_cache = -1 })
  fails("configuration", "near_cache_staleness must be 0.1 to 86400 seconds",
    tokenstore.RedisTokens { near_cache_staleness = 0.01 })
end)
