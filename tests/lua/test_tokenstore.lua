-- Tokenstore: the Node package's behaviour, by docs/reference/tokenstore.md, then what is Lua's own.

local harness = require "harness"
local tokenstore = require "tokenstore"
local equal, fails, only, raises = harness.equal, harness.fails, harness.only, harness.raises
local test = harness.test

local FORCED = "forced678901234567890123"

-- A store with a unique prefix, a client to inspect its keys, and the prefix.
local function open(options)
  local store = harness.store(options, tokenstore.Tokenstore)
  local some = assert(store:add { owner_id = "looked for" })
  local names = harness.keys(store.client, "*:key:" .. some.key)
  assert(store:delete { id = some.id })
  return store, store.client, names[1]:match "^(.*):key:"
end

local function keys(client, prefix)
  return #harness.keys(client, prefix .. ":*")
end

-- ---- the rows of docs/reference/tokenstore.md ----------------------------------------------------------

test("reset", function()
  local store, client, prefix = open()
  for n = 1, 5 do
    assert(store:add { owner_id = "o" .. n })
  end
  only(5, store:reset())
  only(0, store:reset {})
  equal(keys(client, prefix), 0)
end)

test("get_not_found", function()
  local store = open()
  only(nil, store:get { id = "012345678901234567890123" })
  only(nil, store:get_key { key = "012345678901234567890123" })
end)

test("add", function()
  local store = open()
  local token = assert(store:add { owner_id = "testowner", attrs = { foo = "bar" } })
  equal({ token.owner_id, token.attrs }, { "testowner", { foo = "bar" } })
  assert(#token.key == 24 and token.key:match "^%w+$", token.key)
  assert(token.id:match("^%x+%-%x+%-4%x%x%x%-[89ab]%x%x%x%-%x+$") and #token.id == 36, token.id)
  for name in pairs(token) do
    harness.matches("owner_id attrs key id", name)
  end
end)

test("get_by_id", function()
  local store = open()
  local token = assert(store:add { owner_id = "testowner", attrs = { foo = "bar" } })
  only(token, store:get { id = token.id })
end)

test("get_by_key", function()
  local store = open()
  local token = assert(store:add { owner_id = "testowner", attrs = { foo = "bar" } })
  only(token, store:get_key { key = token.key })
  only(token, store:getKey { key = token.key })
end)

test("set_attrs", function()
  local store = open()
  local token = assert(store:add { owner_id = "testowner", attrs = { foo = "bar" } })
  for _, name in ipairs { "set", "set_attrs", "setAttrs" } do
    only(true, store[name](store, { id = token.id, attrs = { name = name } }))
    equal(store:get({ id = token.id }).attrs, { name = name })
  end
end)

test("get_changed_attrs", function()
  local store = open()
  local token = assert(store:add { owner_id = "testowner", attrs = { foo = "bar" } })
  token.attrs = { foo = "bar", baz = "quxx" }
  only(true, store:set { id = token.id, attrs = token.attrs })
  only(token, store:get { id = token.id })
  only(token, store:get_key { key = token.key })
end)

test("set_attrs_not_found", function()
  local store, client, prefix = open()
  only(false, store:set { id = "nobody", attrs = { a = 1 } })
  equal(keys(client, prefix), 0)
end)

test("add_forced_key", function()
  local store = open()
  local token = assert(store:add { owner_id = "o", attrs = { ping = "pong" }, key = FORCED })
  equal(token.key, FORCED)
  only(token, store:get_key { key = FORCED })
end)

test("add_forced_key_length", function()
  local store = open()
  for _, key in ipairs { "short", FORCED .. "x", FORCED:sub(2), ("é"):rep(12) } do
    fails("data", "key must be 24 characters long", store:add { owner_id = "o", key = key })
  end
  equal(assert(store:add { owner_id = "o", key = ("é"):rep(24) }).key, ("é"):rep(24))
end)

test("add_forced_key_in_use", function()
  local store, client, prefix = open()
  local token = assert(store:add { owner_id = "bob", key = FORCED })
  fails("data", "already in use", store:add { owner_id = "eve", key = FORCED })
  equal(keys(client, prefix), 3)
  only(token, store:get_key { key = FORCED })
end)

test("owner_list", function()
  local store = open()
  local tokens = {}
  for n = 1, 2 do
    tokens[n] = assert(store:add { owner_id = "testowner", attrs = { n = n } })
  end
  assert(store:add { owner_id = "testowner2" })
  local listed = assert(store:list { owner_id = "testowner" })
  table.sort(listed, function(a, b)
    return a.attrs.n < b.attrs.n
  end)
  equal(listed, tokens)
end)

test("owner_list_empty", function()
  only({}, open():list { owner_id = "nobody" })
end)

test("owner_list_dead_ids", function()
  local store, client, prefix = open()
  local live = assert(store:add { owner_id = "o" })
  local half = assert(store:add { owner_id = "o" })
  client:execute("SADD", prefix .. ":tokens:o", "dead")
  client:execute("DEL", prefix .. ":key:" .. half.key)
  only({ live }, store:list { owner_id = "o" })
  equal(client:execute("SMEMBERS", prefix .. ":tokens:o"), { live.id })
  equal(client:execute("EXISTS", prefix .. ":id:" .. half.id), 0)
end)

local function check_deleted(name, argument)
  local store, client, prefix = open()
  local token = assert(store:add { owner_id = "o" })
  local other = assert(store:add { owner_id = "o" })
  only(true, store[name](store, { [argument] = token[argument] }))
  only(nil, store:get { id = token.id })
  only(nil, store:get_key { key = token.key })
  only({ other }, store:list { owner_id = "o" })
  only(true, store[name](store, { [argument] = other[argument] }))
  equal(keys(client, prefix), 0)
end

test("del_by_id", function()
  check_deleted("delete", "id")
  check_deleted("del", "id")
end)

test("del_by_key", function()
  for _, name in ipairs { "delete_key", "del_key", "delKey", "deleteKey" } do
    check_deleted(name, "key")
  end
end)

test("del_not_found", function()
  local store = open()
  only(false, store:del { id = "nobody" })
  only(false, store:del_key { key = "nobody" })
  local token = assert(store:add { owner_id = "o" })
  only(true, store:del { id = token.id })
  only(false, store:del { id = token.id })
  only(false, store:del_key { key = token.key })
end)

test("make_hash", function()
  local store = open()
  local hash = assert(store:make_hash { value = "foo" })
  assert(hash:match "^%x+$" and #hash == 32, hash)
  assert(hash ~= store:make_hash { value = "foo" })
  equal(#open({ hash_size = 8 }):makeHash { value = "foo" }, 16)
end)

test("values of another type are not found, and stay", function()
  local store, client, prefix = open()
  local hash = ("0"):rep(32)
  local names = { prefix .. ":id:x", prefix .. ":key:x", prefix .. ":hash:" .. hash }
  for _, name in ipairs(names) do client:execute("HSET", name, "a", "b") end
  only(nil, store:get { id = "x" })
  only(nil, store:get_key { key = "x" })
  only(false, store:set { id = "x", attrs = {} })
  only(false, store:delete { id = "x" })
  only(false, store:delete_key { key = "x" })
  only(nil, store:get_hash { hash = hash })
  only(nil, store:take_hash { hash = hash })
  only(false, store:del_hash { hash = hash })
  for _, name in ipairs(names) do only(1, client:execute("DEL", name)) end
end)

test("get_hash", function()
  local store = open()
  local hash = assert(store:make_hash { value = "foo" })
  only("foo", store:get_hash { hash = hash })
  only("foo", store:getHash { hash = hash })
end)

test("make_hash_ttl", function()
  local store, client, prefix = open()
  for _, case in ipairs { { nil, 3600 }, { 50, 50 }, { 86400, 86400 } } do
    local hash = assert(store:make_hash { value = "foo", ttl = case[1] })
    local left = client:execute("PTTL", prefix .. ":hash:" .. hash)
    assert(left > (case[2] - 20) * 1000 and left <= case[2] * 1000, left)
  end
end)

test("del_hash", function()
  local store = open()
  local hash = assert(store:make_hash { value = "foo" })
  only(true, store:del_hash { hash = hash })
  only(false, store:delHash { hash = hash })
end)

test("get_deleted_hash", function()
  local store = open()
  local hash = assert(store:make_hash { value = "foo" })
  only(true, store:del_hash { hash = hash })
  only(nil, store:get_hash { hash = hash })
  only(nil, store:take_hash { hash = hash })
end)

test("reset_again", function()
  local store, client, prefix = open()
  local token = assert(store:add { owner_id = "testowner", attrs = { foo = "bar" } })
  assert(store:make_hash { value = "foo" })
  only(1, store:reset { timeout = 20 })
  only(nil, store:get { id = token.id })
  equal(keys(client, prefix), 0)
end)

test("options", function()
  local _, client, prefix = open { size = 40 }
  local store = assert(tokenstore.Tokenstore(client, { prefix = prefix, size = 40 }))
  local token = assert(store:add { owner_id = "o" })
  equal(#token.key, 40)
  equal(client:execute("GET", prefix .. ":id:" .. token.id), token.key)
  for name, values in pairs {
    size = { 7, 257, 0, 8.5 }, hash_size = { 7, 65 }, max_data_size = { 0 },
    prefix = { "", ("x"):rep(129), "a\0b" },
  } do
    for _, value in ipairs(values) do
      fails("configuration", name, tokenstore.Tokenstore(client, { [name] = value }))
    end
  end
  raises("bad option 'size'", tokenstore.Tokenstore, client, { size = "24" })
  raises("unknown option 'token_size'", tokenstore.Tokenstore, { token_size = 24 })
end)

test("prefixes_are_apart", function()
  local mark = harness.prefix()
  local stores, tokens = {}, {}
  for _, name in ipairs { "a", "ab", "a*", "a?", "[ab]", "a\\" } do
    stores[name] = harness.store({ prefix = harness.tagged(mark .. name) }, tokenstore.Tokenstore)
    tokens[name] = assert(stores[name]:add { owner_id = "bob", attrs = { name = name } })
  end
  for name, store in pairs(stores) do
    only({ tokens[name] }, store:list { owner_id = "bob" })
  end
  for name, store in pairs(stores) do
    only(1, store:reset())
    tokens[name] = nil
    for other, token in pairs(tokens) do
      only(token, stores[other]:get { id = token.id })
    end
  end
end)

test("quit", function()
  local store = open()
  store:quit()
  fails("closed", "closed", store:add { owner_id = "o" })
  store:quit()
end)

-- ---- specific to Lua -----------------------------------------------------------------------------

test("Tokenstore: attrs come back equal", function()
  local store, array = open(), tokenstore.array
  local attrs = {
    list = array {}, object = {}, null = tokenstore.null, nested = array { array { 1, array { 2 } }, "x" },
    big = 9007199254740991, fraction = 0.1, text = "ü\"\\\n", [""] = false,
  }
  local token = assert(store:add { owner_id = "o", attrs = attrs })
  equal(token.attrs, attrs)
  equal(store:get({ id = token.id }).attrs, attrs)
  only(true, store:set { id = token.id, attrs = { again = attrs } })
  equal(store:list({ owner_id = "o" })[1].attrs, { again = attrs })
end)

test("Tokenstore: what others would misread is refused", function()
  local store, client, prefix = open()
  local deep = {}
  for _ = 1, 32 do
    deep = { x = deep }
  end
  for part, attrs in pairs {
    ["attrs.a"] = { a = 1 / 0 }, ["attrs.b[2]"] = { b = { 1, 0 / 0 } }, ["attrs.c"] = { c = "\0" },
    ["32"] = deep, ["65536"] = { a = ("x"):rep(65536) },
  } do
    fails("data", part, store:add { owner_id = "o", attrs = attrs })
  end
  fails("data", "owner_id", store:add { owner_id = "\255" })
  fails("data", "owner_id", store:add { owner_id = "" })
  fails("data", "duration", store:add { owner_id = "o", duration = 0 })
  fails("data", "ttl", store:make_hash { value = "v", ttl = 0 })
  fails("data", "timeout", store:reset { timeout = 0 })
  equal(keys(client, prefix), 0)
end)

test("Tokenstore: a duration ends record and id together", function()
  local store, client, prefix = open()
  local token = assert(store:add { owner_id = "o", duration = 100 })
  for _, name in ipairs { ":key:" .. token.key, ":id:" .. token.id } do
    local left = client:execute("PTTL", prefix .. name)
    assert(left > 80000 and left <= 100000, left)
  end
end)

test("Tokenstore: take_hash gives the value once, any bytes", function()
  local store = open()
  local value = "\0\1\255\r\n"
  local hash = assert(store:make_hash { value = value })
  only(value, store:take_hash { hash = hash })
  only(nil, store:takeHash { hash = hash })
  only("", store:take_hash { hash = store:make_hash { value = "" } })
end)

test("Tokenstore: members of others are there, and stay", function()
  local store, client, prefix = open()
  local key = ("k"):rep(24)
  client:execute("SET", prefix .. ":id:the-id", key)
  client:execute("SADD", prefix .. ":tokens:42", "the-id")
  client:execute("SET", prefix .. ":key:" .. key,
    '{"owner_id":42,"attrs":{"n":1e400},"key":"' .. key .. '","id":"the-id","more":[[],{}]}')
  equal(store:get({ id = "the-id" }).attrs.n, math.huge)
  only(true, store:set { id = "the-id", attrs = { n = 1 } })
  local token = assert(store:get { id = "the-id" })
  equal(token.owner_id, 42)
  equal(token.more, tokenstore.array { tokenstore.array {}, {} })
  equal(client:execute("GET", prefix .. ":key:" .. key),
    '{"owner_id":42,"attrs":{"n":1},"key":"' .. key .. '","id":"the-id","more":[[],{}]}')
  only(true, store:del { id = "the-id" })
  equal(keys(client, prefix), 0)
end)

test("Tokenstore: list leaves out what cannot be read", function()
  local store, client, prefix = open()
  local key = ("k"):rep(24)
  client:execute("SET", prefix .. ":id:the-id", key)
  client:execute("SADD", prefix .. ":tokens:bob", "the-id")
  client:execute("SET", prefix .. ":key:" .. key, "no JSON")
  fails("data", "unreadable", store:list { owner_id = "bob" })
  local good = assert(store:add { owner_id = "bob" })
  local listed = assert(store:list { owner_id = "bob" })
  equal(#listed, 1)
  equal(listed[1].id, good.id)
  only(true, store:del { id = "the-id" })
end)

test("Tokenstore: wrong arguments raise and name themselves", function()
  local store = open()
  raises("bad argument 'owner_id'", store.add, store, {})
  raises("bad argument 'attrs'", store.set, store, { id = "x" })
  raises("unknown argument 'owner'", store.list, store, { owner = "x" })
  raises("bad argument 'value' (string expected, got number)", store.make_hash, store, { value = 5 })
  raises("a table such as", store.get, store, "id")
  raises("tokenstore.store expected", store.get, { _store = 5, _run = store._run }, {})
end)

test("Tokenstore: tostring shows no secret", function()
  equal(tostring(open()):match "^tokenstore.Tokenstore: ", "tokenstore.Tokenstore: ")
end)
