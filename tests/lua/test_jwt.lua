-- tokenstore.jwt: the vectors that C and Python run too, and what Lua adds.

local harness = require "harness"
local jwt = require "tokenstore.jwt"
local notation = require "vectors"
local tokenstore = require "tokenstore"
local bytes, equal, matches, test = notation.bytes, harness.equal, harness.matches, harness.test

local vectors = notation.read "jwt.json"
local count = #vectors.load + #vectors.decode + #vectors.encode
for _, kind in ipairs { "load", "decode", "header", "export", "encode" } do
  vectors[kind] = harness.sample(vectors[kind], 3)
end

local function load_key(entry)
  local kind = entry.load:match "^%w+"
  if kind == "secret" then
    return jwt.Key.from_secret { secret = bytes(entry.value), kid = entry.kid, algorithm = entry.algorithm }
  elseif kind == "pem" then
    return jwt.Key.from_pem {
      pem = entry.value, kid = entry.kid, algorithm = entry.algorithm, password = entry.password,
    }
  elseif kind == "jwk" then
    return jwt.Key.from_jwk(entry.value)
  end
  return jwt.KeySet.from_jwks(entry.value)
end

local keys = {}
for name, entry in pairs(vectors.keys) do
  keys[name] = assert(load_key(entry))
end

local function named_key(name)
  if type(name) == "string" then
    return keys[name]
  end
  local list = {}
  for i, one in ipairs(name) do
    list[i] = keys[one]
  end
  return list
end

-- Checks the verdict. True if there is a result to check.
local function judge(case, got, message, code)
  if case.verdict == "ok" then
    if not got then
      error(("not taken: %s"):format(tostring(message)), 2)
    end
    return true
  end
  equal(got, nil, "result")
  equal(code, case.verdict, "code of " .. tostring(message))
  if case.message then
    matches(message, case.message)
  end
  return false
end

local function algorithms_of(list)
  return table.concat(list, " ")
end

-- ---- the vectors -------------------------------------------------------------------------------------

for _, case in ipairs(vectors.load) do
  test("load: " .. case.name, function()
    local got, message, code = load_key(case)
    if not judge(case, got, message, code) then
      return
    elseif case.count then
      equal(#got, case.count, "keys")
      equal(#got.keys, case.count, "keys in the list")
      equal(got.skipped, case.skipped, "skipped")
    else
      equal(algorithms_of(got.algorithms), algorithms_of(case.algorithms), "algorithms")
      equal(got.can_sign, case.can_sign, "can_sign")
      equal(got.kid, case.kid, "kid")
    end
  end)
end

for _, case in ipairs(vectors.decode) do
  test("decode: " .. case.name, function()
    local claims, header, code = jwt.decode {
      token = bytes(case.token),
      key = named_key(case.key),
      algorithms = case.algorithms,
      audience = case.any_audience and jwt.ANY or case.audience,
      verify_exp = case.verify_exp,
      issuer = case.issuer,
      leeway = case.leeway,
      max_size = case.max_size,
      require = case.require,
      now = case.now or vectors.now,
      typ = case.typ,
    }
    if judge(case, claims, header, code) then
      equal(claims, case.claims or claims, "claims")
      equal(type(header.alg), "string", "alg")
    end
  end)
end

for _, case in ipairs(vectors.header) do
  test("header: " .. case.name, function()
    local header, message, code =
      jwt.get_unverified_header { token = case.token, max_size = case.max_size }
    if judge(case, header, message, code) then
      equal(header, case.header, "header")
    end
  end)
end

for _, case in ipairs(vectors.export) do
  test("export: " .. case.name, function()
    local key = assert(load_key(case))
    local thumbprint, message, code = key:thumbprint()
    if judge(case, thumbprint, message, code) then
      equal(thumbprint, case.thumbprint, "thumbprint")
      equal(key:to_jwk(), case.public, "public half")
      equal(key:to_jwk { private = false }, case.public, "public half")
    else
      judge(case, key:to_jwk())
    end
    if case.private then
      equal(key:to_jwk { private = true }, case.private, "both halves")
      equal(jwt.Key.from_jwk(key:to_jwk { private = true }).can_sign, true)
    else
      local none
      none, message, code = key:to_jwk { private = true }
      equal(none, nil)
      equal(code, "configuration", message)
    end
  end)
end

for _, case in ipairs(vectors.encode) do
  test("encode: " .. case.name, function()
    local token, message, code = jwt.encode {
      claims = case.claims,
      key = keys[case.key],
      algorithm = case.algorithm,
      headers = case.headers,
      max_size = case.max_size,
    }
    if judge(case, token, message, code) then
      -- A table has no order: compare members in any order.
      local claims, header = jwt.decode {
        token = token,
        key = keys[case.check or case.key],
        algorithms = { case.algorithm },
        now = vectors.now,
        max_size = case.max_size,
      }
      equal(claims, case.claims, "claims")
      if case.token then
        local _, wanted = jwt.decode {
          token = case.token,
          key = keys[case.check or case.key],
          algorithms = { case.algorithm },
          now = vectors.now,
          max_size = case.max_size,
        }
        equal(header, wanted, "header")
      end
    end
  end)
end

test("the vectors are many", function()
  assert(count > 800)
end)

-- ---- arguments ---------------------------------------------------------------------------------------

local secret = string.rep("0123456789abcdef", 4)
local key = assert(jwt.Key.from_secret { secret = secret, kid = "one" })
local token = assert(jwt.encode { claims = {}, key = key, algorithm = "HS256" })

test("wrong types raise, and say where", function()
  local calls = {
    function() jwt.decode { token = token, key = "secret", algorithms = { "HS256" } } end,
    function() jwt.decode { token = token, key = { key, "x" }, algorithms = { "HS256" } } end,
    function() jwt.decode { token = token, algorithms = { "HS256" } } end,
    function() jwt.decode { token = token, key = key, algorithms = "HS256" } end,
    function() jwt.decode { token = token, key = key, algorithms = { 1 } } end,
    function() jwt.decode { token = token, key = key, algorithms = { "HS256" }, max_size = "1" } end,
    function() jwt.encode { claims = {}, key = key, algorithm = "HS256", max_size = "1" } end,
    function() jwt.decode { token = token, key = key, algorithms = { "HS256" }, audience = 1 } end,
    function() jwt.decode { token = token, key = key, algorithms = { "HS256" }, audience = { 1 } } end,
    function() jwt.decode { token = token, key = key, algorithms = { "HS256" }, require = "exp" } end,
    function() jwt.decode { token = token, key = key, algorithms = { "HS256" }, require = { a = 1 } } end,
    function() jwt.decode { token = token, key = key, algorithms = { HS256 = true } } end,
    function() jwt.decode { token = token, key = { key = key }, algorithms = { "HS256" } } end,
    function() jwt.decode { token = token, key = key, algorithms = { "HS256" }, leeway = "1" } end,
    function() jwt.decode { token = token, key = key, algorithms = { "HS256" }, now = "1" } end,
    function() jwt.decode { token = token, key = key, algorithms = { "HS256" }, typ = 1 } end,
    function() jwt.decode { token = token, key = key, algorithm = "HS256" } end,
    function() jwt.decode(token, key) end,
    function() jwt.encode { key = key, algorithm = "HS256" } end,
    function() jwt.encode { claims = "x", key = key, algorithm = "HS256" } end,
    function() jwt.encode { claims = {}, key = secret, algorithm = "HS256" } end,
    function() jwt.encode { claims = {}, key = { key }, algorithm = "HS256" } end,
    function() jwt.encode { claims = {}, key = key, algorithm = 1 } end,
    function() jwt.encode { claims = {}, key = key, algorithm = "HS256", headers = "x" } end,
    function() jwt.Key.from_secret(1) end,
    function() jwt.Key.from_secret { secret = 1 } end,
    function() jwt.Key.from_secret { secret = secret, kid = 1 } end,
    function() jwt.Key.from_secret { secret = secret, key_id = "x" } end,
    function() jwt.Key.from_pem(1) end,
    function() jwt.Key.from_jwk(1) end,
    function() jwt.Key.from_jwk(key) end,
    function() jwt.KeySet.from_jwks(nil) end,
    function() jwt.Key.from_pem { pem = "x", password = 1 } end,
    function() jwt.decode { token = token, key = key, algorithms = { "HS256" }, verify_exp = 0 } end,
    function() jwt.decode { token = token, key = key, algorithms = { "HS256" }, audience = { jwt.ANY } } end,
    function() jwt.get_unverified_header { token = token, max_size = "1" } end,
    function() jwt.get_unverified_header { header = token } end,
  }
  for i, call in ipairs(calls) do
    local ok, problem = pcall(call)
    equal(ok, false, "call " .. i)
    matches(problem, "test_jwt.lua")
    assert(not problem:find(secret, 1, true), "a secret in a message")
  end
end)

test("a key's methods want a key, and a table", function()
  for _, given in ipairs { 1, "private", { private = 1 }, { private = "true" } } do
    local ok, problem = pcall(key.to_jwk, key, given)
    equal(ok, false)
    matches(problem, "expected")
  end
  for _, method in ipairs { key.to_jwk, key.thumbprint } do
    equal(pcall(method), false)
    equal(pcall(method, keys.set), false)
  end
end)

test("what is no token is invalid", function()
  for i, presented in ipairs { false, "", 5, true, {}, key } do
    if i == 1 then
      presented = nil
    end
    local claims, message, code = jwt.decode { token = presented, key = key, algorithms = { "HS256" } }
    equal(claims, nil)
    equal(message, "the token is not valid: it is empty")
    equal(code, "invalid_token")
  end
end)

test("max_size", function()
  local claims = { text = ("x"):rep(9000) }
  local none, message, code = jwt.encode { claims = claims, key = key, algorithm = "HS256" }
  equal(none, nil)
  equal(code, "data")
  matches(message, "max_size")
  local long = assert(jwt.encode { claims = claims, key = key, algorithm = "HS256", max_size = 20000 })
  local options = { token = long, key = key, algorithms = { "HS256" }, max_size = #long }
  equal(assert(jwt.decode(options)).text, claims.text)
  options.max_size = nil
  none, message, code = jwt.decode(options)
  equal(none, nil)
  matches(message, "max_size is 8192")
  equal(code, "invalid_token")
  for _, size in ipairs { 0, -1, 1.5, 2 ^ 20 + 1, 1 / 0, 0 / 0 } do
    options.max_size = size
    none, message, code = jwt.decode(options)
    equal(none, nil)
    matches(message, "max_size must be")
    equal(code, "configuration")
  end
end)

test("an empty list of audiences is a mistake", function()
  for _, name in ipairs { "audience", "issuer" } do
    local options = { token = token, key = key, algorithms = { "HS256" }, [name] = {} }
    local claims, _, code = jwt.decode(options)
    equal(claims, nil)
    equal(code, "configuration")
  end
end)

test("the clock is the default", function()
  local function verdict(claims)
    local one = assert(jwt.encode { claims = claims, key = key, algorithm = "HS256" })
    local got, _, code = jwt.decode { token = one, key = key, algorithms = { "HS256" } }
    return got and "ok" or code
  end
  equal(verdict { exp = os.time() + 30 }, "ok")
  equal(verdict { exp = os.time() - 2 }, "expired_token")
  equal(verdict { nbf = os.time() + 30 }, "invalid_token")
end)

test("claims cannot hold everything", function()
  for _, value in ipairs { 0 / 0, print, "\255", { [1] = 1, x = 1 } } do
    harness.fails("data", "claims.x", jwt.encode { claims = { x = value }, key = key, algorithm = "HS256" })
  end
end)

test("jwt.d.lua says what there is", function()
  local types
  for template in package.path:gmatch "[^;]+" do
    local file = not types and io.open((template:gsub("%?", "tokenstore/jwt.d")))
    if file then
      types = file:read "*a"
      file:close()
    end
  end
  for class, functions in pairs { ["jwt"] = jwt, ["jwt.Key"] = jwt.Key, ["jwt.KeySet"] = jwt.KeySet } do
    for name, value in pairs(functions) do
      if type(value) == "function" then
        assert(types:find(("\nfunction %s.%s("):format(class, name), 1, true), class .. "." .. name)
      end
    end
  end
end)

test("arrays and null stay what they are", function()
  local claims = { list = tokenstore.array {}, null = tokenstore.null, object = {} }
  local one = assert(jwt.encode { claims = claims, key = key, algorithm = "HS256" })
  equal(jwt.decode { token = one, key = key, algorithms = { "HS256" } }, claims)
end)

-- ---- keys --------------------------------------------------------------------------------------------

test("keys show what they are and no more", function()
  equal(tostring(key), "tokenstore.jwt.Key: secret")
  equal(tostring(keys["rfc7520-rsa"]), "tokenstore.jwt.Key: RSA private")
  equal(tostring(keys.set), "tokenstore.jwt.KeySet: 4 keys")
  equal(key.secret, nil)
  equal(key[1], nil)
  equal(getmetatable(key), "tokenstore.jwt.Key")
  assert(not pcall(function() key.kid = "two" end))
  assert(not pcall(setmetatable, key, {}))
end)

test("a key outlives its set", function()
  local list = assert(jwt.KeySet.from_jwks(vectors.keys.set.value)).keys
  collectgarbage()
  equal(list[2].algorithms[1], "RS256")
end)

test("a key ring signs with one and checks with several", function()
  local old = assert(jwt.Key.from_secret { secret = ("a"):rep(64), kid = "old" })
  local new = assert(jwt.Key.from_secret { secret = ("b"):rep(64), kid = "new" })
  local one = assert(jwt.encode { claims = { by = "old" }, key = old, algorithm = "HS512" })
  equal(jwt.decode { token = one, key = { new, old }, algorithms = { "HS512" } }, { by = "old" })
  equal(jwt.decode { token = one, key = { new }, algorithms = { "HS512" } }, nil)
end)

test("secrets and Ed25519 do not load OpenSSL", function()
  local program = [[
    local jwt = require "tokenstore.jwt"
    local key = assert(jwt.Key.from_jwk { kty = "OKP", crv = "Ed25519",
      d = "nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A",
      x = "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo" })
    local token = assert(jwt.encode{ claims = {}, key = key, algorithm = "EdDSA" })
    assert(jwt.decode{ token = token, key = key, algorithms = { "EdDSA" } })
    assert(not package.loaded["tokenstore.openssl"])
    package.preload["tokenstore.openssl"] = function() error "not here" end
    local none, message, code = jwt.Key.from_pem "x"
    assert(none == nil and code == "configuration" and message:find "not here", message)
    none, message, code = jwt.Key.from_jwk '{"kty":"RSA","n":"AQAB","e":"AQAB"}'
    assert(none == nil and code == "configuration" and message:find "OpenSSL", message)
    print "good"
  ]]
  local name = os.tmpname()
  local file = assert(io.open(name, "w"))
  file:write(program)
  file:close()
  local pipe = io.popen(harness.lua .. " " .. name .. " 2>&1")
  local out = pipe:read "*a"
  pipe:close()
  os.remove(name)
  equal(out, "good\n")
end)
