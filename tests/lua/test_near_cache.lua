-- near_cache, near_cache_staleness: what is served from memory, and that a change reaches it.

local harness = require "harness"
local tokenstore = require "tokenstore"
local equal, fails, only, test = harness.equal, harness.fails, harness.only, harness.test

local function eventually(true_now)
  local ends = os.time() + 10
  while not true_now() do
    assert(os.time() < ends, "it did not become true")
  end
end

-- A store whose client has a near cache that answers, and a token that is in it.
local function store_with_token()
  local prefix = harness.prefix()
  local tokens = harness.store { prefix = prefix, near_cache = 100, near_cache_staleness = 1 }
  local token = assert(tokens:create { app = "web", type = "login", owner = "bob", data = { n = 1 } }).token
  eventually(function()
    local before = tokens.client:near_cache_stats().hits
    assert(tokens:get { app = "web", type = "login", token = token })
    return tokens.client:near_cache_stats().hits > before
  end)
  return tokens, token, prefix
end

test("a hit, and what takes it back", function()
  local tokens, token = store_with_token()
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

test("a change of another client", function()
  local tokens, token, prefix = store_with_token()
  local other = harness.store { prefix = prefix }
  assert(other:delete { app = "web", type = "login", token = token })
  eventually(function()
    return tokens:get { app = "web", type = "login", token = token } == nil
  end)
  tokens.client:close()
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
  collectgarbage()
  collectgarbage()
  eventually(function()
    return listeners() <= before
  end)
  client:close()
end)

test("off by default", function()
  equal(harness.store().client:near_cache_stats(), nil)
end)

test("options", function()
  if not _G.ngx then -- there the function may be called for the connection that listens
    fails("configuration", "near_cache cannot be used with credentials", tokenstore.Client {
      redis = "redis://localhost", near_cache = 10, credentials = function() end,
    })
  end
  fails("configuration", "near_cache must be a whole number from 0 to 10000000",
    tokenstore.RedisTokens { near_cache = -1 })
  fails("configuration", "near_cache_staleness must be 0.1 to 86400 seconds",
    tokenstore.RedisTokens { near_cache_staleness = 0.01 })
end)
