-- RedisTokens: every operation, every option.

local harness = require "harness"
local tokenstore = require "tokenstore"
local equal, fails, only, test = harness.equal, harness.fails, harness.only, harness.test

local A = { app = "web", type = "login" }

local function args(more)
  local all = { app = A.app, type = A.type }
  for name, value in pairs(more) do
    all[name] = value
  end
  return all
end

local function create(tokens, more)
  local all = args(more or {})
  all.owner = all.owner or "bob"
  return assert(tokens:create(all))
end

local function now(tokens)
  local time = tokens.client:execute "TIME"
  return time[1] + time[2] / 1e6
end

-- The token's expiry in seconds from now; nil without one.
local function time_left(tokens, token)
  local found = assert(tokens:get(args { token = token, expiry = true }))
  return found.expires_at and found.expires_at - now(tokens)
end

local function near(got, expected, tolerance)
  assert(got and math.abs(got - expected) <= (tolerance or 1), ("%s is not near %s"):format(got, expected))
end

test("create gives all there is to know", function()
  local tokens = harness.store()
  local before = now(tokens)
  local token = create(tokens, { data = { role = "admin" } })
  equal({ token.app, token.type, token.owner }, { "web", "login", "bob" })
  equal(token.data, { role = "admin" })
  equal(token.expires_at, nil)
  assert(#token.token >= 43 and #token.id == 22)
  near(token.created_at, before)
  equal(getmetatable(token.data), nil)
  for field in pairs(token) do
    harness.matches("app type owner data token id created_at expires_at sid", field)
  end
end)

test("create with a duration", function()
  local tokens = harness.store()
  local token = create(tokens, { duration = 100 })
  near(token.expires_at, now(tokens) + 100)
  near(time_left(tokens, token.token), 100)
  near(time_left(tokens, create(tokens, { duration = 1.5 }).token), 1.5)
end)

test("a custom token", function()
  local tokens = harness.store()
  equal(create(tokens, { custom_token = "mine, *?" }).token, "mine, *?")
  equal(create(tokens, { customToken = "mine too" }).token, "mine too")
  equal(tokens:get(args { token = "mine, *?" }).owner, "bob")
  fails("data", "use", tokens:create(args { owner = "eve", custom_token = "mine, *?" }))
  only(true, tokens:delete(args { token = "mine, *?" }))
  only(nil, tokens:get(args { token = "mine, *?" }))
end)

test("get", function()
  local tokens = harness.store()
  local token = create(tokens, { data = { n = 1 }, duration = 50 })
  local found = assert(tokens:get(args { token = token.token }))
  equal(found.token, token.token)
  equal(found.id, token.id)
  equal(found.created_at, token.created_at)
  equal(found.expires_at, nil)
  equal(getmetatable(found), getmetatable(token))
  only(nil, tokens:get(args { token = "no such token" }))
  only(nil, tokens:get { app = "other", type = "login", token = token.token })
  only(nil, tokens:get { app = "web", type = "other", token = token.token })
end)

test("get slides the expiry", function()
  local tokens = harness.store { touch_interval = 0 }
  local token = create(tokens, { duration = 50 }).token
  assert(tokens:get(args { token = token, refresh = 500 }))
  near(time_left(tokens, token), 500)
  only(nil, tokens:get(args { token = "no such token", refresh = 5 }))
end)

test("get slides at most once per touch_interval", function()
  local tokens = harness.store { touch_interval = 30 }
  local token = create(tokens, { duration = 90 }).token
  assert(tokens:get(args { token = token, refresh = 100 }))
  near(time_left(tokens, token), 90)
  assert(tokens:get(args { token = token, refresh = 200 }))
  near(time_left(tokens, token), 200)
end)

test("refresh", function()
  local tokens = harness.store()
  local token = create(tokens, { duration = 50 }).token
  only(true, tokens:refresh(args { token = token, duration = 500 }))
  near(time_left(tokens, token), 500)
  only(false, tokens:refresh(args { token = "no such token", duration = 500 }))
end)

test("max_age ends what refresh would keep", function()
  local tokens = harness.store { max_age = 60 }
  local token = create(tokens, { duration = 50 }).token
  only(true, tokens:refresh(args { token = token, duration = 500 }))
  near(time_left(tokens, token), 60)
end)

test("update sets fields, deletes those that are null, and leaves the expiry", function()
  local tokens = harness.store()
  local token = create(tokens, { data = { a = 1, b = { c = 2 }, d = "x" }, duration = 100 }).token
  local updated = assert(tokens:update(args {
    token = token, data = { a = tokenstore.null, b = tokenstore.array {}, e = 5 },
  }))
  equal(updated.data, { b = tokenstore.array {}, d = "x", e = 5 })
  equal(updated.token, token)
  equal(tokens:get(args { token = token }).data, updated.data)
  near(time_left(tokens, token), 100)
  equal(tokens:update(args { token = token, data = {} }).data, updated.data)
  only(nil, tokens:update(args { token = "no such token", data = { a = 1 } }))
end)

test("update deletes, keeps null, replaces", function()
  local tokens = harness.store()
  local null = tokenstore.null
  local token = create(tokens, { data = { a = 1, b = 2, c = 3 } }).token
  local function update(more)
    more.token = token
    return tokens:update(args(more))
  end
  equal(update({ unset = { "a", "x" } }).data, { b = 2, c = 3 })
  equal(update({ data = { b = null, d = null }, unset = { "c" }, keep_null = true }).data,
    { b = null, d = null })
  equal(update({ data = { b = tokenstore.unset, d = null } }).data, { b = null })
  local list = tokenstore.array { 1 }
  equal(update({ data = { e = null, f = list }, replace = true }).data, { e = null, f = list })
  equal(update({ replace = true }).data, {})
  harness.fails("data", 'unset and data both have the field "a"',
    update({ data = { a = 1 }, unset = { "b", "a" } }))
  harness.fails("data", "replace and unset", update({ data = { a = 1 }, unset = { "b" }, replace = true }))
  harness.fails("data", "unset[1] is not valid UTF-8", update({ unset = { "\255" } }))
  harness.fails("data", "expect.a", update({ expect = { a = 0 / 0 } }))
  harness.fails("data", "refresh must be", update({ refresh = 0 }))
  equal(update({}).data, {})
end)

test("update changes only what is as expected", function()
  local tokens = harness.store()
  local unset = tokenstore.unset
  local data = { n = 1, list = { 1, "x" }, map = { a = 1, b = { c = 2 } }, null = tokenstore.null }
  local token = create(tokens, { data = data }).token
  local function update(expect, set)
    return tokens:update(args { token = token, data = set or {}, expect = expect })
  end
  for name, value in pairs(data) do
    assert(update({ [name] = value }), name)
    local said = ('the field "%s" is not as expected'):format(name)
    harness.fails("conflict", said, update({ [name] = unset }, { n = 9 }))
    harness.fails("conflict", said, update({ [name] = { other = 1 } }, { n = 9 }))
  end
  assert(update({ x = unset, y = unset, n = 1.0 }))
  harness.fails("conflict", 'the field "x"', update({ x = tokenstore.null }, { n = 9 }))
  equal(update({ n = 1 }, { n = 2 }).data.n, 2)
  harness.fails("conflict", 'the field "n"', update({ n = 1 }, { n = 3 }))
  equal(tokens:get(args { token = token }).data.n, 2)
  only(nil, tokens:update(args { token = "no such token", expect = { n = 1 } }))
  equal(tostring(unset), "tokenstore.unset")
  harness.fails("data", "data.a.b is a userdata", update({}, { a = { b = unset } }))
end)

test("update with refresh slides, and never shortens", function()
  local tokens = harness.store()
  local token = create(tokens, { duration = 10 }).token
  local updated = tokens:update(args { token = token, data = { a = 1 }, refresh = 100 })
  near(updated.expires_at - updated.created_at, 100)
  near(time_left(tokens, token), 100)
  assert(tokens:update(args { token = token, refresh = 50 }))
  near(time_left(tokens, token), 100)
end)

test("get_by_id and update_by_id need no secret", function()
  local tokens = harness.store()
  local made = create(tokens, { data = { role = "admin" }, duration = 100 })
  local by_id = { owner = "bob", id = made.id }
  local found = tokens:get_by_id(args(by_id))
  equal({ found.id, found.data, found.token }, { made.id, made.data, nil })
  near(found.expires_at - found.created_at, 100)
  local updated = tokens:update_by_id(args {
    owner = "bob", id = made.id, data = { role = "guest" }, expect = { role = "admin" }, refresh = 200,
  })
  equal({ updated.data, updated.token }, { { role = "guest" }, nil })
  near(time_left(tokens, made.token), 200)
  harness.fails("conflict", 'the field "role"', tokens:updateById(args {
    owner = "bob", id = made.id, unset = { "role" }, expect = { role = "admin" },
  }))
  local others = { { owner = "bobby", id = made.id }, { owner = "bob", id = "x" }, { owner = "bob" } }
  for _, wrong in ipairs(others) do
    only(nil, tokens:get_by_id(args(wrong)))
    only(nil, tokens:getById(args(wrong)))
    only(nil, tokens:update_by_id(args(wrong)))
  end
end)

test("update_all changes all tokens of one owner", function()
  local tokens = harness.store()
  local bobs = { create(tokens, { data = { a = 1, b = 2 }, duration = 100 }), create(tokens) }
  local bobby = create(tokens, { owner = "bobby" })
  only(2, tokens:update_all(args { owner = "bob", data = { role = "guest", a = tokenstore.null } }))
  equal(tokens:get(args { token = bobs[1].token }).data, { b = 2, role = "guest" })
  equal(tokens:get(args { token = bobs[2].token }).data, { role = "guest" })
  equal(tokens:get(args { token = bobby.token }).data, {})
  near(time_left(tokens, bobs[1].token), 100)
  only(0, tokens:updateAll(args { owner = "nobody", data = { role = "guest" } }))
end)

test("delete", function()
  local tokens = harness.store()
  local token = create(tokens).token
  only(true, tokens:delete(args { token = token }))
  only(false, tokens:delete(args { token = token }))
  only(nil, tokens:get(args { token = token }))
  only(false, tokens:refresh(args { token = token, duration = 5 }))
  only(nil, tokens:update(args { token = token, data = { a = 1 } }))
  only(nil, tokens:rotate(args { token = token }))
end)

test("take gives a token once", function()
  local tokens = harness.store()
  local token = create(tokens, { data = { a = 1 } }).token
  local taken = assert(tokens:take(args { token = token }))
  equal({ taken.token, taken.owner, taken.data }, { token, "bob", { a = 1 } })
  only(nil, tokens:take(args { token = token }))
  only(nil, tokens:get(args { token = token }))
  create(tokens, { custom_token = "1234" })
  equal(tokens:take(args { token = "1234" }).token, "1234")
  only(nil, tokens:take(args { token = "1234" }))
  only(nil, tokens:take(args {}))
end)

test("delete_all ends one owner's tokens and nobody else's", function()
  local tokens = harness.store()
  for _ = 1, 3 do
    create(tokens)
  end
  local bobby = create(tokens, { owner = "bobby" }).token
  local elsewhere = assert(tokens:create { app = "web", type = "other", owner = "bob" }).token
  only(3, tokens:delete_all(args { owner = "bob" }))
  only(0, tokens:delete_all(args { owner = "bob" }))
  only(0, tokens:deleteAll(args { owner = "nobody" }))
  assert(tokens:get(args { token = bobby }))
  assert(tokens:get { app = "web", type = "other", token = elsewhere })
end)

test("delete_all keeps one", function()
  local tokens = harness.store()
  local kept = create(tokens, { custom_token = "mine" })
  create(tokens)
  create(tokens, { duration = 100 })
  only(2, tokens:delete_all(args { owner = "bob", keep = "mine" }))
  only(0, tokens:delete_all(args { owner = "bob", keep = kept.id }))
  equal(tokens:get(args { token = "mine" }).id, kept.id)
  only(1, tokens:delete_all(args { owner = "bob", keep = "no such token" }))
  only(nil, tokens:get(args { token = "mine" }))
end)

test("list shows the newest first, without the secrets", function()
  local tokens = harness.store()
  only({}, tokens:list(args { owner = "bob" }))
  local made = {}
  for i = 1, 3 do
    made[i] = create(tokens, { data = { n = i }, duration = i > 1 and 100 or nil })
  end
  create(tokens, { owner = "bobby" })
  local listed = assert(tokens:list(args { owner = "bob" }))
  equal(#listed, 3)
  for i = 1, 3 do
    local got, expected = listed[i], made[4 - i]
    equal({ got.id, got.data, got.owner, got.created_at },
      { expected.id, expected.data, "bob", expected.created_at })
    equal(got.token, nil)
    if got.expires_at then
      near(got.expires_at, now(tokens) + 100)
    end
  end
  equal(listed[3].expires_at, nil)
  assert(listed[1].expires_at)
end)

test("delete_by_id ends what was listed", function()
  local tokens = harness.store()
  local token = create(tokens)
  local id = tokens:list(args { owner = "bob" })[1].id
  only(false, tokens:delete_by_id(args { owner = "bobby", id = id }))
  only(false, tokens:delete_by_id(args { owner = "bob", id = "x" }))
  only(true, tokens:delete_by_id(args { owner = "bob", id = id }))
  only(false, tokens:deleteById(args { owner = "bob", id = id }))
  only(nil, tokens:get(args { token = token.token }))
  only(nil, tokens:get(args { token = id }))
end)

test("rotate gives a new secret for the same data", function()
  local tokens = harness.store()
  local old = create(tokens, { data = { a = 1 }, duration = 100 })
  local new = assert(tokens:rotate(args { token = old.token }))
  assert(new.token ~= old.token and new.id ~= old.id)
  equal({ new.owner, new.data }, { "bob", { a = 1 } })
  only(nil, tokens:get(args { token = old.token }))
  near(time_left(tokens, new.token), 100)
  local newer = assert(tokens:rotate(args { token = new.token, duration = 500 }))
  near(time_left(tokens, newer.token), 500)
  only(nil, tokens:rotate(args { token = old.token }))
end)

test("create_many and get_many keep the order", function()
  local tokens = harness.store()
  local wanted = {}
  for i = 1, 100 do
    wanted[i] = args { owner = "bob" .. i, data = { n = i }, duration = i > 50 and i or nil }
  end
  local made = assert(tokens:create_many(wanted))
  equal(#made, 100)
  local secrets = {}
  for i = 1, 100 do
    equal({ made[i].owner, made[i].data }, { "bob" .. i, { n = i } })
    secrets[i] = made[i].token
  end
  secrets[3], secrets[101] = "no such token", ""
  local found = assert(tokens:get_many(args { tokens = secrets }))
  equal(#found, 101)
  equal({ found[3], found[101] }, { false, false })
  equal({ found[1].data, found[100].owner }, { { n = 1 }, "bob100" })
  equal(#assert(tokens:getMany(args { tokens = secrets })), 101)
  only({}, tokens:create_many {})
  only({}, tokens:get_many(args { tokens = {} }))
end)

test("create_many makes all or none", function()
  local tokens = harness.store()
  create(tokens, { custom_token = "taken" })
  fails("data", "use", tokens:createMany {
    args { owner = "ann" }, args { owner = "ann", custom_token = "taken" }, args { owner = "ann" },
  })
  only({}, tokens:list(args { owner = "ann" }))
  fails("data", "data.x", tokens:create_many { args { owner = "ann" }, args { owner = "ann",
    data = { x = 0 / 0 } } })
  only({}, tokens:list(args { owner = "ann" }))
end)

test("token_size and token_encoding", function()
  for encoding, form in pairs { base64url = "^[%w_-]+$", base64 = "^[%w+/]+$", hex = "^[0-9a-f]+$" } do
    local short = create(harness.store { token_encoding = encoding, token_size = 16 }).token
    local long = create(harness.store { token_encoding = encoding, token_size = 100 }).token
    assert(short:match(form) and long:match(form), encoding)
    assert(#long - #short >= 84 * (encoding == "hex" and 2 or 4 / 3) - 1, encoding)
  end
end)

test("of several peppers the first makes, all find", function()
  local prefix, old, new = harness.prefix(), ("o"):rep(16), ("n"):rep(16)
  local before = harness.store { prefix = prefix, pepper = old }
  local both = harness.store { prefix = prefix, pepper = { new, old } }
  local after = harness.store { prefix = prefix, pepper = { new } }
  local token = create(before, { duration = 100 }).token
  create(before, { custom_token = "mine" })
  only(nil, after:get(args { token = token }))
  equal(both:get(args { token = token }).owner, "bob")
  local many = both:get_many(args { tokens = { "mine", "none", token } })
  equal({ many[1].token, many[2], many[3].token }, { "mine", false, token })
  only(true, both:refresh(args { token = token, duration = 50 }))
  near(time_left(both, token), 50)
  local rotated = assert(both:rotate(args { token = token })).token
  only(nil, both:get(args { token = token }))
  assert(after:get(args { token = rotated }))
  only(true, both:delete(args { token = "mine" }))
  only(nil, before:get(args { token = "mine" }))
  fails("configuration", "a list of 1 to 8 such", tokenstore.RedisTokens { redis = harness.url, pepper = {} })
  fails("configuration", "16 to 64 bytes",
    tokenstore.RedisTokens { redis = harness.url, pepper = { old, "x" } })
end)

test("prefix and pepper keep stores apart", function()
  local prefix = harness.prefix()
  local plain = harness.store { prefix = prefix }
  local pepper = harness.store { prefix = prefix, pepper = ("p"):rep(16) }
  local same = harness.store { prefix = prefix, pepper = ("p"):rep(16) }
  local token = create(pepper).token
  only(nil, plain:get(args { token = token }))
  only(nil, harness.store():get(args { token = token }))
  equal(same:get(args { token = token }).owner, "bob")
end)

test("data that migrate took over is read exactly", function()
  local tokens = harness.store()
  local token = assert(tokens:create { app = "a", type = "t", owner = "o", data = { n = 1 } })
  local client = tokens.client
  for _, key in ipairs(harness.keys(client, "*")) do
    local text = client:execute("TYPE", key) == "hash" and client:execute("HGET", key, token.id)
    if text then
      client:execute("HSET", key, token.id, (text:gsub('{"n":1}', '{"n":281674916028284930,"s":"\\ud800"}')))
    end
  end
  local found = assert(tokens:get { app = "a", type = "t", token = token.token })
  equal(tostring(found.data.n), "281674916028284930")
  equal(found.data.s, "\237\160\128")
end)

test("when_full refuses, or evicts the longest unused", function()
  local tokens = harness.store { max_per_owner = 1, when_full = "refuse" }
  local first = create(tokens)
  harness.fails("limit", "max_per_owner allows (1)", tokens:create(args { owner = "bob" }))
  assert(tokens:get(args { token = first.token }))
  local idle = harness.store { max_per_owner = 1, when_full = "idle", prefix = harness.prefix() }
  first = create(idle)
  create(idle)
  only(nil, idle:get(args { token = first.token }))
end)

test("max_per_owner evicts the oldest", function()
  local tokens = harness.store { max_per_owner = 2 }
  local first, second, third = create(tokens).token, create(tokens).token, create(tokens).token
  only(nil, tokens:get(args { token = first }))
  assert(tokens:get(args { token = second }) and tokens:get(args { token = third }))
  equal(#tokens:list(args { owner = "bob" }), 2)
end)

test("names of any bytes are kept apart", function()
  local tokens = harness.store()
  local names = {
    "bob", "bobby", "bob*", "b?b", "[ab]", "a:b", "a|b", "{a}", "a,b", "a\nb", "\\", "^", '"', "\255\254",
    "\1", "a b", ("x"):rep(1024), "é",
  }
  local made = {}
  for i, name in ipairs(names) do
    made[i] = assert(tokens:create { app = name, type = name, owner = name, custom_token = name })
  end
  for i, name in ipairs(names) do
    local found = assert(tokens:get { app = name, type = name, token = name })
    equal({ found.owner, found.id }, { name, made[i].id })
    equal(#tokens:list { app = name, type = name, owner = name }, 1)
  end
  for _, name in ipairs(names) do
    only(1, tokens:delete_all { app = name, type = name, owner = name })
  end
end)

test("idle, request and nobody's", function()
  local tokens = harness.store { touch_interval = 0 }
  local made = create(tokens, {
    idle = 50, duration = 80, request = { address = "192.0.2.7", user_agent = "caf\233 \0" },
  })
  near(made.expires_at, made.created_at + 50)
  local found = assert(tokens:get { app = "web", type = "login", token = made.token, refresh = true })
  near(found.idle, 50)
  equal(found.request, { address = "192.0.2.7", user_agent = "caf\195\169  " })
  near(found.seen_at or found.created_at, found.created_at)
  assert(found.expires_at >= made.expires_at)
  local other = create(tokens, { duration = 80 })
  equal(tokens:get({ app = "web", type = "login", token = other.token, refresh = true }).expires_at,
    other.expires_at)
  local updated = assert(tokens:update(args { token = made.token, data = { b = 1 }, refresh = true }))
  near(updated.expires_at - updated.seen_at, 50)
  equal(updated.data, { b = 1 })
  updated = assert(tokens:update_by_id(args { owner = "bob", id = other.id, refresh = true }))
  equal({ updated.expires_at, updated.seen_at }, { other.expires_at, nil })
  local nobodys = assert(tokens:create { app = "web", type = "login", data = { a = 1 } })
  equal(nobodys.owner, nil)
  equal(tokens:get { app = "web", type = "login", token = nobodys.token }, nobodys)
  local many = assert(tokens:create_many {
    { app = "web", type = "login", request = { user_agent = "\255" } }, { app = "web", type = "login" },
  })
  equal(many[1].request, { user_agent = "\195\191" })
  equal(many[2].request, nil)
end)
