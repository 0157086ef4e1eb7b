-- A canary never appears: not in a message, not in printed values, not in Redis.

local harness = require "harness"
local tokenstore = require "tokenstore"
local test = harness.test

local CANARY = "canary-5f2a91c6d0-canary"

local function clean(text)
  assert(not tostring(text):find("canary", 1, true), "the canary shows in: " .. tostring(text))
end

test("printing a token or a session shows its id alone", function()
  local tokens = harness.store()
  local token = assert(tokens:create {
    app = "a", type = "t", owner = "o", custom_token = CANARY, data = { secret = CANARY },
  })
  clean(token)
  clean(tokens:get { app = "a", type = "t", token = CANARY })
  clean(tokens:list({ app = "a", type = "t", owner = "o" })[1])
  harness.matches(tostring(token), token.id)
  harness.matches(tostring(token), "tokenstore.Token")
  local sessions = harness.store({}, tokenstore.Sessions)
  local session = sessions:get { app = "a", token = sessions:create { app = "a", owner_id = "o",
    data = { secret = CANARY } } }
  clean(session)
  harness.matches(tostring(session), "tokenstore.Session: " .. session.id)
end)

-- Checks every result and message of a call that must fail or raise.
local function check(body)
  local results = { pcall(body) }
  assert(results[1] == false or results[2] == nil or results[2] == false, "this call was to fail")
  for i = 2, 4 do
    clean(results[i])
  end
end

test("no failure quotes what it was given", function()
  local tokens = harness.store { max_data_size = 100 }
  tokens:create { app = "a", type = "t", owner = "o", custom_token = CANARY }
  local long = CANARY:rep(100)
  for _, data in ipairs {
    { x = CANARY .. "\0" }, { x = CANARY .. "\255" }, { x = long }, { x = { CANARY, [3] = CANARY } },
    { CANARY }, { x = { 0 / 0, CANARY } },
  } do
    check(function() return tokens:create { app = "a", type = "t", owner = "o", data = data } end)
    check(function() return tokens:update { app = "a", type = "t", token = CANARY, data = data } end)
    check(function() return tokens:create_many { { app = "a", type = "t", owner = "o", data = data } } end)
  end
  for _, args in ipairs {
    { app = "a", type = "t", owner = "o", custom_token = CANARY },
    { app = "a", type = "t", owner = "o", custom_token = long },
    { app = "a", type = "t", owner = "o", custom_token = CANARY .. "\0" },
    { app = "a", type = "t", owner = "o", duration = CANARY },
    { app = "a", type = "t", owner = "o", expires = CANARY },
    { app = "a", type = "t", owner = {}, custom_token = CANARY },
  } do
    check(function() return tokens:create(args) end)
    check(function() return tokens:create_many { args } end)
  end
  for _, method in ipairs { "get", "take", "delete", "rotate" } do
    check(function() return tokens[method](tokens, { app = "", type = "t", token = CANARY }) end)
    check(function() return tokens[method](tokens, { app = "a", type = "t", token = { CANARY } }) end)
    check(function() return tokens[method](tokens, { app = "a", type = "t", token = long }) end)
  end
  check(function() return tokens:get_many { app = "a", type = "t", tokens = { CANARY, 1 } } end)
  check(function() return tokenstore.RedisTokens { redis = harness.url, pepper = CANARY:rep(9) } end)
  check(function() return tokenstore.Client("redis://bob:" .. CANARY .. "@local host/") end)
  check(function() return tokenstore.Client("redis://bob:" .. CANARY .. "@localhost/?x=" .. CANARY) end)
end)

test("a stored value that is damaged is a data error that does not quote it", function()
  local tokens = harness.store()
  tokens.client:for_each_primary "FLUSHDB"
  local made = tokens:create { app = "a", type = "t", owner = "o", data = { secret = CANARY } }
  local keys = harness.keys(tokens.client, "*")
  for _, key in ipairs(keys) do
    local value = tokens.client:execute("HGET", key, made.id)
    if value and value:find(CANARY, 1, true) then
      tokens.client:execute("HSET", key, made.id, value:sub(1, -5))
      local found, message, code = tokens:get { app = "a", type = "t", token = made.token }
      harness.equal({ found, code }, { nil, "data" })
      clean(message)
      return
    end
  end
  error "the record was not found"
end)

test("Redis never sees a token", function()
  local tokens = harness.store()
  tokens.client:for_each_primary "FLUSHDB"
  local made = tokens:create { app = "a", type = "t", owner = "o" }
  tokens:create { app = "a", type = "t", owner = "o", custom_token = CANARY }
  for _, key in ipairs(harness.keys(tokens.client, "*")) do
    clean(key)
    assert(not key:find(made.token, 1, true))
    local kind = tokens.client:execute("TYPE", key)
    local value = kind == "string" and tokens.client:execute("GET", key) or
      kind == "hash" and table.concat(tokens.client:execute("HGETALL", key), " ") or ""
    clean(value)
    assert(not value:find(made.token, 1, true))
  end
  tokens:delete { app = "a", type = "t", token = CANARY }
end)
