-- tests/vectors: limits.json against the server, json.json against reader and writer. See README there.

local harness = require "harness"
local core = require "tokenstore.core"
local tokenstore = require "tokenstore"
local vectors = require "vectors"
local equal, fails, test = harness.equal, harness.fails, harness.test

local read, bytes, arguments = vectors.read, vectors.bytes, vectors.arguments

-- ---- limits.json -------------------------------------------------------------------------------------

local HAS_OWNER = { create = true, delete_by_id = true, delete_all = true, list = true }

local function with_defaults(call, args)
  args.app = args.app or "app"
  args.type = args.type or "type"
  if HAS_OWNER[call] then
    args.owner = args.owner or "owner"
  end
  return args
end

-- Items are numbered from 1 in our messages, from 0 in the vectors.
local function from_one(text)
  return (text:gsub("%[(%d+)%]", function(i)
    return ("[%d]"):format(i + 1)
  end))
end

local function expect_failure(case, ...)
  harness.fails(case.expect, case.mentions and from_one(case.mentions) or "", ...)
end

-- Without integers in Lua, an integer beyond 2^53 is a double, which may be that large.
local function is_expressible(case)
  local data = case.args and case.args.data
  local number = type(data) == "table" and data.n
  return harness.has_integers or not (type(number) == "table" and number["$integer"])
end

local function run_limit(case)
  local options = arguments(case.options)
  options.redis = harness.url
  options.prefix = options.prefix or harness.prefix()
  if not case.call then
    return expect_failure(case, tokenstore.RedisTokens(options))
  end
  local store = assert(tokenstore.RedisTokens(options))
  local args = arguments(case.args)
  if case.before then
    local before = assert(store:create(with_defaults("create", arguments(case.before))))
    if case.call == "delete_by_id" then
      args.id = args.id or before.id
    elseif case.call ~= "create" then
      args.token = args.token or before.token
    end
  end
  args = with_defaults(case.call, args)

  local expect = is_expressible(case) and case.expect or "ok"
  if expect == "ok" then
    local result, message = store[case.call](store, args)
    assert(result, message)
    if case.call == "create" then
      local found = assert(store:get { app = args.app, type = args.type, token = result.token })
      equal(found.owner, args.owner, "owner")
      equal(found.data, args.data or {}, "data")
    end
  elseif expect == "not found" then
    local result, message = store[case.call](store, args)
    assert(not result, "found")
    equal(message, nil, "message")
  else
    expect_failure(case, store[case.call](store, args))
  end
  store:close()
end

for _, case in ipairs(read("limits.json").cases) do
  test("limit: " .. case.name, function() run_limit(case) end)
end

-- ---- json.json ---------------------------------------------------------------------------------------

local texts = read "json.json"

-- Lua's tables have no order, so texts are compared only if the order does not matter.
local function has_order(item)
  if type(item) ~= "table" then
    return false
  end
  local is_array = getmetatable(item) == getmetatable(tokenstore.array())
  local count = 0
  for _, member in pairs(item) do
    count = count + 1
    if has_order(member) then
      return true
    end
  end
  return not is_array and count > 1
end

for _, case in ipairs(texts.accept) do
  test("JSON: " .. case.name, function()
    local canonical = bytes(case.canonical)
    local read_value, problem = core.decode(bytes(case.text))
    assert(problem == nil, problem)
    equal(read_value, (core.decode(canonical)))
    local written = assert(core.encode(read_value))
    equal((core.decode(written)), read_value)
    -- Without integers in Lua, a double without a fraction is an integer.
    if not has_order(read_value) and (harness.has_integers or not canonical:find "%d%.0") and
      (harness.has_integers or not canonical:find "%de") then
      equal(written, canonical)
    end
  end)
end

for _, case in ipairs(texts.refuse) do
  test("JSON refused: " .. case.name, function()
    harness.fails("data", case.error or "", core.decode(bytes(case.text)))
    if case.at then
      harness.matches(select(2, core.decode(bytes(case.text))), ("at byte %d:"):format(case.at))
    end
  end)
end

-- ---- foreign JSON ------------------------------------------------------------------------------------

-- True if this Lua has integers, and these digits fit into one.
local function fits(digits)
  return harness.has_integers and math.type(tonumber(digits)) == "integer"
end

-- Compares `found` with the notation (tests/vectors/README.md). An integer that this Lua cannot represent is
-- a bigint.
local function check_foreign(found, notation)
  if type(notation) == "string" then
    return equal(tostring(found), notation)
  end
  local kind, given = next(notation)
  if kind == "integer" then
    local digits = bytes(given)
    equal(tostring(found), digits)
    local is_small = math.abs(tonumber(digits)) < 2 ^ 53
    equal(type(found), (is_small or fits(digits)) and "number" or "table")
  elseif kind == "double" then
    equal(found, given == "inf" and math.huge or given == "-inf" and -math.huge or tonumber(given))
  elseif kind == "string" then
    equal(found, bytes(given))
  elseif kind == "nested" then
    for _ = 2, given do
      equal(#found, 1)
      found = found[1]
    end
    equal(#found, 0)
  elseif kind == "array" then
    equal(#found, #given)
    for i, item in ipairs(given) do
      check_foreign(found[i], item)
    end
  else
    local count = 0
    for _, member in ipairs(given) do
      check_foreign(found[bytes(member[1])], member[2])
    end
    for _ in pairs(found) do
      count = count + 1
    end
    equal(count, #given)
  end
end

local FOREIGN = harness.tagged "foreign"
local node_store = assert(tokenstore.Tokenstore { redis = harness.url, prefix = FOREIGN })

local function read_foreign(text)
  node_store.client:execute("SET", FOREIGN .. ":key:k", '{"attrs":' .. text .. ',"key":"k","id":"i"}')
  local token, message, code = node_store:get_key { key = "k" }
  node_store.client:execute("DEL", FOREIGN .. ":key:k")
  return token and token.attrs, message, code
end

for _, case in ipairs(texts.foreign) do
  test("JSON of others: " .. case.name, function()
    local found, message = read_foreign(bytes(case.text))
    equal(message, nil)
    check_foreign(found, case.value)
  end)
end

for _, case in ipairs(texts.refuse_foreign) do
  test("JSON of others, refused: " .. case.name, function()
    fails("data", case.error, read_foreign(bytes(case.text)))
  end)
end

test("JSON of others: a bigint is its digits, and is not stored again", function()
  local big, other = read_foreign "12345678901234567890", read_foreign "12345678901234567891"
  equal(tostring(big), "12345678901234567890")
  equal(big.digits, "12345678901234567890")
  equal("<" .. big .. ">", "<12345678901234567890>")
  equal(big == read_foreign "12345678901234567890", true)
  equal(big == other, false)
  equal(getmetatable(big), "tokenstore.bigint")
  local token = node_store:add { owner_id = "bob" }
  fails("data", "attrs.n is beyond 2^53-1", node_store:set { id = token.id, attrs = { n = big } })
  local half, nul = { t = read_foreign '"\\ud800"' }, { t = read_foreign '"\\u0000"' }
  fails("data", "attrs.t is not valid UTF-8", node_store:set { id = token.id, attrs = half })
  fails("data", "attrs.t contains U+0000", node_store:set { id = token.id, attrs = nul })
  node_store:delete { id = token.id }
end)
