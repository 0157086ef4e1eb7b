-- credentials: user and password for each new connection, while they change on the server.
-- luacheck: std max

local harness = require "harness"
local tokenstore = require "tokenstore"
local equal, fails, matches = harness.equal, harness.fails, harness.matches
local only, test = harness.only, harness.test

local admin = assert(tokenstore.Client(harness.url))

local vault = { asked = 0, password = "" }

function vault.change(password)
  vault.password = password
  only("OK", admin:execute("ACL", "SETUSER", "app", "reset", "on", ">" .. password, "~*", "&*", "+@all"))
end

-- Returns the items of `first`, then the valid credentials.
local function credentials(first)
  vault.asked = 0
  first = first or {}
  return function()
    vault.asked = vault.asked + 1
    local answer = table.remove(first, 1)
    if answer then
      return (unpack or table.unpack)(answer, 1, 2)
    end
    return "app", vault.password
  end
end

local function open(options, class)
  local all = { redis = harness.url, credentials = credentials() }
  for name, value in pairs(options or {}) do
    all[name] = value
  end
  return assert((class or tokenstore.Client)(all))
end

vault.change "first-secret"

test("it is asked for each connection and not before", function()
  local client = open { client_name = "me", db = 3 }
  equal(vault.asked, 0)
  only("app", client:execute("ACL", "WHOAMI"))
  only(true, client:ping())
  equal(vault.asked, 1)
  vault.change "second-secret"
  only("app", client:execute("ACL", "WHOAMI")) -- an open connection keeps its login
  equal(vault.asked, 1)
  assert(admin:execute("CLIENT", "KILL", "USER", "app") >= 1)
  only("me", client:execute("CLIENT", "GETNAME"))
  equal(vault.asked, 2)
  equal(client:pipeline { { "ECHO", "a" }, { "ECHO", "b" } }, { "a", "b" })
  client:close()
end)

test("the user of pooled connections was renewed", function()
  local tokens = open({}, tokenstore.RedisTokens)
  local made = assert(tokens:create { app = "web", type = "login", owner = "bob", data = { a = { 1 } } })
  admin:execute("ACL", "DELUSER", "app") -- ends its connections, too
  vault.change "third-secret"
  local found = assert(tokens:get { app = "web", type = "login", token = made.token })
  equal(found.owner, "bob")
  equal(found.data, { a = tokenstore.array { 1 } })
  equal(vault.asked, 2)
  only(nil, tokens:get { app = "web", type = "login", token = "no such token" })
  only(true, tokens:delete { app = "web", type = "login", token = made.token })
end)

test("every store takes it", function()
  local sessions = open({}, tokenstore.Sessions)
  assert(sessions:create { app = "web", owner_id = "bob" })
  equal(vault.asked, 1)
  local node = open({ prefix = harness.prefix() }, tokenstore.Tokenstore)
  assert(node:add { owner_id = "bob" })
  equal(vault.asked, 1)
  local jwts = open({ secret = ("s"):rep(32) }, tokenstore.RedisJWT)
  local token = assert(jwts:sign { id = "bob" })
  assert(jwts:verify { token = token })
  equal(vault.asked, 1)
  harness.raises("'credentials' is an option of the client", tokenstore.Sessions,
    { redis = sessions.client, credentials = credentials() })
end)

test("refused once, it is asked anew", function()
  local client = open { credentials = credentials { { "app", "an-old-secret" } } }
  only("app", client:execute("ACL", "WHOAMI"))
  equal(vault.asked, 2)
end)

test("refused twice is final", function()
  local client = open { credentials = credentials { { "app", "an-old-secret" }, { "app", "older-secret" } } }
  fails("server", "AUTH refused: WRONGPASS", client:ping())
  equal(vault.asked, 2)
  local _, message = client:ping()
  equal(message, nil) -- the next call asks again
  equal(vault.asked, 3)
end)

test("they come before those of the URL", function()
  local client = open { redis = (harness.url:gsub("unix://", "unix://nobody:wrong@")) }
  only("app", client:execute("ACL", "WHOAMI"))
end)

test("what it raises reaches the caller, and nothing is lost", function()
  local problem
  local client = open { pool_size = 1, timeout = 5, credentials = function()
    if problem then
      error(problem)
    end
    return "app", vault.password
  end }
  for _, raised in ipairs { { "the vault is closed" }, { "still" }, { "closed" } } do
    problem = raised
    local ok, why = pcall(client.execute, client, "PING")
    equal(ok, false)
    assert(why == raised)
  end
  problem = nil
  only("PONG", client:execute "PING")
end)

test("anything but two strings is refused", function()
  local answer
  local client = open { pool_size = 1, credentials = function()
    if answer then
      return (unpack or table.unpack)(answer, 1, answer.n)
    end
    return "app", vault.password
  end }
  for kinds, wrong in pairs {
    ["nil and nil"] = { n = 0 },
    ["nil and table"] = { n = 2, nil, {} },
    ["nil and string"] = { n = 2, nil, "hush" },
    ["string and boolean"] = { n = 2, "hush", true },
    ["string and nil"] = { n = 2, "hush", nil },
    ["number and string"] = { n = 2, 7, "hush" },
    ["string and number"] = { n = 2, "hush", 1234 },
    ["table and nil"] = { n = 1, { "app", "hush" } },
    ["boolean and string"] = { n = 2, false, "hush" },
  } do
    answer = wrong
    local _, message = client:ping()
    fails("configuration", "must return user and password, two strings, not " .. kinds, client:ping())
    equal(message:find("hush", 1, true) or message:find("1234", 1, true), nil)
  end
  for _, wrong in ipairs { { n = 2, "a\0hush", "x" }, { n = 2, "app", "hush\0hush" } } do
    answer = wrong
    local _, message = client:ping()
    fails("configuration", "contains a NUL byte", client:ping())
    equal(message:find("hush", 1, true), nil)
  end
  answer = nil
  only(true, client:ping())
end)

test("it may use the client whose connections it is for", function()
  local depth, client = 0, nil
  client = open { pool_size = 1, timeout = 5, credentials = function()
    depth = depth + 1
    if depth == 1 then
      only(true, client:ping())
    end
    return "app", vault.password
  end }
  only(true, client:ping())
  equal(depth, 2)
end)

test("it may close the client", function()
  local client
  client = open { credentials = function()
    client:close()
    return "app", vault.password
  end }
  fails("closed", "closed", client:ping())
  fails("closed", "closed", client:ping())
end)

test("it may yield, and go on in a coroutine", function()
  local client = open { credentials = function()
    return "app", coroutine.yield "asks"
  end }
  local call = coroutine.wrap(function() return client:execute("ACL", "WHOAMI") end)
  equal(call(), "asks")
  local other = coroutine.wrap(function() return client:execute("ACL", "WHOAMI") end)
  equal(other(), "asks")
  collectgarbage()
  equal(call(vault.password), "app")
  equal(other(vault.password), "app")
end)

test("a call that is never gone on with is collected, with its client or alone", function()
  local kept = open { pool_size = 1, timeout = 5, client_name = "kept", credentials = coroutine.yield }
  for _ = 1, 3 do
    coroutine.wrap(function() kept:execute "PING" end)()
    local lost = open { credentials = coroutine.yield }
    coroutine.wrap(function() lost:execute("SET", "a", ("x"):rep(1000)) end)()
    lost = nil
    equal(lost, nil)
    collectgarbage()
    collectgarbage()
  end
  local call = coroutine.wrap(function() return kept:execute "PING" end)
  call()
  equal(call("app", vault.password), "PONG")
  local client = open { credentials = coroutine.yield }
  call = coroutine.wrap(function() return client:execute "PING" end)
  call()
  client:close()
  client = nil
  equal(client, nil)
  collectgarbage()
  fails("closed", "closed", call("app", vault.password))
end)

test("one that takes too long meets the deadline", function()
  local client = open { timeout = 0.05, credentials = function()
    admin:execute("BLPOP", harness.prefix(), 0.1)
    return "app", vault.password
  end }
  fails("timeout", "", client:ping())
end)

test("it goes with a logger, and nobody is told the password", function()
  local lines = {}
  local client = open {
    credentials = credentials { { "app", "hush-hush" }, { "app", "hush-hush" } },
    logger = function(_, text) lines[#lines + 1] = text end,
  }
  local _, message = client:ping()
  matches(message, "WRONGPASS")
  only(true, client:ping())
  admin:execute("CLIENT", "KILL", "USER", "app")
  only(true, client:ping())
  local shown = table.concat(lines) .. tostring(client) .. client.url .. message
  equal(shown:find("hush", 1, true), nil)
  equal(shown:find(vault.password, 1, true), nil)
end)

test("where it cannot be asked", function()
  harness.raises("bad option 'credentials' (function expected, got table)", tokenstore.Client,
    { redis = harness.url, credentials = { "app", "hush" } })
  fails("configuration", "credentials cannot be used with embedded", tokenstore.Client {
    redis = "embedded:", credentials = credentials(),
  })
  local client = open()
  fails("configuration", "cannot call the credentials function", tokenstore.Spike {
    url = "http://127.0.0.1:9", client_id = "a", client_secret = "b", redis = client,
  })
end)

-- ---- events ----------------------------------------------------------------------------------------

local KEY = "bob:0123456789a"
local BOB = { kind = "del", id = "bob", rjwt = KEY }

local function listen(options)
  options.secret, options.kea = ("s"):rep(32), true
  local jwts = open(options, tokenstore.RedisJWT)
  return jwts:events()
end

local function finish()
  admin:execute("SET", KEY, "{}")
  admin:execute("DEL", KEY)
end

local function lose()
  assert(admin:execute("CLIENT", "KILL", "TYPE", "pubsub") >= 1)
end

test("events ask for each connection", function()
  local events = assert(listen {})
  equal(vault.asked, 1)
  finish()
  equal(events:next(20), BOB)
  vault.change "of-events-secret"
  lose()
  equal(events:next(20).kind, "gap")
  equal(vault.asked, 2)
  finish()
  equal(events:next(20), BOB)
  events:close()
end)

test("events that are refused once, and twice", function()
  local wrong = { { "app", "an-old-secret" } }
  local events = assert(listen { credentials = credentials(wrong) })
  equal(vault.asked, 2)
  wrong[1], wrong[2] = { "app", "an-old-secret" }, { "app", "older-secret" }
  lose()
  local _, message, code = events:next(20)
  equal(code, "server")
  matches(message, "AUTH refused: WRONGPASS")
  equal(message:find("secret", 1, true), nil)
  equal(vault.asked, 4)
  equal(events:next(20).kind, "gap")
  events:close()
end)

test("what goes wrong while events begin, or come back", function()
  local wrong = { { "hush" } }
  fails("configuration", "must return user and password", listen { credentials = credentials(wrong) })
  local problem
  local events = assert(listen { credentials = function()
    if problem then
      error(problem)
    end
    return "app", vault.password
  end })
  problem = { "the vault is closed" }
  lose()
  for _ = 1, 2 do
    local ok, why = pcall(events.next, events, 20)
    equal(ok, false)
    assert(why == problem)
  end
  problem = nil
  equal(events:next(20).kind, "gap")
  events:close()
  problem = { "still closed" }
  local ok, why = pcall(listen, { credentials = function() error(problem) end })
  equal(ok, false)
  assert(why == problem)
end)

admin:execute("ACL", "DELUSER", "app")
