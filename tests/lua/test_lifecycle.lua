-- Closing, the garbage collector, coroutines, many objects.
-- luacheck: std max

local harness = require "harness"
local tokenstore = require "tokenstore"
local equal, fails, only, test = harness.equal, harness.fails, harness.only, harness.test

local watcher = assert(tokenstore.Client(harness.url))

-- The number of connections with this name at the server.
local function connections(name)
  local _, count = watcher:execute("CLIENT", "LIST"):gsub(" name=" .. name .. " ", "")
  return count
end

local function named(name, class)
  return assert((class or tokenstore.Client) { redis = harness.url, client_name = name })
end

local function await_gone(name)
  harness.await("the end of " .. name, function() return connections(name) == 0 end)
end

test("close ends the connection", function()
  local client = named "closed_by_hand"
  client:execute "PING"
  equal(connections "closed_by_hand", 1)
  client:close()
  await_gone "closed_by_hand"
end)

test("a store closes its own client, and never a shared one", function()
  local tokens = named("own_client", tokenstore.RedisTokens)
  tokens.client:execute "PING"
  tokens:close()
  tokens:close()
  await_gone "own_client"
  fails("closed", "closed", tokens:get { app = "a", type = "t", token = "no such token" })
end)

test("what nobody holds any more is closed by the collector", function()
  for _, class in ipairs { tokenstore.Client, tokenstore.RedisTokens, tokenstore.Sessions } do
    local object = named("collected", class);
    (object.client or object):execute "PING"
    object = nil
    collectgarbage()
    collectgarbage()
    equal(object, nil)
    await_gone "collected"
  end
end)

test("<close> in 5.4", function()
  if _VERSION < "Lua 5.4" then
    equal(type(tokenstore.Client.__close), "function")
    return
  end
  for _, class in ipairs { "Client", "RedisTokens", "Sessions" } do
    local run = assert(load([[
      local open, class = ...
      local object <close> = open("closed_by_scope", class)
      local client = object.client or object
      client:execute "PING"
      return client
    ]]))
    local client = run(named, tokenstore[class])
    equal(client.closed, true)
    await_gone "closed_by_scope"
  end
end)

test("one object in many coroutines", function()
  local tokens = harness.store()
  local threads = {}
  for i = 1, 20 do
    threads[i] = coroutine.create(function()
      local token = assert(tokens:create { app = "a", type = "t", owner = "o" .. i, data = { n = i } })
      coroutine.yield()
      local found = assert(tokens:get { app = "a", type = "t", token = token.token })
      coroutine.yield()
      return found.data.n
    end)
  end
  for _ = 1, 2 do
    for i = 1, 20 do
      assert(coroutine.resume(threads[i]))
    end
  end
  for i = 1, 20 do
    local ok, n = coroutine.resume(threads[i])
    equal({ ok, n }, { true, i })
  end
end)

test("a coroutine that is dropped half way", function()
  local tokens = harness.store()
  for _ = 1, 50 do
    local thread = coroutine.wrap(function()
      tokens:create { app = "a", type = "t", owner = "o" }
      coroutine.yield()
      tokens:list { app = "a", type = "t", owner = "o" }
    end)
    thread()
  end
  collectgarbage()
  equal(#tokens:list { app = "a", type = "t", owner = "o" }, 50)
end)

test("finalizers may use the store while another call is being made", function()
  local tokens = harness.store()
  local ran, failed = 0, 0
  local function litter()
    local finalizer = function()
      ran = ran + 1
      local token = tokens:create { app = "a", type = "t", owner = "finalizer", data = { x = { 1 } } }
      if not token or not tokens:get { app = "a", type = "t", token = token.token } then
        failed = failed + 1
      end
    end
    if newproxy then
      getmetatable(newproxy(true)).__gc = finalizer
    else
      setmetatable({}, { __gc = finalizer })
    end
  end
  local list = {}
  for i = 1, 20 do
    litter()
    list[i] = { app = "a", type = "t", owner = "main", data = { n = i, s = ("x"):rep(i) } }
    equal(tokens:create(list[i]).data.n, i)
    litter()
    equal(#tokens:create_many(list), i)
    litter()
    equal(tokens.client:pipeline { { "ECHO", i }, { "ECHO", "x" .. i } }, { tostring(i), "x" .. i })
  end
  collectgarbage()
  collectgarbage()
  assert(ran > 0, "no finalizer ran")
  equal(failed, 0)
end)

test("operations that are made and never run", function()
  local core = require "tokenstore.core"
  local tokens = harness.store()
  local list = {}
  for i = 1, 200 do
    local new = { app = "a", type = "t", owner = "o", data = { n = i } }
    list[i] = core.operations.RedisTokens.create(tokens._store, new)
  end
  assert(list[1] ~= list[2])
  list = nil
  collectgarbage()
  equal(list, nil)
  only({}, tokens:list { app = "a", type = "t", owner = "o" })
end)

test("many stores on one client", function()
  local client = assert(tokenstore.Client(harness.url))
  for i = 1, 200 do
    local tokens = tokenstore.RedisTokens { redis = client, prefix = harness.prefix() }
    equal(tokens:create({ app = "a", type = "t", owner = "o" .. i }).owner, "o" .. i)
  end
  client:close()
end)

test("the state may end with everything open", function()
  local code = ([[
    local tokenstore = require "tokenstore"
    local tokens = assert(tokenstore.RedisTokens("%s"))
    keep = { tokens, tokenstore.Sessions(tokens.client), tokenstore.Client("%s") }
    local operations = require("tokenstore.core").operations.RedisTokens
    local op = operations.get(tokens._store, { app = "a", type = "t", token = "x" })
    keep[4] = op
    tokens.client:execute "PING"
    setmetatable(keep, { __gc = function() tokens.client:execute "PING" end })
    print "end"
  ]]):format(harness.url, harness.url)
  local name = harness.dir .. "/end.lua"
  local file = assert(io.open(name, "w"))
  file:write(code)
  file:close()
  local pipe = io.popen(("'%s' '%s' 2>&1; echo $?"):format(harness.lua, name))
  equal(pipe:read "*a", "end\n0\n")
  pipe:close()
end)
