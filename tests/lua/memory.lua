-- Run by memory_host: one case, whose allocations fail between begin() and done(). after() checks that the
-- same state and objects still work.
-- luacheck: std max, globals after begin done

local case = ...
local url = os.getenv "TEST_URL"
local owner = "owner" .. tostring({})

local data = { a = 1, b = { 1, 2.5, "x", {} }, c = ("y"):rep(100), ["longer name"] = { d = true } }
local tokenstore, tokens, sessions, secret
local searchers = package.searchers or package.loaders
local find_chunk = searchers[2]

function after()
  searchers[2] = find_chunk
  -- Lua 5.1 does not reload a module that failed to load, unless it is removed here.
  for name, loaded in pairs(package.loaded) do
    if name:find "^tokenstore" and type(loaded) ~= "table" then
      package.loaded[name] = nil
    end
  end
  tokenstore = tokenstore or require "tokenstore"
  local again = tokens or assert(tokenstore.RedisTokens(url))
  local token = assert(again:create { app = "a", type = "t", owner = owner, data = data })
  local found = assert(again:get { app = "a", type = "t", token = token.token })
  assert(found.data.b[2] == 2.5 and found.data["longer name"].d == true)
  assert(again:delete { app = "a", type = "t", token = token.token } == true)
  assert(again.client:execute("ECHO", "x") == "x")
  assert(again:delete_all { app = "a", type = "t", owner = owner })
end

local function open()
  tokenstore = require "tokenstore"
  tokens = assert(tokenstore.RedisTokens(url))
  sessions = assert(tokenstore.Sessions(tokens.client))
  secret = assert(tokens:create { app = "a", type = "t", owner = owner, data = data, duration = 60 }).token
end

-- A failing allocation may also come back as "memory" from C.
local function expect(result, message, code)
  if not result and code == "memory" then
    error "not enough memory"
  end
  assert(result, message)
end

local cases = {}

-- Allocations of Lua's compiler do not fail: they are the majority, and not ours. Nor do those of LuaJIT's
-- ffi: it would crash when its state closes.
function cases.load()
  pcall(require, "ffi")
  searchers[2] = function(name)
    done()
    local loader, from = find_chunk(name)
    begin()
    return loader, from
  end
  begin()
  local loaded = require "tokenstore"
  assert(loaded.Client)
end

function cases.open()
  tokenstore = require "tokenstore"
  begin()
  local store, message, code = tokenstore.RedisTokens {
    redis = url, prefix = "x", timeout = 2.5, pepper = ("p"):rep(16),
  }
  expect(store, message, code)
end

function cases.connect()
  tokenstore = require "tokenstore"
  local store = assert(tokenstore.RedisTokens(url))
  begin()
  expect(store.client:execute "PING")
end

function cases.create()
  open()
  begin()
  expect(tokens:create { app = "a", type = "t", owner = owner, data = data, duration = 60 })
end

function cases.get()
  open()
  begin()
  expect(tokens:get { app = "a", type = "t", token = secret, expiry = true })
end

function cases.update()
  open()
  begin()
  expect(tokens:update { app = "a", type = "t", token = secret, data = data })
end

function cases.rotate()
  open()
  begin()
  expect(tokens:rotate { app = "a", type = "t", token = secret })
end

function cases.list()
  open()
  begin()
  expect(tokens:list { app = "a", type = "t", owner = owner })
end

function cases.many()
  open()
  local entry = { app = "a", type = "t", owner = owner .. "many", data = data, duration = 60 }
  begin()
  expect(tokens:create_many { entry, entry, entry })
  expect(tokens:get_many { app = "a", type = "t", tokens = { secret, "no such token" } })
  expect(tokens:delete_all { app = "a", type = "t", owner = owner .. "many" })
end

function cases.sessions()
  open()
  begin()
  local token, message, code = sessions:create { app = "a", owner_id = owner, data = data, duration = 60 }
  expect(token, message, code)
  expect(sessions:get { app = "a", token = token })
  expect(sessions:update { app = "a", token = token, data = { x = 1 } })
  expect(sessions:kill_all { app = "a", owner_id = owner })
end

function cases.tokenstore()
  open()
  local store = tokenstore.Tokenstore(tokens.client, { prefix = owner .. "n" })
  begin()
  local token, message, code = store:add { owner_id = owner, attrs = data, duration = 60 }
  expect(token, message, code)
  expect(store:get { id = token.id })
  expect(store:set { id = token.id, attrs = data })
  expect(store:list { owner_id = owner })
  local hash
  hash, message, code = store:make_hash { value = "v" }
  expect(hash, message, code)
  expect(store:take_hash { hash = hash })
  expect(store:reset { timeout = 60 })
end

function cases.raw()
  open()
  begin()
  expect(tokens.client:execute("ECHO", 1.5))
  expect(tokens.client:execute("ECHO", "x", { key = "k", timeout = 2 }))
  expect(tokens.client:pipeline { { "ECHO", "x" }, { "LRANGE", "none", 0, -1 }, { "INCRBY", "n", 12 } })
  expect(tokens.client:pipeline({ { "NOPE" }, { "PING" } }, { raise_errors = false, key = "k" }))
  local nodes, message, code = tokens.client:for_each_primary("ECHO", 1.5, { timeout = 2 })
  expect(nodes, message, code)
  expect(tokens.client:execute("ECHO", "x", { node = next(nodes) }))
end

-- Operations by hand, as drivers written in Lua run them.
function cases.run()
  local core = require "tokenstore.core"
  local target = assert(core.target("redis://:sesame@localhost/1", { client_name = "x" }))
  begin()
  assert(core.target_info(target, core.random(8)).identity)
  local run = core.run(target)
  local operation = core.pipeline { { "PING" }, { "ECHO", "x" }, { "A" }, { "B" }, { "C" } }
  expect(select(3, core.run_start(run, operation)) == "send")
  assert(core.run_greet(run, target))
  assert(core.run_feed(run, "+OK\r\n+OK\r\n+OK\r\n"))
  assert(core.run_greeted(run, target))
  local _, need, result, code = core.run_answer(run, "+PONG\r\n$1\r\nx\r\n:1\r\n:2\r\n*1\r\n+x\r\n")
  expect(need, result, code)
  expect(#result == 5)
  core.run_start(run, core.execute("INCR", "a"))
  expect(core.run_answer(run, "-READONLY no\r\n"))
  expect(core.run_notes(run))
end

function cases.events()
  local Events = require "tokenstore.session_events"
  open()
  begin()
  local events, message, code = Events.open(tokens.client, { kea = true })
  expect(events, message, code)
  local heard = 0
  events:on("del", function() heard = heard + 1 end)
  expect(tokens.client:execute("SET", "bob:0123456789a", "{}"))
  expect(tokens.client:execute("DEL", "bob:0123456789a"))
  while heard == 0 do
    expect(events:poll(5))
  end
  events:close()
end

function cases.credentials()
  tokenstore = require "tokenstore"
  local store = assert(tokenstore.RedisTokens {
    redis = url, credentials = function() return "default", "of one that has no password" end,
  })
  begin()
  expect(store.client:execute("ECHO", "x"))
  local token, message, code = store:create { app = "a", type = "t", owner = owner, data = data }
  expect(token, message, code)
end

function cases.jwt()
  local jwt = require "tokenstore.jwt"
  require "tokenstore.openssl"
  local jwk = {
    kty = "EC", crv = "P-256", kid = "one",
    x = "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
    y = "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0",
    d = "jpsQnnGQmL-YBIffH1136cspYG6-0iY7X1fCE9-E9LI",
  }
  begin()
  local key = { jwt.Key.from_secret { secret = ("s"):rep(64), kid = "two" } }
  expect(key[1], key[2], key[3])
  local set = { jwt.KeySet.from_jwks { keys = { jwk, { kty = "none" } } } }
  expect(set[1], set[2], set[3])
  local ring = set[1].keys
  ring[2] = key[1]
  assert(#set[1] == 1 and tostring(ring[1]) and #ring[1].algorithms == 1 and ring[1].kid == "one")
  for i, algorithm in ipairs { "ES256", "HS256" } do
    local token, message, code = jwt.encode {
      claims = data, key = ring[i], algorithm = algorithm, headers = { x = { 1 } },
    }
    expect(token, message, code)
    local claims, header
    claims, header, code = jwt.decode {
      token = token, key = ring, algorithms = { "ES256", "HS256" }, require = { "a" },
    }
    expect(claims, header, code)
    assert(claims.b[2] == 2.5 and header.x[1] == 1)
  end
  local bad, message = jwt.decode { token = "x", key = ring, algorithms = { "HS256" }, audience = { "a" } }
  assert(bad == nil and message)
end

function cases.failures()
  open()
  begin()
  local _, message, code = tokens:create { app = "a", type = "t", owner = owner, data = { x = 0 / 0 } }
  assert(message and (code == "data" or code == "memory"))
  local ok, problem = pcall(tokens.get, tokens, { app = 1 })
  assert(not ok and type(problem) == "string")
  if problem:find "not enough memory" then
    error(problem, 0)
  end
end

cases[case]()
done()
