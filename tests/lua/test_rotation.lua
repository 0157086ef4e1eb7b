-- rotate with a grace, an owner and data; reused tokens.

local harness = require "harness"
local tokenstore = require "tokenstore"
local equal, only, test = harness.equal, harness.only, harness.test

local function args(more)
  local all = { app = "web", type = "login" }
  for name, value in pairs(more) do
    all[name] = value
  end
  return all
end

local function create(tokens, more)
  local all = args(more or {})
  all.owner = "bob"
  return assert(tokens:create(all))
end

-- Ends the grace of a token that was rotated, as time would.
local function end_grace(tokens, id)
  for _, key in ipairs(harness.keys(tokens.client, "*")) do
    if tokens.client:execute("TYPE", key) == "hash" then
      tokens.client:execute("HDEL", key, id)
    end
  end
end

test("a grace, in which the old token finds the new one", function()
  local tokens = harness.store()
  local old = create(tokens, { data = { a = 1 } })
  local new = assert(tokens:rotate(args { token = old.token, grace = 30, data = { b = 2 } }))
  equal({ new.sid, new.superseded }, { old.sid, nil })
  equal(new.data, { a = 1, b = 2 })
  local found = assert(tokens:get(args { token = old.token }))
  equal({ found.token, found.id, found.superseded }, { old.token, new.id, true })
  equal(assert(tokens:rotate(args { token = old.token, grace = 30 })).token, new.token)
  equal(assert(tokens:update(args { token = old.token, data = { b = tokenstore.null } })).data, { a = 1 })
  equal(#tokens:list(args { owner = "bob" }), 1)
  equal(tokens:get_by_id(args { owner = "bob", id = old.sid }).id, new.id)
  end_grace(tokens, old.id)
  only(nil, tokens:get(args { token = old.token }))
  assert(tokens:get(args { token = new.token }))
  for _, grace in ipairs { 0.5, -1, 0 / 0, math.huge } do
    harness.fails("data", "grace must be", tokens:rotate(args { token = new.token, grace = grace }))
  end
  assert(tokens:rotate(args { token = new.token, grace = 0 }))
end)

test("rotate binds an anonymous token", function()
  local tokens = harness.store()
  local guest = assert(tokens:create(args { data = { cart = { "book" } } }))
  equal(guest.owner, nil)
  local mine = assert(tokens:rotate(args { token = guest.token, owner = "bob", grace = 30 }))
  equal({ mine.owner, mine.sid }, { "bob", guest.id })
  only(nil, tokens:get(args { token = guest.token })) -- whoever planted it has nothing
  harness.fails("data", "another owner", tokens:rotate(args { token = mine.token, owner = "eve" }))
  equal(tokens:count(args { owner = "bob" }), 1)
end)

test("a reused token ends its family", function()
  local tokens = harness.store { reuse = "revoke", reuse_window = 60 }
  local old = create(tokens)
  local new = assert(tokens:rotate(args { token = old.token, grace = 30 }))
  end_grace(tokens, old.id)
  for _ = 1, 2 do
    local none, message, code, reused = tokens:get(args { token = old.token })
    equal({ none, code }, { nil, "reused_token" })
    equal({ reused.owner, reused.sid }, { "bob", old.sid })
    assert(not message:find(old.token, 1, true))
  end
  only(nil, tokens:get(args { token = new.token }))
  local fine = create(tokens)
  equal(tokens:get_many { app = "web", type = "login", tokens = { old.token, fine.token } }[1], false)
end)

test("sessions: rotate with a grace, an owner and data; a reused token", function()
  local sessions = harness.store({ reuse = "revoke" }, tokenstore.Sessions)
  local guest = assert(sessions:create { app = "web" })
  local first = assert(sessions:rotate { app = "web", token = guest, owner_id = "bob", data = { a = 1 } })
  only(nil, sessions:get { app = "web", token = guest })
  local mine = assert(sessions:rotate { app = "web", token = first, grace = 30 })
  equal(sessions:rotate { app = "web", token = first, grace = 30 }, mine)
  assert(sessions:get({ app = "web", token = first }).superseded)
  local last = assert(sessions:rotate { app = "web", token = mine })
  local _, message, code, reused = sessions:rotate { app = "web", token = mine, grace = 30 }
  equal({ code, reused.owner, type(reused.sid) }, { "reused_token", "bob", "string" })
  assert(message:find("rotated before", 1, true))
  only(nil, sessions:get { app = "web", token = last })
end)
