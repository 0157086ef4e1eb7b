-- Sessions: every method, and that sessions are tokens.

local harness = require "harness"
local tokenstore = require "tokenstore"
local equal, only, raises, test = harness.equal, harness.only, harness.raises, harness.test

local function store(options)
  return harness.store(options, tokenstore.Sessions)
end

local function create(sessions, more)
  local args = { app = "web", owner_id = "bob" }
  for name, value in pairs(more or {}) do
    args[name] = value
  end
  return assert(sessions:create(args))
end

test("create gives the token, get the session", function()
  local sessions = store()
  local token = create(sessions, { data = { role = "admin" }, duration = 100 })
  equal(type(token), "string")
  local session = assert(sessions:get { app = "web", token = token })
  equal({ session.app, session.owner_id, session.data, session.token },
    { "web", "bob", { role = "admin" }, token })
  assert(#session.id == 22 and session.created_at > 0)
  for field in pairs(session) do
    harness.matches("app owner_id data token id created_at expires_at sid", field)
  end
  only(nil, sessions:get { app = "web", token = "no such token" })
  only(nil, sessions:get { app = "other", token = token })
end)

test("get slides and tells the expiry", function()
  local sessions = store { touch_interval = 0 }
  local token = create(sessions, { duration = 10 })
  local session = assert(sessions:get { app = "web", token = token, refresh = 100, expiry = true })
  assert(session.expires_at - session.created_at > 90)
end)

test("refresh", function()
  local sessions = store()
  local token = create(sessions, { duration = 10 })
  only(true, sessions:refresh { app = "web", token = token, duration = 100 })
  only(false, sessions:refresh { app = "web", token = "no such token", duration = 100 })
  local session = sessions:get { app = "web", token = token, expiry = true }
  assert(session.expires_at - session.created_at > 90)
end)

test("update says whether the session was found", function()
  local sessions = store()
  local token = create(sessions, { data = { a = 1, b = 2 } })
  only(true, sessions:update { app = "web", token = token, data = { a = tokenstore.null, c = 3 } })
  only(false, sessions:update { app = "web", token = "no such token", data = { c = 3 } })
  equal(sessions:get({ app = "web", token = token }).data, { b = 2, c = 3 })
end)

test("update of a session takes what update of a token does", function()
  local sessions = store()
  local token = create(sessions, { data = { a = 1, b = 2 }, duration = 10 })
  only(true, sessions:update {
    app = "web", token = token, data = { c = 3 }, unset = { "a" }, expect = { b = 2, x = tokenstore.unset },
    refresh = 100,
  })
  harness.fails("conflict", 'the field "b"',
    sessions:update { app = "web", token = token, expect = { b = 3 } })
  only(true, sessions:update { app = "web", token = token, data = { d = tokenstore.null }, keepNull = true })
  local session = sessions:get { app = "web", token = token, expiry = true }
  equal(session.data, { b = 2, c = 3, d = tokenstore.null })
  assert(session.expires_at - session.created_at > 90)
  only(true, sessions:update { app = "web", token = token, replace = true })
  equal(sessions:get({ app = "web", token = token }).data, {})
end)

test("get_by_id, update_by_id, update_all of sessions", function()
  local sessions = store()
  create(sessions, { data = { role = "admin" }, duration = 100 })
  local id = sessions:list({ app = "web", owner_id = "bob" })[1].id
  local by_id = { app = "web", owner_id = "bob", id = id }
  local session = sessions:get_by_id(by_id)
  equal({ session.id, session.owner_id, session.token }, { id, "bob", nil })
  assert(session.expires_at)
  only(true, sessions:update_by_id { app = "web", owner_id = "bob", id = id, data = { a = 1 } })
  only(false, sessions:update_by_id { app = "web", owner_id = "bobby", id = id, data = { a = 1 } })
  harness.fails("conflict", '"a"',
    sessions:update_by_id { app = "web", owner_id = "bob", id = id, expect = { a = 2 } })
  only(1, sessions:update_all { app = "web", owner_id = "bob", data = { role = "guest" } })
  equal(sessions:get_by_id(by_id).data, { a = 1, role = "guest" })
end)

test("kill, kill_all, kill_by_id", function()
  local sessions = store()
  local token = create(sessions)
  only(true, sessions:kill { app = "web", token = token })
  only(false, sessions:kill { app = "web", token = token })
  create(sessions)
  create(sessions)
  local bobby = create(sessions, { owner_id = "bobby" })
  only(true, sessions:kill_all { app = "web", owner_id = "bob" })
  only(false, sessions:killAll { app = "web", owner_id = "bob" })
  local listed = sessions:list { app = "web", owner_id = "bobby" }
  equal(#listed, 1)
  equal({ listed[1].owner_id, listed[1].token }, { "bobby", nil })
  only(true, sessions:kill_by_id { app = "web", owner_id = "bobby", id = listed[1].id })
  only(false, sessions:killById { app = "web", owner_id = "bobby", id = listed[1].id })
  only(nil, sessions:get { app = "web", token = bobby })
end)

test("kill_all keeps one", function()
  local sessions = store()
  local mine = create(sessions)
  local other = create(sessions)
  only(true, sessions:kill_all { app = "web", owner_id = "bob", keep = mine })
  only(false, sessions:kill_all { app = "web", owner_id = "bob", keep = mine })
  only(nil, sessions:get { app = "web", token = other })
  assert(sessions:get { app = "web", token = mine })
end)

test("take gives a session once", function()
  local sessions = store()
  local token = create(sessions, { data = { a = 1 } })
  local taken = assert(sessions:take { app = "web", token = token })
  equal({ taken.token, taken.owner_id, taken.data }, { token, "bob", { a = 1 } })
  only(nil, sessions:take { app = "web", token = token })
  only(nil, sessions:get { app = "web", token = token })
end)

test("rotate gives the new token", function()
  local sessions = store()
  local old = create(sessions, { data = { a = 1 } })
  local new = sessions:rotate { app = "web", token = old }
  equal(type(new), "string")
  only(nil, sessions:get { app = "web", token = old })
  equal(sessions:get({ app = "web", token = new }).data, { a = 1 })
  only(nil, sessions:rotate { app = "web", token = old })
  equal(type(sessions:rotate { app = "web", token = new, duration = 5 }), "string")
end)

test("Node's words for arguments", function()
  local sessions = store()
  local token = assert(sessions:create { app = "web", ownerId = "bob", data = {} })
  equal(sessions:get({ app = "web", token = token }).owner_id, "bob")
  only(true, sessions:killAll { app = "web", ownerId = "bob" })
end)

test("a session is a token of type session", function()
  local prefix = harness.prefix()
  local sessions = store { prefix = prefix }
  local tokens = harness.store { prefix = prefix }
  local token = create(sessions, { data = { a = 1 } })
  equal(tokens:get({ app = "web", type = "session", token = token }).owner, "bob")
  raises("unknown argument 'type'", sessions.get, sessions, { app = "web", type = "x", token = token })
  raises("unknown argument 'owner'", sessions.create, sessions, { app = "web", owner = "bob" })
  raises("unknown argument 'custom_token'", sessions.create, sessions,
    { app = "web", owner_id = "bob", custom_token = "x" })
end)

test("get_many gives sessions in the order asked", function()
  local sessions = store()
  local bob, eve = create(sessions), create(sessions, { owner_id = "eve" })
  local found = assert(sessions:get_many { app = "web", tokens = { eve, "none", bob } })
  equal(#found, 3)
  equal({ found[1].owner_id, found[1].token, found[2], found[3].owner_id }, { "eve", eve, false, "bob" })
  equal(tokenstore.Sessions.getMany, tokenstore.Sessions.get_many)
  raises("unknown argument 'type'", sessions.get_many, sessions, { app = "web", type = "x", tokens = {} })
end)

test("failures", function()
  local sessions = store()
  harness.fails("data", "data.x", sessions:create { app = "web", owner_id = "bob", data = { x = 0 / 0 } })
  harness.fails("data", "data.x", sessions:update { app = "web", token = "x", data = { x = 0 / 0 } })
  harness.fails("data", "duration", sessions:rotate { app = "web", token = "x", duration = 0 })
  sessions:close()
  for name, args in pairs {
    create = { app = "web", owner_id = "bob" },
    get = { app = "web", token = ("x"):rep(20) },
    update = { app = "web", token = ("x"):rep(20), data = {} },
    refresh = { app = "web", token = ("x"):rep(20), duration = 5 },
    take = { app = "web", token = ("x"):rep(20) },
    kill = { app = "web", token = ("x"):rep(20) },
    kill_all = { app = "web", owner_id = "bob" },
    kill_by_id = { app = "web", owner_id = "bob", id = ("x"):rep(28) },
    list = { app = "web", owner_id = "bob" },
    rotate = { app = "web", token = ("x"):rep(20) },
    get_many = { app = "web", tokens = { ("x"):rep(20) } },
  } do
    harness.fails("closed", "closed", sessions[name](sessions, args))
  end
end)
