-- Data: values survive the round trip exactly; others are rejected with their path.
-- luacheck: std max

local harness = require "harness"
local core = require "tokenstore.core"
local tokenstore = require "tokenstore"
local equal, fails, test = harness.equal, harness.fails, harness.test
local null, array = tokenstore.null, tokenstore.array

local tokens = harness.store()

local function create(data)
  return tokens:create { app = "a", type = "t", owner = "o", data = data }
end

-- `data` after a round trip.
local function stored(data)
  local token = assert(create(data))
  local found = assert(tokens:get { app = "a", type = "t", token = token.token })
  equal(found.data, token.data, "data of create and of get")
  return found.data
end

test("no data is an empty object", function()
  equal(stored(nil), {})
  equal(stored {}, {})
end)

test("values of every kind", function()
  local data = {
    text = "grüße, 世界 😀", empty = "", yes = true, no = false, nothing = null,
    one = 1, minus = -1, half = 0.5, large = 9007199254740991, small = -9007199254740991,
    object = { a = { b = { c = "d" } } },
    list = array { 1, "two", false, null, array { 3 }, { four = 4 } },
    empty_list = array {}, empty_object = {},
    [""] = "empty name", ["a.b[1]"] = "odd name", ["1"] = "a digit is a name",
    control = "\1\31\127\r\n\t\"\\/",
  }
  equal(stored(data), data)
end)

test("lists come back marked, unmarked ones too", function()
  local data = stored { list = { 1, 2 }, nested = { { {} } } }
  equal(data, { list = array { 1, 2 }, nested = array { array { {} } } })
end)

test("an array that was read stays one when it is written back", function()
  local first = create { list = array {}, names = array { "x" }, object = {} }
  local read = tokens:get { app = "a", type = "t", token = first.token }.data
  table.remove(read.names)
  equal(stored(read), { list = array {}, names = array {}, object = {} })
end)

test("doubles come back bit for bit", function()
  for _, number in ipairs {
    0.1, 1 / 3, 5e-324, 2.2250738585072014e-308, 1.7976931348623157e308, -1.5e-7, 123456789.123,
    0.30000000000000004, 1e21, 1e-7,
  } do
    local back = stored({ n = number }).n
    assert(back == number, ("%.17g came back as %.17g"):format(number, back))
  end
  local zero = stored({ n = -0.0 }).n
  equal(1 / zero, -math.huge, "1 / -0.0")
end)

test("numbers on their way out", function()
  equal(core.encode { n = 14 }, '{"n":14}')
  equal(core.encode { n = 2 ^ 53 - 1 }, harness.has_integers and '{"n":9007199254740991.0}' or
    '{"n":9007199254740991}')
  if harness.has_integers then
    equal(core.encode { n = 1.0 }, '{"n":1.0}')
    equal(math.type(stored({ n = 1.0 }).n), "float")
    equal(math.type(stored({ n = 1 }).n), "integer")
    fails("data", "data.n", create { n = math.maxinteger })
    fails("data", "data.n", create { n = math.mininteger })
  else
    equal(core.encode { n = 1e14 }, '{"n":100000000000000}')
  end
end)

test("numbers do not depend on the locale", function()
  local before = os.setlocale(nil, "numeric")
  for _, locale in ipairs { "de_DE.UTF-8", "fr_FR.UTF-8", "tks_comma" } do
    if os.setlocale(locale, "numeric") then
      break
    end
  end
  local ok, text = pcall(core.encode, { n = 1.5 })
  os.setlocale(before, "numeric")
  equal({ ok, text }, { true, '{"n":1.5}' })
end)

test("what cannot be stored is refused with its path, lists counted from 1", function()
  local cycle = {}
  cycle.again = cycle
  local cases = {
    { { a = { b = 0 / 0 } }, "data.a.b is NaN" },
    { { a = { 1, { b = math.huge } } }, "data.a[2].b is" },
    { { a = -math.huge }, "data.a is" },
    { { f = print }, "data.f is a function" },
    { { u = io.stdout }, "data.u is a userdata" },
    { { c = coroutine.create(function() end) }, "data.c is a coroutine" },
    { { s = "a\0b" }, "data.s" },
    { { s = "\195\40" }, "data.s" },
    { { ["a\0"] = 1 }, "data" },
    { { ["\255"] = 1 }, "data" },
    { { list = { [1] = 1, [3] = 3 } }, "data.list is a list with holes" },
    { { list = { [2] = 2 } }, "data.list is a list with holes" },
    { { list = { 1, 2, x = 3 } }, "data.list mixes" },
    { { list = { 1, [0] = 2 } }, "data.list has a key" },
    { { list = { [1.5] = 2 } }, "data.list has a key" },
    { { list = { [-1] = 2 } }, "data.list has a key" },
    { { [true] = 1 }, "data has a key" },
    { { 1, x = 2 }, "data mixes" },
    { { 1, 2 }, "data is a list" },
    { array {}, "data is a list" },
    { { marked = array { x = 1 } }, "data.marked is marked as an array" },
    { cycle, "deeper" },
  }
  for _, case in ipairs(cases) do
    fails("data", case[2], create(case[1]))
    fails("data", case[2], tokens:update { app = "a", type = "t", token = "x", data = case[1] })
  end
end)

test("metatables of the caller's are not asked", function()
  local calls = 0
  local function count() calls = calls + 1 end
  local proxy = setmetatable({ a = 1 }, {
    __index = count, __pairs = count, __len = count, __eq = count, __tostring = count,
  })
  equal(stored { p = proxy }, { p = { a = 1 } })
  equal(calls, 0)
end)

test("depth 32 and no more", function()
  local function nested(depth)
    local data = {}
    for _ = 2, depth do
      data = { d = data }
    end
    return data
  end
  equal(stored(nested(32)), nested(32))
  fails("data", "32", create(nested(33)))
  fails("data", "32", create(nested(5000)))
end)

test("a wide table of shared parts is measured, not expanded", function()
  local data = { x = ("y"):rep(50) }
  for _ = 1, 30 do
    data = { a = data, b = data }
  end
  fails("data", "max_data_size", create(data))
end)

test("data of another reader, by hand in Redis, comes as values", function()
  equal(core.decode '{"a":[],"b":{},"c":[1,2.5,-0.0,1e3],"d":null}', {
    a = array {}, b = {}, c = array { 1, 2.5, -0.0, 1e3 }, d = null,
  })
  fails("data", "byte", core.decode '{"a":1,}')
  fails("data", "", core.decode '{"a":1,"a":2}')
end)
