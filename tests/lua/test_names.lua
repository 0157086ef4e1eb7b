-- Names that are whole numbers are converted to text, as Python's int: the same in every Lua.

local harness = require "harness"
local tokenstore = require "tokenstore"
local equal, raises, test = harness.equal, harness.raises, harness.test

-- Numbers and their text. A float's text differs from tostring's: 1e+15, 4503599627370496.0.
local WHOLE = {
  { 0, "0" }, { -0.0, "0" }, { 42, "42" }, { -7, "-7" }, { 5.0, "5" }, { 2 ^ 31, "2147483648" },
  { 1e14, "100000000000000" }, { 1e15, "1000000000000000" }, { -1e15, "-1000000000000000" },
  { 2 ^ 52, "4503599627370496" }, { 2 ^ 53 - 1, "9007199254740991" }, { 1 - 2 ^ 53, "-9007199254740991" },
}
if harness.has_integers then
  WHOLE[#WHOLE + 1] = { math.maxinteger, "9223372036854775807" }
  WHOLE[#WHOLE + 1] = { math.mininteger, "-9223372036854775808" }
end
-- As a double, 2^53 + 1 is 2^53 too.
local NONE = { 1.5, -0.1, 2 ^ 53, -2 ^ 53, 1e300, 1 / 0, -1 / 0, 0 / 0 }

test("RedisTokens: owner, app and type", function()
  local tokens = harness.store()
  for _, pair in ipairs(WHOLE) do
    local n, text = pair[1], pair[2]
    local token = assert(tokens:create { app = n, type = n, owner = n })
    equal({ token.app, token.type, token.owner }, { text, text, text })
    equal(assert(tokens:get { app = text, type = text, token = token.token }).owner, text)
    equal(#tokens:list { app = n, type = n, owner = text }, 1)
    equal(tokens:count { app = text, type = n, owner = n }, 1)
    equal(#tokens:list { app = text, type = text, owner = n }, 1)
    equal(tokens:delete_by_id { app = n, type = n, owner = n, id = 5 }, false)
    equal(tokens:delete_all { app = n, type = n, owner = n }, 1)
  end
end)

test("RedisTokens: create_many", function()
  local tokens = harness.store()
  local entries = {}
  for i, pair in ipairs(WHOLE) do
    entries[i] = { app = 1, type = 2.0, owner = pair[1], data = { i = i } }
  end
  local made = assert(tokens:create_many(entries))
  for i, pair in ipairs(WHOLE) do
    local token = assert(tokens:get { app = "1", type = "2", token = made[i].token })
    equal({ token.owner, token.data.i }, { pair[2], i })
    equal(entries[i].owner, pair[1], "the caller's own")
  end
end)

test("Sessions, Tokenstore, RedisJWT", function()
  local sessions = harness.store({}, tokenstore.Sessions)
  local store = harness.store({}, tokenstore.Tokenstore)
  local jwt = assert(tokenstore.RedisJWT { redis = harness.url, secret = ("s"):rep(32), multiple = true })
  for _, pair in ipairs(WHOLE) do
    local n, text = pair[1], pair[2]
    local session = assert(sessions:create { app = n, owner_id = n })
    equal(assert(sessions:get { app = text, token = session }).owner_id, text)
    equal(#sessions:list { app = n, owner_id = n }, 1)
    equal(sessions:kill_all { app = n, owner_id = n }, true)

    local added = assert(store:add { owner_id = n })
    equal(added.owner_id, text)
    equal(#store:list { owner_id = n }, 1)
    equal(store:delete { id = added.id }, true)
    local set = store:set { id = n, attrs = {} }
    equal({ store:get { id = n }, set, store:delete { id = n } }, { nil, false, false })

    equal(assert(jwt:verify { token = assert(jwt:sign { id = n }) }).id, text)
    equal(assert(jwt:verify { token = assert(jwt:create { id = n, data = {} }) }).id, text)
    equal(#jwt:list { id = n }, 2)
    equal(jwt:call():get_count_by_pattern(n), 2)
    equal(#jwt:call():get_values_by_pattern(n), 2)
    equal(jwt:call():destroy_multiple(n), 2)
    equal(jwt:destroy_multiple { id = n }, 0)
  end
  jwt:close()
end)

test("what is not whole, or may have been another number, is refused", function()
  local tokens = harness.store()
  local jwt = assert(tokenstore.RedisJWT { redis = harness.url, secret = ("s"):rep(32) })
  for _, n in ipairs(NONE) do
    for _, name in ipairs { "app", "type", "owner" } do
      local args = { app = "a", type = "t", owner = "o" }
      args[name] = n
      local wanted = ("bad argument '%s' (a number that is not whole"):format(name)
      local message = raises(wanted, tokens.create, tokens, args)
      harness.matches(message, "give it as a string")
      raises(("bad argument '[1].%s'"):format(name), tokens.create_many, tokens, { args })
    end
    raises("bad argument 'id'", jwt.sign, jwt, { id = n })
  end
  equal(#tokens:list { app = "a", type = "t", owner = "o" }, 0)
  jwt:close()
end)

test("a token is no name", function()
  local tokens = harness.store()
  local args = { app = 1, type = 1, token = 5 }
  raises("bad argument 'token' (string expected, got number)", tokens.get, tokens, args)
  raises("bad argument 'custom_token' (string expected, got number)", tokens.create, tokens,
    { app = 1, type = 1, owner = 1, custom_token = 5 })
end)
