-- operation_stats and pool_stats: what operations cost, and the connections.

local harness = require "harness"
local tokenstore = require "tokenstore"
local equal, test = harness.equal, harness.test

-- The sums of one operation; nil: none has ended.
local function sums(client, store, operation)
  for _, stats in ipairs(client:operation_stats()) do
    if stats.store == store and stats.operation == operation then
      return stats
    end
  end
end

test("operation_stats counts from the first call", function()
  local tokens = harness.store { prefix = harness.prefix() }
  local client = tokens.client
  assert(tokens:count { app = "web", type = "login", owner = "bob" })
  equal(client:operation_stats(), {})
  local token = assert(tokens:create { app = "web", type = "login", owner = "bob" }).token
  for _ = 1, 3 do
    assert(tokens:get { app = "web", type = "login", token = token })
  end
  equal(tokens:get { app = "web", type = "login", token = "no-such-token" }, nil)
  assert(client:ping())
  local _, _, code = client:execute "NO-SUCH-COMMAND"
  equal(code, "server")
  local get = assert(sums(client, "RedisTokens", "get"))
  equal(get.outcomes, { ok = 3, not_found = 1 })
  local ended = 0
  for _, number in ipairs(get.durations) do
    ended = ended + number
  end
  equal({ ended, #get.durations, get.tries, get.trips }, { 4, 17, 4, 4 })
  assert(get.took > 0 and get.took < 60 and get.sent > 160 and get.received > 60)
  equal(sums(client, "Client", "ping").outcomes, { ok = 1 })
  equal(sums(client, "Client", "execute").outcomes, { ok = 1 }) -- an error is a reply
  equal(sums(client, "RedisTokens", "count"), nil)
  equal(client:operationStats(), client:operation_stats())
end)

test("operation_stats has each class", function()
  local prefix = harness.prefix()
  local sessions = assert(tokenstore.Sessions { redis = harness.url, prefix = prefix })
  local client = sessions.client
  client:operation_stats()
  local node = assert(tokenstore.Tokenstore(client, { prefix = "{" .. prefix .. "}" }))
  local jwts = assert(tokenstore.RedisJWT(client, { secret = ("s"):rep(32) }))
  assert(sessions:create { app = "web", owner_id = "bob", data = {} })
  assert(node:add { owner_id = "bob", attrs = {} })
  assert(jwts:sign { id = "{" .. prefix .. "}" })
  equal(sums(client, "Sessions", "create").outcomes, { ok = 1 })
  equal(sums(client, "Tokenstore", "add").outcomes, { ok = 1 })
  equal(sums(client, "RedisJWT", "sign").outcomes, { ok = 1 })
  sessions:close()
end)

test("pool_stats", function()
  local tokens = harness.store { prefix = harness.prefix(), pool_size = 3 }
  local client = tokens.client
  assert(client:ping())
  local stats = client:pool_stats()
  assert(stats.limit >= 3 and stats.opened >= 1)
  if not _G.ngx then -- which does not tell
    equal({ stats.used, stats.waiting, stats.timeouts }, { 0, 0, 0 })
    assert(stats.idle >= 1)
  end
  equal(client:poolStats(), stats)
end)
