-- Set-Cookie headers: RFC 6265 and the rules by which browsers drop cookies.

local harness = require "harness"
local set_cookie = require "tokenstore.set_cookie"
local equal, test = harness.equal, harness.test

local function line(name, given, value, max_age)
  return set_cookie.line(name, value or "v", assert(set_cookie.attributes(name, given or {})), max_age)
end

local function fault(name, given)
  local attributes, problem = set_cookie.attributes(name, given)
  equal(attributes, nil)
  return problem
end

test("strict by default", function()
  equal(line "sid", "sid=v; Path=/; Secure; HttpOnly; SameSite=Lax")
  equal(line "__Host-sid", "__Host-sid=v; Path=/; Secure; HttpOnly; SameSite=Lax")
end)

test("all attributes", function()
  local all = { path = "/app", domain = "example.com", same_site = "None", partitioned = true }
  equal(line("sid", all, "v", 60),
    "sid=v; Max-Age=60; Path=/app; Domain=example.com; Secure; HttpOnly; SameSite=None; Partitioned")
  equal(line("sid", { secure = false, same_site = "Strict" }), "sid=v; Path=/; HttpOnly; SameSite=Strict")
  equal(line("sid", {}, "", 0), "sid=; Max-Age=0; Path=/; Secure; HttpOnly; SameSite=Lax")
  equal(line("sid", {}, "v", 1.2):match "Max%-Age=%d+", "Max-Age=2")
  equal(line("sid", {}, "v", 315360000):match "Max%-Age=%d+", "Max-Age=315360000")
  equal(line("__Secure-sid", { domain = "example.com", path = "/a" }),
    "__Secure-sid=v; Path=/a; Domain=example.com; Secure; HttpOnly; SameSite=Lax")
  equal(line("__Host-sid", { partitioned = true, path = "/" }):match "; Partitioned$", "; Partitioned")
end)

test("what browsers drop is refused", function()
  for _, name in ipairs { "__Host-sid", "__host-sid", "__HOST-sid" } do
    for _, given in ipairs { { path = "/app" }, { domain = "example.com" }, { secure = false } } do
      assert(fault(name, given):find(name:sub(1, 7), 1, true), name)
    end
  end
  for _, name in ipairs { "__Secure-sid", "__secure-sid" } do
    equal(fault(name, { secure = false }),
      ("browsers drop a cookie with the prefix %s without secure"):format(name:sub(1, 9)))
  end
  equal(fault("sid", { secure = false, same_site = "None" }), 'same_site = "None" requires secure')
  equal(fault("sid", { secure = false, partitioned = true }), "partitioned requires secure")
end)

test("names, values and attributes cannot add another attribute", function()
  for _, name in ipairs {
    "", "a b", "a=b", "a;b", "a,b", "a\r\nb", "a\0b", '"a"', "a[b]", "a:b", "\195\164",
  } do
    assert(fault(name, {}):find("name of a cookie", 1, true), name)
  end
  for _, path in ipairs { "", "app", "/a;Secure", "/a b", "/a\r\n", "/\195\164" } do
    assert(fault("sid", { path = path }):find("^path begins with /"), path)
  end
  for _, domain in ipairs { "", ".", "a;b", "a b", "a/b", "a:80", "a\n" } do
    equal(fault("sid", { domain = domain }), "domain is the name of a host")
  end
  for _, value in ipairs { "a b", "a;b", "a,b", '"a"', "a\\b", "a\rb", "a\0", "\127", "\195\164" } do
    equal(pcall(line, "sid", {}, value), false, value)
  end
  local octets = {}
  for i = 33, 126 do
    octets[#octets + 1] = not ('",;\\'):find(string.char(i), 1, true) and string.char(i) or ""
  end
  assert(line("sid", {}, table.concat(octets)))
  assert(line("!#$%&'*+-.^_`|~aZ09"))
end)

test("wrong attributes are named", function()
  equal(fault("sid", { samesite = "Lax" }), "unknown attribute 'samesite'")
  equal(fault("sid", { http_only = false }), "unknown attribute 'http_only'")
  equal(fault("sid", { secure = "no" }), "boolean expected as 'secure', got string")
  equal(fault("sid", { same_site = "lax" }), 'same_site is "Strict", "Lax" or "None"')
end)

test("other cookies of the response stay, an earlier line of the same cookie goes", function()
  local attributes = set_cookie.attributes("sid", {})
  local new = set_cookie.line("sid", "new", attributes)
  local function add(given)
    return set_cookie.add(given, new, "sid", attributes)
  end
  equal(add(nil), { new })
  equal(add "a=b", { "a=b", new })
  equal(add { "a=b", "sid2=x" .. attributes, "c=d" }, { "a=b", "sid2=x" .. attributes, "c=d", new })
  equal(add { set_cookie.line("sid", "old", attributes, 60), "a=b" }, { "a=b", new })
  equal(add "sid=; Max-Age=0; Path=/app", { "sid=; Max-Age=0; Path=/app", new }) -- another cookie
end)
