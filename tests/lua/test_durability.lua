-- wait_replicas, wait_fsync, wait_timeout, on a server without a replica: no change gets anywhere in time.

local harness = require "harness"
local tokenstore = require "tokenstore"
local equal, fails, only, test = harness.equal, harness.fails, harness.only, harness.test

local OPTIONS = { wait_replicas = 1, wait_timeout = 0.01 }

-- What a failed call returns beyond its message: { replicas, result }.
local function check(result, message, code, detail)
  equal({ result, code }, { nil, "not_replicated" })
  equal(message, "the change was made, but after 0.01 s only 0 of 1 replicas have it: "
    .. "see INFO replication, or raise wait_timeout")
  equal(detail.replicas, 0)
  return detail.result
end

test("a change that no replica has", function()
  local tokens = harness.store(OPTIONS)
  local made = check(tokens:create { app = "web", type = "login", owner = "bob", data = { n = 1 } })
  equal({ made.owner, made.data.n }, { "bob", 1 })
  equal(tokens:get({ app = "web", type = "login", token = made.token }).id, made.id)
  local rotated = check(tokens:rotate { app = "web", type = "login", token = made.token })
  only(nil, tokens:get { app = "web", type = "login", token = made.token })
  equal(check(tokens:delete { app = "web", type = "login", token = rotated.token }), true)
  equal(check(tokens:delete_all { app = "web", type = "login", owner = "bob" }), 0)
end)

test("a revocation may ask for more", function()
  local tokens = harness.store { wait_timeout = 0.01 }
  local made = assert(tokens:create { app = "web", type = "login", owner = "bob" })
  equal(check(tokens:delete { app = "web", type = "login", token = made.token, wait_replicas = 1 }), true)
  equal(tokens:delete { app = "web", type = "login", token = made.token }, false)
  fails("data", "wait_replicas must be a whole number from 0 to 1000",
    tokens:delete { app = "web", type = "login", token = made.token, wait_replicas = -1 })
  local sessions = harness.store({ wait_timeout = 0.01 }, tokenstore.Sessions)
  local session = assert(sessions:create { app = "web", owner_id = "bob" })
  equal(check(sessions:kill_all { app = "web", owner_id = "bob", wait_replicas = 1 }), 1)
  only(nil, sessions:get { app = "web", token = session })
end)

test("the Node packages' stores", function()
  local store = harness.store(OPTIONS, tokenstore.Tokenstore)
  local token = check(store:add { owner_id = "bob", attrs = { n = 1 } })
  equal(check(store:delete { id = token.id }), true)
  local sessions = assert(tokenstore.RedisJWT {
    redis = harness.url, secret = ("s"):rep(32), wait_replicas = 1, wait_timeout = 0.01,
  })
  local signed = check(sessions:sign { id = harness.tagged "bob" })
  equal(check(sessions:destroy { rjwt = sessions:verify({ token = signed }).rjwt }), true)
end)

test("on disk, on a server without AOF", function()
  local tokens = harness.store { wait_fsync = true }
  local result, message, code, detail = tokens:create { app = "web", type = "login", owner = "bob" }
  equal({ result, code, detail.result.owner }, { nil, "not_replicated", "bob" })
  assert(message:find("made, but whether it is safe is not known: the server answered: ERR", 1, true))
end)

test("options", function()
  fails("configuration", "wait_replicas must be a whole number from 0 to 1000",
    tokenstore.RedisTokens { wait_replicas = 1001 })
  fails("configuration", "wait_timeout must be 0.01 to 3600 seconds",
    tokenstore.RedisTokens { wait_timeout = 0 })
end)
