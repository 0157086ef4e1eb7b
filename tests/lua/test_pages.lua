-- An owner's tokens in pages, and their number.

local harness = require "harness"
local tokenstore = require "tokenstore"
local test, equal, matches = harness.test, harness.equal, harness.matches

local function ids(list)
  local found = {}
  for i, token in ipairs(list) do found[i] = token.id end
  return found
end

test("pages are the listing in pieces", function()
  local tokens = harness.store()
  local of_bob = { app = "a", type = "t", owner = "bob" }
  for _ = 1, 7 do
    assert(tokens:create { app = "a", type = "t", owner = "bob", duration = 60 })
  end
  local whole, found, after = ids(assert(tokens:list(of_bob))), {}, nil
  equal(#whole, 7)
  equal(tokens:count(of_bob), 7)
  repeat
    local page = assert(tokens:list { app = "a", type = "t", owner = "bob", limit = 3, after = after })
    for _, id in ipairs(ids(page)) do found[#found + 1] = id end
    after = page[1] and page[#page].id
    assert(tokens:create { app = "a", type = "t", owner = "bob" }) -- does not shift the pages
  until not after
  equal(found, whole)
end)

test("limits and ids that are none", function()
  local tokens = harness.store()
  for _, limit in ipairs { 0, -1, 1.5, 1000001, 0 / 0, 1 / 0 } do
    local list, message, code = tokens:list { app = "a", type = "t", owner = "bob", limit = limit }
    equal({ list, code }, { nil, "data" })
    matches(message, "limit must be 1 to 1000000")
  end
  local other = assert(tokens:create { app = "a", type = "t", owner = "alice" })
  for _, after in ipairs { other.id, "", "*" } do
    local list, message, code = tokens:list { app = "a", type = "t", owner = "bob", after = after }
    equal({ list, code }, { nil, "data" })
    matches(message, "after: no live token of this owner")
  end
end)

test("sessions have pages too", function()
  local sessions = harness.store({}, tokenstore.Sessions)
  for _ = 1, 3 do
    assert(sessions:create { app = "a", owner_id = "bob" })
  end
  local first = assert(sessions:list { app = "a", owner_id = "bob", limit = 2 })
  equal(#first, 2)
  equal(#assert(sessions:list { app = "a", owner_id = "bob", after = first[2].id }), 1)
  equal(sessions:count { app = "a", owner_id = "bob" }, 3)
  equal(sessions:count { app = "a", owner_id = "nobody" }, 0)
end)

test("sliding never shortens", function()
  local tokens = harness.store()
  for _, duration in ipairs { false, 1000, 10 } do
    local token = assert(tokens:create { app = "a", type = "t", owner = "o", duration = duration or nil })
    local found = assert(tokens:get { app = "a", type = "t", token = token.token, refresh = 100 })
    local left = found.expires_at and found.expires_at - token.created_at
    if not duration then
      equal(left, nil)
    else
      assert(math.abs(left - math.max(duration, 100)) < 1, left)
    end
  end
end)
