-- Session events: listening, waiting, callbacks, gaps.
-- luacheck: std max

local Events = require "tokenstore.session_events"
local harness = require "harness"
local tokenstore = require "tokenstore"
local equal, fails, test = harness.equal, harness.fails, harness.test

local SOON = 20

local client = assert(tokenstore.Client(harness.url))

local function key(id)
  return id .. ":0123456789a"
end

local function finish(id)
  assert(client:execute("SET", key(id), "{}"))
  equal(client:execute("DEL", key(id)), 1)
  return { kind = "del", id = id, rjwt = key(id) }
end

local function listen(settings)
  return assert(Events.open(client, settings or { kea = true }))
end

-- Runs `body` with events, and closes them.
local function with_events(body)
  local events = listen()
  body(events)
  events:close()
end

test("expiry and deletion are told", function()
  with_events(function(events)
    client:execute("SET", key "bob", "{}", "PX", 1)
    equal(events:next(SOON), { kind = "expired", id = "bob", rjwt = key "bob" })
    equal(finish "x\0 y", events:next(SOON))
  end)
end)

test("other keys are not told", function()
  with_events(function(events)
    for _, name in ipairs { "bob", "bob:short", "a:b:0123456789a", ":0123456789a" } do
      client:execute("SET", name, "x")
      client:execute("DEL", name)
    end
    equal(finish "alice", events:next(SOON))
  end)
end)

test("a timeout is one nil and nothing else", function()
  with_events(function(events)
    harness.only(nil, events:next(0))
    harness.only(nil, events:next(0.02))
    harness.only(0, events:poll(0))
    for _, wrong in ipairs { -1, 0 / 0, 1 / 0, "1" } do
      harness.raises("bad timeout", events.next, events, wrong)
      harness.raises("bad timeout", events.poll, events, wrong)
    end
  end)
end)

test("a for loop ends with close", function()
  local events = listen()
  local told, count = finish "bob", 0
  for event in events do
    equal(event, told)
    count = count + 1
    events:close()
  end
  equal(count, 1)
  equal(tostring(events), "tokenstore.SessionEvents (closed)")
  fails("closed", "the events are closed", events:next(0))
  fails("closed", "the events are closed", events:poll(0))
  events:close()
end)

test("a for loop raises a failure", function()
  local own = assert(tokenstore.Client(harness.url))
  local events = assert(Events.open(own, { kea = true }))
  own:close()
  harness.raises("the client is closed", function()
    for _ in events do end
  end)
  fails("closed", "the client is closed", Events.open(own, {}))
end)

test("callbacks are called by poll", function()
  with_events(function(events)
    local told, order = {}, {}
    events:on("del", function(event) told[#told + 1] = event end)
    events:on("del", function() order[#order + 1] = "second" end)
    events:on("expired", function(event) order[#order + 1] = event.id end)
    local first, second = finish "one", finish "two"
    local count = 0
    while count < 2 do
      count = count + events:poll(SOON)
    end
    equal(count, 2)
    equal(told, { first, second })
    equal(order, { "second", "second" })
    client:execute("SET", key "late", "{}", "PX", 1)
    equal(events:poll(SOON), 1)
    equal(order[3], "late")
  end)
end)

test("an error in a callback is the caller's", function()
  with_events(function(events)
    local fail = true
    events:on("del", function() if fail then error "odd" end end)
    finish "one"
    harness.raises("odd", events.poll, events, SOON)
    fail = false
    finish "two"
    equal(events:poll(SOON), 1)
  end)
end)

test("a callback may close", function()
  local events = listen()
  events:on("del", function() events:close() end)
  finish "one"
  equal(events:poll(SOON), 1)
  assert(events.closed)
end)

test("wrong callbacks raise", function()
  with_events(function(events)
    harness.raises([["expired", "del" or "gap" expected, got evicted]], events.on, events, "evicted", print)
    harness.raises("function expected, got nil", events.on, events, "del")
  end)
  harness.raises("bad option 'keepalive'", Events.open, client, { keepalive = -1 })
end)

test("a gap is told, and what comes after", function()
  with_events(function(events)
    equal(finish "bob", events:next(SOON))
    local before = client:execute "TIME"
    client:execute("CLIENT", "KILL", "TYPE", "pubsub")
    finish "missed"
    local gap = events:next(SOON)
    equal(gap.kind, "gap")
    assert(gap.lost_at <= before[1] + before[2] / 1e6 + 0.02, "it begins too late")
    assert(gap.lost_at < gap.restored_at)
    equal(finish "alice", events:next(SOON))
  end)
end)

test("a refusal says what to do", function()
  client:execute("ACL", "SETUSER", "listener", "reset", "on", ">sesame", "-@all", "+subscribe", "&*")
  local limited = assert(tokenstore.Client((harness.url:gsub("//", "//listener:sesame@", 1))))
  fails("server", "+config|get and +config|set", Events.open(limited, { kea = true }))
  assert(Events.open(limited, {})):close()
  limited:close()
  client:execute("ACL", "DELUSER", "listener")
end)

test("events that nobody holds end", function()
  local function listeners()
    return tonumber((client:execute("INFO", "clients"):match "pubsub_clients:(%d+)"))
      or #client:execute("PUBSUB", "CHANNELS", "__keyevent@0__:del")
  end
  collectgarbage()
  collectgarbage()
  local before = listeners()
  listen()
  collectgarbage()
  collectgarbage()
  harness.await("its end", function() return listeners() == before end)
end)

test("where nothing can wait, it says so", function()
  fails("configuration", "a separate program",
    Events.open({ _driver = {} }, {}))
end)

-- ---- RedisJWT ------------------------------------------------------------------------------------

local SECRET = "a secret of thirty-two bytes, yes"

test("RedisJWT tells", function()
  client:execute("CONFIG", "SET", "notify-keyspace-events", "")
  local sessions = assert(tokenstore.RedisJWT { redis = harness.url, secret = SECRET, kea = true })
  harness.only(0, sessions:poll(0))
  local heard = {}
  harness.only(true, sessions:on("del", function(event) heard[#heard + 1] = event end))
  local events = assert(sessions:events { keepalive = 5 })
  local token = assert(sessions:sign { id = "teller" })
  local rjwt = sessions:verify({ token = token }).rjwt
  sessions:destroy_multiple { id = "teller" }
  equal(sessions:poll(SOON), 1)
  equal(heard, { { kind = "del", id = "teller", rjwt = rjwt } })
  equal(events:next(SOON), heard[1])
  harness.raises("'on' (\"expired\"", sessions.on, sessions, "evicted", print)
  harness.raises("unknown argument 'x'", sessions.events, sessions, { x = 1 })
  sessions:close()
  sessions:close()
  fails("closed", "closed", sessions:poll(0))
  fails("closed", "the client is closed", events:next(0))
end)

test("RedisJWT changes no settings without kea", function()
  client:execute("CONFIG", "SET", "notify-keyspace-events", "")
  local sessions = assert(tokenstore.RedisJWT(client, { secret = SECRET }))
  sessions:events():close()
  equal(client:execute("CONFIG", "GET", "notify-keyspace-events")[2], "")
end)
