-- Operations run by hand with scripted replies: the interface for drivers written in Lua.

local core = require "tokenstore.core"
local harness = require "harness"
local tokenstore = require "tokenstore"
local equal, fails, raises, test = harness.equal, harness.fails, harness.raises, harness.test

local SALT = core.random(32)

local function target(url, options)
  return assert(core.target(url or "redis://localhost", options or {}))
end

-- A run with an operation, and the results of run_start.
local function start(operation, options)
  local run = core.run(target(nil, options))
  return run, core.run_start(run, operation)
end

test("one batch", function()
  local before = core.clock()
  local run, now, timeout, need, bytes, patience = start(core.execute("GET", "a"))
  assert(now >= before and now <= core.clock())
  equal({ need, bytes }, { "send", "*2\r\n$3\r\nGET\r\n$1\r\na\r\n" })
  assert(patience == 0 and timeout == 0)
  equal({ core.run_answer(run, "$5\r\nhel") }, { false })
  equal({ core.run_answer(run, "lo\r\n") }, { true, "done", "hello" })
end)

test("replies that are read before the operation is handed them", function()
  local run = start(core.execute("GET", "a"))
  equal(core.run_feed(run, "$5\r\nhel"), false)
  equal(core.run_feed(run, "lo\r\n"), true)
  equal({ core.run_answer(run, "") }, { true, "done", "hello" })
end)

test("results without asking, of no value, of more than one", function()
  local ids = { app = "a", type = "t", owner = "b", id = "x" } -- such an id is never generated
  local op = core.operations.RedisTokens.delete_by_id(harness.store()._store, ids)
  equal({ select(4, start(op)) }, { "done", false })
  local run = start(core.execute("GET", "a"))
  equal({ core.run_answer(run, "$-1\r\n") }, { true, "done" })
  run = start(core.execute("GET", "a"))
  equal({ core.run_answer(run, "-ERR no\r\n") }, { true, "done", nil, "ERR no", "server" })
end)

test("a run serves one operation after the other", function()
  local run = core.run(target())
  for i = 1, 20 do
    core.run_start(run, core.pipeline({ { "A" }, { "B" }, { "C" }, { "D" }, { "E" }, { "F" } }))
    for reply = 1, 5 do
      equal(core.run_answer(run, ":" .. reply .. "\r\n"), false)
    end
    local _, need, replies = core.run_answer(run, ":" .. i .. "\r\n")
    equal({ need, replies[6] }, { "done", i })
  end
end)

test("what is half read of one operation is nothing to the next", function()
  local run = core.run(target())
  core.run_start(run, core.execute "PING")
  equal(core.run_answer(run, "$100\r\nhalf of it"), false)
  core.run_start(run, core.execute "PING")
  equal({ core.run_answer(run, "+PONG\r\n") }, { true, "done", "PONG" })
end)

test("bytes that are no answer", function()
  for bytes, part in pairs {
    ["\0\1"] = "", ["+a\r\n+b\r\n"] = "more replies", ["+a\r\n+"] = "more replies", ["$-5\r\n"] = "",
  } do
    for _, take in ipairs { core.run_answer, core.run_feed } do
      fails("connection", part, take(start(core.execute "PING"), bytes))
    end
  end
end)

test("an answer that is too large is skipped, and the connection is good", function()
  local tokens = harness.store()
  local large, small = "$2000\r\n" .. ("x"):rep(2000), { max_reply_size = 1024 }
  local get = core.operations.RedisTokens.get(tokens._store, { app = "a", type = "t", token = "x" })
  local run = start(get, small)
  equal(core.run_answer(run, large), false)
  equal({ core.run_answer(run, "\r\n") }, { true, "failed" })
  fails("limit", "larger than max_reply_size (1024 bytes): request less", core.run_error(run))

  run = start(core.execute "PING", small)
  local _, need, value, message, code = core.run_answer(run, large .. "\r\n")
  equal({ need, value, code }, { "done", nil, "limit" })
  assert(message:find("max_reply_size", 1, true), message)

  run = start(core.pipeline({ { "PING" }, { "GET", "x" } }, { raise_errors = false }), small)
  _, need, value = core.run_answer(run, "+PONG\r\n" .. large .. "\r\n")
  equal({ need, value[1], value[2].code }, { "done", "PONG", "limit" })
  assert(tostring(value[2]):find("max_reply_size", 1, true), tostring(value[2]))

  -- Not enough time to read all of it: a read fails with "limit", and so does a change, which was executed.
  run = start(core.operations.RedisTokens.get(tokens._store, { app = "a", type = "t", token = "x" }), small)
  equal(core.run_answer(run, large), false)
  equal({ core.run_deadline(run, true, "late") }, { "failed" })
  fails("limit", "max_reply_size", core.run_error(run))
  run = start(core.execute("INCR", "a"), small)
  equal(core.run_answer(run, large), false)
  equal({ core.run_deadline(run, true, "late") }, { "failed" })
  fails("limit", "the command was executed", core.run_error(run))
  run = start(core.pipeline { { "INCR", "a" }, { "INCR", "a" } }, small)
  equal(core.run_answer(run, large), false)
  equal({ core.run_deadline(run, true, "late") }, { "failed" })
  fails("outcome_unknown", "max_reply_size", core.run_error(run))
end)

test("a lost connection: a read is tried again, what must not be repeated is in doubt", function()
  local tokens = harness.store()
  local run = start(core.operations.RedisTokens.get(tokens._store, { app = "a", type = "t", token = "x" }))
  for _ = 1, 3 do
    local need, seconds = core.run_lost(run, true, false, "gone", "connection")
    equal(need, "sleep")
    assert(seconds > 0 and seconds < 1, seconds)
    equal(core.run_awake(run), "send")
  end
  equal({ core.run_lost(run, true, false, "gone", "connection") }, { "failed" })
  fails("connection", "gone", core.run_error(run))

  run = start(core.execute("INCR", "a"))
  equal({ core.run_lost(run, true, false, "gone", "connection") }, { "failed" })
  fails("outcome_unknown", "gone", core.run_error(run))

  run = start(core.execute("INCR", "a"))
  equal(core.run_lost(run, false, false, "gone", "connection"), "sleep")
  equal({ core.run_deadline(run, false) }, { "failed" })
  fails("timeout", "gone", core.run_error(run))

  run = start(core.execute("INCR", "a"))
  equal({ core.run_lost(run, false, true, "AUTH refused", "server") }, { "failed" })
  fails("server", "AUTH refused", core.run_error(run))
end)

test("what is worth a line in a log", function()
  local ids = { app = "a", type = "t", token = "x" }
  local run = start(core.operations.RedisTokens.get(harness.store()._store, ids))
  core.run_lost(run, true, false, "gone", "connection")
  core.run_awake(run)
  equal({ core.run_answer(run, "$-1\r\n") }, { true, "noted" })
  equal(core.run_notes(run), "itrying again: gone\n")
  equal(core.run_notes(run), "")
  for _ = 1, 2 do -- an operation without notes has none of the previous one
    core.run_start(run, core.execute "PING")
    equal({ core.run_answer(run, "+PONG\r\n") }, { true, "done", "PONG" })
  end

  run = start(core.execute("INCR", "a"))
  equal({ core.run_answer(run, "-READONLY no\r\n") }, { "leave", "noted", nil, "READONLY no", "server" })
  harness.matches(core.run_notes(run), "READONLY no\n")

  run = start(core.operations.RedisTokens.get(harness.store()._store, { app = "a", type = "t", token = "x" }))
  for _ = 1, 3 do
    core.run_lost(run, true, false, "gone", "connection")
    core.run_awake(run)
  end
  core.run_lost(run, true, false, "gone", "connection")
  equal(core.run_notes(run), "itrying again: gone\n")
  fails("connection", "gone", core.run_error(run))
end)

test("a server that is full says so to the greeting", function()
  local run = start(core.execute("INCR", "a"))
  core.run_greet(run, target())
  equal(core.run_feed(run, "-ERR max number of clients reached\r\n"), true)
  local fine, message, code, final = core.run_greeted(run, target())
  equal({ fine, code, final }, { nil, "connection", false })
  harness.matches(message, "max number of clients reached")
  equal(core.run_lost(run, false, false, "full", "connection"), "sleep")
end)

test("a deadline", function()
  local run = start(core.execute("INCR", "a"))
  equal({ core.run_deadline(run, true, "too late") }, { "failed" })
  fails("outcome_unknown", "too late", core.run_error(run))
  run = start(core.execute("INCR", "a"))
  core.run_deadline(run, false, "too late")
  fails("timeout", "too late", core.run_error(run))
end)

test("the greeting", function()
  local named = target("redis://:sesame@localhost/1")
  local run = core.run(named)
  core.run_start(run, core.execute "PING")
  equal(core.run_greet(run, named), "*2\r\n$4\r\nAUTH\r\n$6\r\nsesame\r\n*2\r\n$6\r\nSELECT\r\n$1\r\n1\r\n")
  equal(core.run_feed(run, "+OK\r\n+OK\r\n"), true)
  equal({ core.run_greeted(run, named) }, { true })
  equal({ core.run_answer(run, "+PONG\r\n") }, { true, "done", "PONG" })
  core.run_start(run, core.execute "PING")
  core.run_greet(run, named)
  core.run_feed(run, "-WRONGPASS no\r\n")
  local ok, message, code, final = core.run_greeted(run, named)
  equal({ ok, code, final }, { nil, "server", true })
  harness.matches(message, "AUTH refused")
  equal(core.run_greet(run, target()), "*1\r\n$4\r\nPING\r\n")
end)

test("a target tells what a driver needs, and no password", function()
  local info = core.target_info(target("rediss://bob:sesame@example.com:7000/2?ca=x", { timeout = 3 }), SALT)
  equal({ info.transport, info.tls, info.host, info.port, info.ca, info.pool_size },
    { "tcp", true, "example.com", 7000, "x", 16 })
  assert(info.timeout == 3 and info.connect_timeout == 2)
  equal(info.url, "rediss://example.com:7000/2")
  for _, value in pairs(info) do
    assert(not tostring(value):find "sesame")
  end
  equal(core.target_info(target "unix:///a/b.sock", SALT).path, "/a/b.sock")
  equal(core.target_info(target "unix:///a/b.sock", SALT).greeting_hint, "")
  equal(core.target_info(target "redis://a", SALT).greeting_hint, " (for a TLS port use rediss://)")
  equal(core.target_info(target "embedded:", SALT).transport, "embedded")
end)

test("connections that differ in anything have different identities", function()
  local seen = {}
  for _, url in ipairs {
    "redis://a", "redis://b", "redis://a:1", "redis://a/1", "redis://:p@a", "redis://:q@a", "redis://u:p@a",
    "redis://a?client_name=x", "rediss://a", "rediss://a?server_name=b", "rediss://a?ca=b", "redis://:a@p",
    "rediss://a?cert=b&key=b", "rediss://a?cert=b&key=c", "unix:///a", "unix:///b", "unix:///a?db=1",
    "embedded:/a",
  } do
    local identity = core.target_info(target(url), SALT).identity
    assert(not seen[identity], url)
    seen[identity] = true
    equal(core.target_info(target(url, { timeout = 1 }), SALT).identity, identity)
    assert(core.target_info(target(url), "other").identity ~= identity)
  end
end)

test("wrong URLs and options", function()
  fails("configuration", "scheme", core.target("http://a", {}))
  fails("configuration", "colour", core.target("redis://a", { colour = "red" }))
  fails("configuration", "timeout", core.target("redis://a", { timeout = 0 / 0 }))
  raises("string expected", core.target, nil, {})
  raises("table expected", core.target, "redis://a")
end)

test("steps out of order raise, and harm nothing", function()
  local run = core.run(target())
  for _, step in ipairs { "run_awake", "run_error", "run_deadline" } do
    raises("in another state", core[step], run)
  end
  raises("in another state", core.run_feed, run, "+OK\r\n")
  raises("in another state", core.run_answer, run, "+OK\r\n")
  local operation = core.execute "PING"
  core.run_start(run, operation)
  raises("already been run", core.run_start, run, operation)
  raises("string expected", core.run_answer, run)
  raises("in another state", core.run_error, run)
  equal(core.run_answer(run, ""), false)
  equal({ core.run_answer(run, "+PONG\r\n") }, { true, "done", "PONG" })
  raises("in another state", core.run_lost, run, true, false, "x", "connection")
  raises("in another state", core.run_answer, run, "+PONG\r\n")
  raises("tokenstore.run expected", core.run_start, target(), operation)
  raises("tokenstore.target expected", core.run, tokenstore.null)
  raises("tokenstore.op expected", core.run_start, run, run)
end)

test("runs that are dropped half way", function()
  for i = 1, 50 do
    local run = start(core.pipeline { { "A" }, { "B" }, { "C" }, { "D" }, { "E" } })
    core.run_feed(run, ("+OK\r\n"):rep(i % 5))
  end
  collectgarbage()
end)

test("the clock goes forward", function()
  local before = core.clock()
  assert(core.clock() >= before)
  equal(#core.random(7), 7)
  assert(core.random(16) ~= core.random(16))
end)

test("whether anybody listens", function()
  equal(core.probe(harness.url:match "^unix://(.*)$"), nil)
  harness.matches(core.probe "/no/such.sock", "No such file")
  harness.matches(core.probe(("x"):rep(200)), "too long")
  harness.matches(core.probe("127.0.0.1", 1), "refused")
  equal(core.probe("localhost", 1), nil) -- a name is not resolved
  equal(core.probe("127.0.0.1", "no port"), nil)
end)
