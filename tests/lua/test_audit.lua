-- on_event, audit_stream, acting, audit_events: what stores tell.

local harness = require "harness"
local tokenstore = require "tokenstore"
local equal, fails, test = harness.equal, harness.fails, harness.test

-- A store with a prefix of its own, whose events are collected.
local function audited(more)
  local told, prefix = {}, harness.prefix()
  local options = {
    prefix = prefix, audit_stream = 100,
    on_event = function(event)
      told[#told + 1] = event
    end,
  }
  for name, value in pairs(more or {}) do
    options[name] = value
  end
  return harness.store(options), told, prefix
end

local function token_args(more)
  local args = { app = "web", type = "login" }
  for name, value in pairs(more) do
    args[name] = value
  end
  return args
end

-- The stream has what was told.
local function check_stored(client, prefix, told)
  local stored = assert(client:audit_events { prefix = prefix })
  equal(#stored, #told)
  for i, event in ipairs(stored) do
    for _, name in ipairs {
      "kind", "name", "reason", "app", "type", "owner", "sid", "id", "count", "actor",
    } do
      equal(event[name], told[i][name])
    end
    assert(math.abs(event.at - told[i].at) < 5)
  end
end

test("created, rotated, ended, and by whom", function()
  local tokens, told, prefix = audited()
  local token = assert(tokens:acting("user:bob"):create(token_args { owner = "bob" }))
  local new = assert(tokens:rotate(token_args { token = token.token }))
  assert(tokens:get(token_args { token = new.token }))
  equal(tokens:acting("admin"):delete_by_id(token_args { owner = "bob", id = new.sid }), true)
  equal(#told, 3)
  for i, expected in ipairs {
    { "created", "authn_token_created", nil, token.id, "user:bob" },
    { "rotated", "authn_token_created", nil, new.id },
    { "ended", "authn_token_revoked", "revoked", new.id, "admin" },
  } do
    local event = told[i]
    equal({ event.kind, event.name, event.reason, event.id, event.actor }, expected)
    equal({ event.app, event.type, event.owner, event.sid, event.count },
      { "web", "login", "bob", token.sid, 1 })
  end
  check_stored(tokens.client, prefix, told)
  tokens.client:close()
end)

test("reused, refused, used after its end", function()
  local tokens, told, prefix = audited { reuse = "revoke", max_per_owner = 1, when_full = "refuse" }
  local token = assert(tokens:create(token_args { owner = "bob" }))
  fails("limit", "as many live tokens", tokens:create(token_args { owner = "bob" }))
  assert(tokens:rotate(token_args { token = token.token }))
  for _ = 1, 2 do
    fails("reused_token", "rotated before", tokens:get(token_args { token = token.token }))
  end
  local other = assert(tokens:create(token_args { owner = "ann" }))
  equal(tokens:delete(token_args { token = other.token }), true)
  equal(tokens:get(token_args { token = other.token }), nil)
  local kinds = {}
  for i, event in ipairs(told) do
    kinds[i] = event.kind
  end
  equal(kinds, {
    "created", "refused", "rotated", "reused", "ended", "reused", "created", "ended", "used_after_end",
  })
  equal({ told[4].name, told[4].owner, told[4].sid }, { "authn_token_reuse", "bob", token.sid })
  equal({ told[6].owner, told[9].id, told[9].owner }, { "bob", other.id, nil })
  table.remove(told, 9)
  table.remove(told, 6)
  check_stored(tokens.client, prefix, told)
  tokens.client:close()
end)

test("pages", function()
  local tokens, _, prefix = audited()
  for n = 1, 5 do
    assert(tokens:create(token_args { owner = tostring(n) }))
  end
  for _, reverse in ipairs { false, true } do
    local owners, after = {}, nil
    repeat
      local page = assert(tokens.client:audit_events {
        prefix = prefix, count = 2, after = after, reverse = reverse,
      })
      for _, event in ipairs(page) do
        owners[#owners + 1] = event.owner
        after = event.entry
      end
    until #page == 0
    equal(table.concat(owners), reverse and "54321" or "12345")
  end
  fails("data", "after must be the entry", tokens.client:audit_events { after = "x" })
  fails("data", "count must be 1", tokens.client:audit_events { count = 0 })
  tokens.client:close()
end)

test("RedisJWT and Tokenstore", function()
  local told = {}
  local client = assert(tokenstore.Client { redis = harness.url, on_event = function(event)
    told[#told + 1] = event
  end })
  local sessions = assert(tokenstore.RedisJWT { redis = client, secret = ("x"):rep(40) })
  local id = "{" .. harness.prefix() .. "}" -- the braces are for clusters
  local jwt = assert(sessions:acting("login"):sign { id = id })
  equal(assert(sessions:verify { token = jwt }).id, id)
  assert(sessions:sign { id = id })
  fails("invalid_token", "has ended", sessions:verify { token = jwt })
  local node = assert(tokenstore.Tokenstore { redis = client, prefix = id })
  local token = assert(node:add { owner_id = "bob" })
  equal(node:acting("admin"):delete { id = token.id }, true)
  local words = {}
  for i, event in ipairs(told) do
    words[i] = event.kind .. "/" .. (event.reason or "") .. "/" .. (event.actor or "")
  end
  equal(words, {
    "created//login", "created//", "ended/too_many/", "used_after_end//", "created//", "ended/revoked/admin",
  })
  equal({ told[3].sid, told[4].owner, told[5].id }, { told[1].sid, id, token.id })
  client:close()
end)

test("a function that fails fails nobody", function()
  local warnings = {}
  local tokens = harness.store {
    prefix = harness.prefix(),
    on_event = function()
      error("broken", 0)
    end,
    logger = function(level, text)
      warnings[#warnings + 1] = level .. ": " .. text
    end,
  }
  assert(tokens:create(token_args { owner = "bob" }))
  equal(warnings, { "warning: on_event failed: broken" })
  tokens.client:close()
end)

test("a stream that cannot be written", function()
  local warnings = {}
  local tokens, told, prefix = audited { logger = function(_, text)
    warnings[#warnings + 1] = text
  end }
  local token = assert(tokens:create(token_args { owner = "bob" }))
  assert(tokens.client:execute("DEL", prefix .. ":audit"))
  assert(tokens.client:execute("SET", prefix .. ":audit", "x"))
  equal(tokens:delete(token_args { token = token.token }), true)
  equal(told[2].kind, "ended")
  equal(#warnings, 1)
  harness.matches(warnings[1], "not written to the audit stream")
  harness.matches(warnings[1], "WRONGTYPE")
  tokens.client:close()
end)

test("options, and who acts", function()
  for _, bad in ipairs { -1, 1.5, 1e9 } do
    local ok, message = pcall(tokenstore.Client, { redis = harness.url, audit_stream = bad })
    assert(not ok and message:find("bad option 'audit_stream'", 1, true), message)
  end
  local tokens = audited()
  local ok, message = pcall(tokens.acting, tokens, 5)
  assert(not ok and message:find("string expected, got number", 1, true), message)
  fails("data", "actor: 1025 bytes", tokens:acting(("x"):rep(1025)):create(token_args { owner = "bob" }))
  local plain = harness.store()
  equal(plain:acting("x")._run, plain._run)
  assert(plain:acting("x"):create(token_args { owner = "bob" }))
  tokens.client:close()
end)
