-- Client: execute and pipeline, all kinds of replies, errors, closing.
-- luacheck: std max

local harness = require "harness"
local tokenstore = require "tokenstore"
local equal, fails, only, raises, test =
  harness.equal, harness.fails, harness.only, harness.raises, harness.test

local client = assert(tokenstore.Client(harness.url))
local key = harness.prefix()

test("replies of every kind", function()
  only("PONG", client:execute "PING")
  only("OK", client:execute("SET", key, "value"))
  only("value", client:execute("GET", key))
  only(nil, client:execute("GET", key .. "none"))
  only(5, client:execute("STRLEN", key))
  only({}, client:execute("LRANGE", key .. "none", 0, -1))
  only({ "value", false }, client:execute("MGET", key, key .. "none"))
  equal(client:execute("EVAL", "return {1, {2, {'x', false}}, {ok='fine'}}", 0),
    { 1, { 2, { "x", false } }, "fine" })
  if harness.has_integers then
    equal(math.type(client:execute("STRLEN", key)), "integer")
    only(math.maxinteger, client:execute("INCRBY", key .. "max", math.maxinteger))
  end
end)

test("ping", function()
  only(true, client:ping())
  only(true, client:ping { timeout = 1 })
  fails("data", "timeout", client:ping { timeout = 0 })
  raises("unknown argument 'tries'", client.ping, client, { tries = 2 })
  local nobody = assert(tokenstore.Client "redis://127.0.0.1:1")
  fails("connection", "refused", nobody:ping())
  only("OK", client:execute("ACL", "SETUSER", "pings", "on", ">secret", "resetkeys", "-@all"))
  local forbidden = assert(tokenstore.Client((harness.url:gsub("unix://", "redis+unix://pings:secret@"))))
  fails("server", "NOPERM", forbidden:execute "PING")
  only(true, forbidden:ping())
  forbidden:close()
end)

test("arguments of any bytes, and numbers", function()
  local bytes = {}
  for i = 0, 255 do
    bytes[i + 1] = string.char(i)
  end
  local all = table.concat(bytes)
  client:execute("SET", key, all)
  only(all, client:execute("GET", key))
  client:execute("SET", key, "")
  only("", client:execute("GET", key))
  only("12", client:execute("ECHO", 12))
  only("-3", client:execute("ECHO", -3))
  only("1.5", client:execute("ECHO", 1.5))
  only("2", client:execute("ECHO", 4 / 2))
  only("100000000000000", client:execute("ECHO", 1e14))
  local large = ("x"):rep(3000000)
  client:execute("SET", key, large)
  assert(client:execute("GET", key) == large)
end)

test("an error reply is a failure", function()
  fails("server", "unknown command", client:execute "NOPE")
  client:execute("SET", key, "text")
  fails("server", "not an integer", client:execute("INCR", key))
  only("PONG", client:execute "PING")
  -- The message begins with the server's error code, and does not repeat the arguments.
  equal(select(2, client:execute("LPUSH", key, "x")):match "^%S+", "WRONGTYPE")
  assert(not select(2, client:execute("NOPE", "CANARY")):find "CANARY")
  assert(not client:pipeline({ { "NOPE", "CANARY" } }, { raise_errors = false })[1].message:find "CANARY")
end)

test("a refusal says the server's word for it", function()
  local refused = assert(tokenstore.Client((harness.url:gsub("^unix://", "%0nobody:CANARY@"))))
  local _, message, code = refused:execute "PING"
  equal(code, "server")
  harness.matches(message, "AUTH refused: WRONGPASS ")
  assert(not message:find "CANARY")
  refused:close()
end)

test("an error reply among others has its place", function()
  local replies = client:execute("EVAL", "return { 1, redis.pcall('nope'), 3 }", 0)
  equal({ replies[1], replies[3] }, { 1, 3 })
  equal(replies[2].code, "server")
  equal(tostring(replies[2]), replies[2].message)
  harness.matches(replies[2].message, "nknown")
end)

test("pipeline", function()
  only({ "OK", "1", 2, false }, client:pipeline {
    { "SET", key, 1 }, { "GET", key }, { "INCR", key }, { "GET", key .. "none" },
  })
  only({}, client:pipeline {})
  local commands = {}
  for i = 1, 5000 do
    commands[i] = { "ECHO", i }
  end
  local replies = assert(client:pipeline(commands))
  equal({ #replies, replies[1], replies[5000] }, { 5000, "1", "5000" })
end)

test("pipeline with an error reply: all is sent, then it fails", function()
  fails("server", "not an integer", client:pipeline {
    { "SET", key, "x" }, { "INCR", key }, { "SET", key, "y" }, { "NOPE" },
  })
  only("y", client:execute("GET", key))
  local replies = assert(client:pipeline({ { "INCR", key }, { "PING" } }, { raise_errors = false }))
  equal({ replies[1].code, replies[2] }, { "server", "PONG" })
  harness.matches(tostring(replies[1]), "not an integer")
end)

test("a call's own timeout", function()
  only({ "PONG" }, client:pipeline({ { "PING" } }, { timeout = 2 }))
  local impatient = assert(tokenstore.Client(harness.url))
  local started = client:execute("TIME")
  local got, message, code = impatient:pipeline({ { "BLPOP", key .. "none", 0 } }, { timeout = 0.05 })
  local ended = client:execute("TIME")
  assert(ended[1] - started[1] + (ended[2] - started[2]) / 1e6 < 2, "the client's timeout was taken")
  equal(got, nil)
  assert(code == "outcome_unknown" or code == "timeout", code)
  assert(#message > 0)
  only("PONG", impatient:execute "PING")
  fails("data", "timeout", client:pipeline({ { "PING" } }, { timeout = 0 }))
  fails("data", "timeout", client:pipeline({ { "PING" } }, { timeout = 0 / 0 }))
  got, message, code = impatient:execute("BLPOP", key .. "none", 0, { timeout = 0.05 })
  assert(got == nil and (code == "outcome_unknown" or code == "timeout"), message)
  fails("data", "timeout", client:execute("PING", { timeout = 0 }))
end)

test("a key changes nothing on one server", function()
  only("x", client:execute("ECHO", "x", { key = "k\255" }))
  only("PONG", client:execute("PING", { key = "k", timeout = 2 }))
  only("PONG", client:execute("PING", {}))
  local commands = { { "SET", key, 1 }, { "PING" }, { "GET", key } }
  only({ "OK", "PONG", "1" }, client:pipeline(commands, { key = "k" }))
  fails("data", "key is empty", client:execute("PING", { key = "" }))
  fails("data", "key is empty", client:pipeline({ { "PING" } }, { key = "" }))
  raises("'key' (string expected, got number)", client.execute, client, "PING", { key = 1 })
  raises("'key' (string expected, got boolean)", client.pipeline, client, { { "PING" } }, { key = true })
  raises("unknown argument 'keys' (known are: key, node, timeout)",
    client.execute, client, "PING", { keys = "k" })
end)

test("one server is its only node", function()
  local name, pong = next(assert(client:for_each_primary "PING"))
  equal(pong, "PONG")
  only("PONG", client:execute("PING", { node = name }))
  only({ "PONG" }, client:pipeline({ { "PING" } }, { node = name, timeout = 2 }))
  equal(assert(client:for_each_primary("GET", key .. "none", { timeout = 2 }))[name], false)
  fails("configuration", "no primary here: there is " .. name, client:execute("PING", { node = "a:1" }))
  fails("data", "give key or node, not both", client:execute("PING", { node = name, key = "k" }))
  fails("data", "node is empty", client:pipeline({ { "PING" } }, { node = "" }))
  fails("server", "unknown command", client:for_each_primary "NOPE")
  fails("data", "not sent", client:for_each_primary("SELECT", 1))
  fails("data", "empty", client:for_each_primary())
  raises("unknown argument 'key' (known are: timeout)",
    client.for_each_primary, client, "PING", { key = "k" })
end)

test("URLs of several servers", function()
  local urls = {
    ["redis+cluster://a,b:7000"] = "redis+cluster://a:6379,b:7000/0",
    ["redis+sentinel://a,b:1/name/2"] = "redis+sentinel://a:26379,b:1/name/2",
  }
  for url, shown in pairs(urls) do
    local several = assert(tokenstore.Client(url))
    equal(several.url, shown)
    several:close()
  end
  local login = { redis = "redis+sentinel://a/name", sentinel_user = "reader", sentinel_password = "secret" }
  assert(tokenstore.Client(login)):close()
  for _, map in ipairs { { ["a:1"] = "b:2" }, "a:1=b:2,c=d" } do
    assert(tokenstore.Client { redis = "redis+cluster://a", address_map = map }):close()
  end
  fails("configuration", "address_map must be announced addresses",
    tokenstore.Client { redis = "redis+cluster://a", address_map = { a = "b:x" } })
  login.redis = "redis://a"
  fails("configuration", "redis+sentinel:// URLs only", tokenstore.Client(login))
end)

-- Whatever earlier calls have left on the stack, where there are no arguments.
test("no arguments at all", function()
  local core = require "tokenstore.core"
  local function call()
    return pcall(core.execute)
  end
  for _ = 1, 3 do
    equal({ pcall(core.pipeline, {}, {}) }, { true, nil, "no command was given", "data" })
    equal({ call {} }, { true, nil, "command 1 is empty: give at least its name", "data" })
    equal({ pcall(core.execute) }, { true, nil, "command 1 is empty: give at least its name", "data" })
  end
end)

test("what cannot be a command", function()
  fails("data", "command", client:execute())
  fails("data", "command 2", client:pipeline { { "PING" }, {} })
  raises("#2 to 'execute' (string or finite number expected, got table)", client.execute, client,
    "GET", {}, "x")
  raises("(key, node, timeout), got a number as name", client.execute, client, { "PING" })
  fails("data", "command", client:execute { key = "k" })
  raises("got nil", client.execute, client, "SET", nil, "x")
  raises("finite", client.execute, client, "SET", key, 0 / 0)
  raises("#2 of command 2 of 'pipeline'", client.pipeline, client, { { "PING" }, { "GET", true } })
  raises("list of arguments expected, got string", client.pipeline, client, { "PING" })
  raises("list of commands expected, got string", client.pipeline, client, "PING")
  raises("unknown argument 'raise'", client.pipeline, client, { { "PING" } }, { raise = false })
  only("PONG", client:execute "PING")
end)

test("what would change the connection for others is not sent", function()
  fails("data", "redis://…/3", client:execute("SELECT", 3))
  fails("data", "is not sent", client:execute("subscribe", "c"))
  fails("data", "into one pipeline", client:pipeline { { "MULTI" }, { "INCR", key } })
  local replies = client:pipeline { { "MULTI" }, { "SET", key, "x" }, { "EXEC" } }
  equal(replies[3][1], "OK")
  only("x", client:execute("GET", key))
end)

test("a logger hears why it was tried again", function()
  local lines = {}
  local function hear(level, text)
    lines[#lines + 1] = level .. ": " .. text
  end
  local nowhere = assert(tokenstore.Client { redis = "redis://bob:CANARY@127.0.0.1:1", logger = hear })
  fails("connection", "refused", nowhere:execute("GET", "CANARY"))
  equal(#lines, 1)
  harness.matches(lines[1], "info: trying again: redis://127.0.0.1:1/0: cannot connect")
  assert(not lines[1]:find "CANARY")
  nowhere:close()

  lines = {}
  local quiet = assert(tokenstore.Client { redis = harness.url, logger = { info = hear, warning = hear } })
  only("PONG", quiet:execute "PING")
  equal(#lines, 0)
  quiet:close()

  local tokens = assert(tokenstore.RedisTokens {
    redis = "redis://127.0.0.1:1",
    logger = { warning = hear, info = function(text) hear("table", text) end },
  })
  fails("connection", "refused", tokens:get { app = "a", type = "t", token = "x" })
  harness.matches(lines[1], "table: trying again: redis://127.0.0.1:1/0")
  tokens:close()

  raises("bad option 'logger' (function or table expected, got string)", tokenstore.Client, {
    redis = harness.url, logger = "x",
  })
  raises("its 'warning' must be a function", tokenstore.RedisTokens, {
    redis = harness.url, logger = { info = print },
  })
end)

test("a closed client says so", function()
  local other = assert(tokenstore.Client(harness.url))
  only("PONG", other:execute "PING")
  equal(other.closed, false)
  other:close()
  other:close()
  equal(other.closed, true)
  harness.matches(tostring(other), "closed")
  fails("closed", "closed", other:execute "PING")
  fails("closed", "closed", other:pipeline { { "PING" } })
end)

test("the server sees the client's name and database", function()
  local named = assert(tokenstore.Client { redis = harness.url, client_name = "lua-test", db = 3 })
  only("lua-test", named:execute("CLIENT", "GETNAME"))
  named:execute("SET", key .. "db", 1)
  only(nil, client:execute("GET", key .. "db"))
  named:execute("DEL", key .. "db")
  named:close()
end)
