-- Invalid calls: they raise, name the argument and the caller's line, and do not contact a server.

local harness = require "harness"
local tokenstore = require "tokenstore"
local raises, test = harness.raises, harness.test

local tokens = harness.store()
local sessions = harness.store({}, tokenstore.Sessions)

local good = {
  create = { app = "a", type = "t", owner = "o", data = {}, duration = 5, custom_token = "x" },
  get = { app = "a", type = "t", token = "x", refresh = 5, expiry = true },
  get_many = { app = "a", type = "t", tokens = {} },
  refresh = { app = "a", type = "t", token = "x", duration = 5 },
  update = {
    app = "a", type = "t", token = "x", data = {}, unset = {}, keep_null = true, replace = true, expect = {},
    refresh = 5,
  },
  get_by_id = { app = "a", type = "t", owner = "o", id = "x" },
  update_by_id = {
    app = "a", type = "t", owner = "o", id = "x", data = {}, unset = {}, keep_null = true, replace = true,
    expect = {}, refresh = 5,
  },
  update_all = { app = "a", type = "t", owner = "o", data = {} },
  take = { app = "a", type = "t", token = "x" },
  delete = { app = "a", type = "t", token = "x" },
  delete_all = { app = "a", type = "t", owner = "o", keep = "x" },
  delete_by_id = { app = "a", type = "t", owner = "o", id = "x" },
  list = { app = "a", type = "t", owner = "o" },
  rotate = { app = "a", type = "t", token = "x", duration = 5, grace = 5, owner = "o", data = {} },
}
local optional = {
  data = { create = true, update = true, update_by_id = true, rotate = true },
  duration = { create = true, rotate = true }, owner = { create = true, rotate = true }, grace = true,
  custom_token = true, refresh = true, expiry = true, token = true, id = true, keep = true, unset = true,
  keep_null = true, replace = true, expect = true,
}

local function with(args, name, value)
  local copy = {}
  for key, item in pairs(args) do
    copy[key] = item
  end
  copy[name] = value
  return copy
end

-- Names may also be whole numbers: test_names.lua.
local NAMES = { app = true, type = true, owner = true, id = true }

local KINDS = {
  name = { 1.5, true, {}, print, tokenstore.null },
  string = { 1, true, {}, print, tokenstore.null },
  number = { "5", true, {}, print, tokenstore.null },
  refresh = { "5", {}, print, tokenstore.null },
  boolean = { 0, "true", {}, print, tokenstore.null },
  table = { 1, "x", true, print, tokenstore.null },
}

for method, args in pairs(good) do
  test(method .. ": every argument of every wrong type", function()
    for name, value in pairs(args) do
      local is_refresh = name == "refresh"
      local wanted = NAMES[name] and "string or whole number" or is_refresh and "number or true"
        or type(value)
      for _, wrong in ipairs(KINDS[NAMES[name] and "name" or is_refresh and "refresh" or type(value)]) do
        local problem = wrong == 1.5 and "a number that is not whole"
          or ("%s expected, got %s"):format(wanted, type(wrong))
        raises(("bad argument '%s' (%s"):format(name, problem),
          tokens[method], tokens, with(args, name, wrong))
      end
      local may = optional[name]
      if not (may == true or may and may[method]) then
        raises(("bad argument '%s' (%s expected, got nil)"):format(name, wanted),
          tokens[method], tokens, with(args, name, nil))
      end
    end
  end)

  test(method .. ": what is no table of arguments", function()
    raises("table", tokens[method], tokens)
    raises("got string", tokens[method], tokens, "x")
    raises("unknown argument 'nonsense'", tokens[method], tokens, with(args, "nonsense", 1))
    raises("names", tokens[method], tokens, with(args, 1, "x"))
    raises("names", tokens[method], tokens, with(args, tokenstore.null, "x"))
    raises("unknown argument", tokens[method], tokens, with(args, "app\0", "x"))
    raises("unknown argument 'APP'", tokens[method], tokens, with(args, "APP", "x"))
    raises("':'", tokens[method], args)
  end)
end

test("the error points at the caller", function()
  local message = raises("bad argument 'app'", function()
    local token = tokens:create { app = 1.5, type = "t", owner = "o" }
    return token
  end)
  harness.matches(message, "test_arguments.lua:")
  message = raises("bad argument 'app'", function()
    local session = sessions:get { app = 1.5, token = "x" }
    return session
  end)
  harness.matches(message, "test_arguments.lua:")
end)

test("lists of arguments and of tokens", function()
  raises("bad argument '[2].type' (string or whole number expected, got nil)", tokens.create_many, tokens,
    { good.create, { app = "a", owner = "o" } })
  raises("unknown argument '[1].nonsense'", tokens.create_many, tokens,
    { with(good.create, "nonsense", 1) })
  raises("number 2 of the list (table expected, got string)", tokens.create_many, tokens,
    { good.create, "x" })
  raises("list without holes and names", tokens.create_many, tokens, good.create)
  raises("list expected, got string", tokens.create_many, tokens, "x")
  raises("'tokens': number 2 of the list (string expected, got number)", tokens.get_many, tokens,
    { app = "a", type = "t", tokens = { "x", 2 } })
  raises("'tokens' (list without holes", tokens.get_many, tokens,
    { app = "a", type = "t", tokens = { [1] = "x", [3] = "y" } })
  raises("'unset': number 2 of the list (string expected, got number)", tokens.update, tokens,
    { app = "a", type = "t", token = "x", unset = { "x", 2 } })
  raises("'unset' (list without holes", tokens.update, tokens,
    { app = "a", type = "t", token = "x", unset = { x = 1 } })
end)

test("a token that was not presented is not found", function()
  local store = harness.store({}, tokenstore.Tokenstore)
  local jwt = assert(tokenstore.RedisJWT { redis = harness.url, secret = ("s"):rep(32) })
  local none = { app = "a", type = "t" }
  local function is(expected, value, ...)
    harness.equal(value, expected)
    harness.equal(select("#", ...), 0, "values besides")
  end
  is(nil, tokens:get(with(none, "refresh", 5)))
  is(false, tokens:refresh(with(none, "duration", 5)))
  is(nil, tokens:update(with(none, "data", {})))
  is(nil, tokens:rotate(none))
  is(nil, tokens:take(none))
  is(false, tokens:delete(none))
  is(false, tokens:delete_by_id(with(none, "owner", "o")))
  is(nil, sessions:get { app = "a" })
  is(false, sessions:refresh { app = "a", duration = 5 })
  is(false, sessions:update { app = "a", data = {} })
  is(nil, sessions:rotate { app = "a" })
  is(false, sessions:kill { app = "a" })
  is(false, sessions:kill_by_id { app = "a", owner_id = "o" })
  for _, method in ipairs { "get", "get_key", "get_hash", "take_hash" } do
    is(nil, store[method](store, {}))
  end
  for _, method in ipairs { "delete", "delete_key", "del_hash" } do
    is(false, store[method](store, {}))
  end
  is(false, store:set { attrs = {} })
  is(false, jwt:destroy {})
  is(false, jwt:call():exists(nil))
  is(-2, jwt:call():ttl(nil))
  is(nil, jwt:call():get_value_by_key(nil))
  for _, token in ipairs { false, 5, true, {}, print, tokenstore.null } do
    local session, message, code = jwt:verify { token = token or nil }
    harness.equal(session, nil)
    harness.equal(code, "invalid_token")
    harness.matches(message, "token")
  end
end)

test("a message calls an owner as the method does", function()
  local _, message = tokens:create { app = "a", type = "t", owner = "" }
  harness.equal(message, "owner is empty")
  for method, more in pairs { create = {}, list = {}, kill_all = {}, kill_by_id = { id = "x" } } do
    _, message = sessions[method](sessions, { app = "a", owner_id = "", id = more.id })
    harness.equal(message, "owner_id is empty", method)
  end
end)
