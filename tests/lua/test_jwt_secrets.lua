-- Keys of other kinds are rejected as HMAC secrets in any encoding; everything else is accepted.

local harness = require "harness"
local jwt = require "tokenstore.jwt"
local notation = require "vectors"
local tokenstore = require "tokenstore"
local equal, matches, test = harness.equal, harness.matches, harness.test

local vectors = notation.read "jwt_secrets.json"

local function redis_jwt(secret)
  return tokenstore.RedisJWT { redis = "redis://127.0.0.1:1", secret = secret }
end

for _, case in ipairs(harness.sample(vectors.refused, 20)) do
  test("refused as a secret: " .. case.name, function()
    for _, make in ipairs { jwt.Key.from_secret, redis_jwt } do
      local got, message, code = make(notation.bytes(case.value))
      equal(got, nil, "result")
      equal(code, "configuration", "code")
      matches(message, "another type")
    end
  end)
end

for _, case in ipairs(harness.sample(vectors.taken, 20)) do
  test("taken as a secret: " .. case.name, function()
    for _, make in ipairs { jwt.Key.from_secret, redis_jwt } do
      assert(make(notation.bytes(case.value)))
    end
  end)
end

test("the spellings are many", function()
  assert(#vectors.refused > 400 and #vectors.taken > 20)
end)
