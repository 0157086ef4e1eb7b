-- The Cookie header: finding cookies by name, and the possible meanings of their values.

local cookie = require "tokenstore.cookie"
local harness = require "harness"
local equal, test = harness.equal, harness.test

local function read(header, name)
  return cookie.read(header, name or "sid", 1024)
end

test("names are exact", function()
  for header, wanted in pairs {
    ["sid=a"] = { "a" },
    ["x=1; sid=a; y=2"] = { "a" },
    ["SID=old; sid=good"] = { "good" },
    ["Sid=a"] = {},
    ["xsid=a; sidx=b; my-sid=c; sid-2=d"] = {},
    ["sid"] = {},
    ["sid; sid=a"] = { "a" },
    ["sid; x"] = {},
    ["=a; sid=b"] = { "b" },
    ["=sid=a"] = {},
    ["sid="] = {},
    ["sid=;sid= ; sid=a"] = { "a" },
    ["x=sid=a"] = {},
    ["x=a, sid=b"] = {},
    ["x=\"a; sid=b; y\""] = { "b" }, -- quotes do not span a semicolon
    [""] = {},
    [";;; ;=;==;"] = {},
  } do
    equal(read(header), wanted, header)
  end
  equal(read("__Host-sid=a; sid=b", "__Host-sid"), { "a" })
  equal(read("a.b=1; a-b=2; a%b=3", "a-b"), { "2" }) -- names are not patterns
  equal(read("a.b=1; a-b=2; a%b=3", "a%b"), { "3" })
end)

test("blanks around names and values do not count", function()
  for _, header in ipairs { "sid=a;x=1", "x=1;sid=a", " sid=a", "sid=a ", "x=1 ;\tsid\t= a\t; y" } do
    equal(read(header)[1], "a", header)
  end
end)

test("all values of the name, in their order, once each", function()
  equal(read "sid=old; x=1; sid=good; SID=other; sid=old", { "old", "good" })
end)

-- Headers of a few characters that matter, and what cookie.read makes of them.
test("a plain value is the only one, or there is none", function()
  local signs = { "s", "id", "sid", "sid=", "; sid=", ";", "=", " ", "\t", "%", "41", '"', "\0", "+", "a" }
  local plain = 0
  math.randomseed(1)
  for _ = 1, 20000 do
    local header = ""
    for _ = 1, math.random(8) do
      header = header .. signs[math.random(#signs)]
    end
    local value = cookie.read_plain(header, "sid", 4)
    if value then
      equal(cookie.read(header, "sid", 4), { value }, header)
      plain = plain + 1
    end
  end
  assert(plain > 500, plain)
  for _, header in ipairs { "sid=a.b", "x=1; sid=a.b", "x=1;sid=a.b; y=2", "sid=a.b;" } do
    equal(cookie.read_plain(header, "sid", 3), "a.b", header)
  end
end)

test("no more than 128 texts, and stale cookies in many spellings do not hide a good one", function()
  local many = {}
  for i = 1, 200 do
    many[i] = "sid=value" .. i
  end
  local texts = read(table.concat(many, "; "))
  equal(#texts, 128)
  equal(texts[128], "value128")
end)

test("what no token can be is left out", function()
  equal(cookie.read("sid=" .. ("x"):rep(11) .. "; sid=" .. ("y"):rep(10), "sid", 10), { ("y"):rep(10) })
  equal(read "sid=%00; sid=a%00b; sid=c", { "%00", "a%00b", "c" })
  equal(read 'sid=""; sid="', { '""', '"' })
end)

test("a base64 token in the spellings of frameworks", function()
  local token = "+a/b+c=="
  for _, spelling in ipairs {
    token,                     -- as it is
    '"+a/b+c=="',              -- http.cookies
    '"+a/b+c\\075\\075"',
    '"\\053a\\057b\\053c=="',
    "%2Ba%2Fb%2Bc%3D%3D",      -- encodeURIComponent, urlencode
    "%2ba%2fb%2bc%3d%3d",      -- ASP.NET
    "+a/b+c%3D%3D",            -- escape()
    "%252Ba%252Fb%252Bc%253D%253D",
    '"%2Ba%2Fb%2Bc%3D%3D"',
    "%22%2Ba%2Fb%2Bc%3D%3D%22",
    " a/b c==",                -- read as a form's
    '" a/b c=="',
    "%20a/b%20c==",
  } do
    local texts = read("x=1; sid=" .. spelling .. "; y=2")
    local found
    for _, text in ipairs(texts) do
      found = found or text == token
    end
    assert(found, spelling)
    assert(#texts <= 5, spelling)
  end
  equal(read("sid=a/b+c="), { "a/b+c=" }) -- a single value if nothing is encoded
  equal(read('sid="a\\"b\\\\101\\z"'), { '"a\\"b\\\\101\\z"', 'a"b\\101z' })
  equal(read("sid=%zz%4"), { "%zz%4" })
end)

test("a header made to be slow", function()
  local clock = os.clock()
  read((";"):rep(200000))
  read(("sid;"):rep(60000))
  read(("a="):rep(100000))
  read(("sid=%"):rep(40000))
  assert(os.clock() - clock < 2)
end)

test("names that a cookie can have", function()
  for name, wanted in pairs {
    sid = true, ["__Host-sid"] = true, ["a[b]"] = true, [""] = false, ["a b"] = false, ["a="] = false,
    ["a;b"] = false, ["a\n"] = false,
  } do
    equal(cookie.is_name(name), wanted, name)
  end
end)

test("a value replaced in the header: for the upstream", function()
  for header, wanted in pairs {
    [""] = "sid=new",
    ["sid=old"] = "sid=new",
    ["a=b; sid=old; c=d"] = "a=b; c=d; sid=new",
    ["sid=1;sid = 2 ; SID=x; sid2=y"] = "SID=x; sid2=y; sid=new",
    ["a; =b; ;; sid; x=sid=1"] = "a; =b; x=sid=1; sid=new",
  } do
    equal(cookie.replace(header, "sid", "new"), wanted, header)
    equal(cookie.replace(header, "sid", nil), (wanted:gsub(";? ?sid=new$", "")), header)
  end
end)
