-- tokenstore.jwt: signed JSON Web Tokens.
--
--     local jwt = require "tokenstore.jwt"
--     local key = assert(jwt.Key.from_secret(secret))
--     local token = assert(jwt.encode{ claims = { sub = "bob", exp = os.time() + 3600 }, key = key,
--                                      algorithm = "HS256" })
--     local claims, header = jwt.decode{ token = token, key = key, algorithms = { "HS256" } }
--
-- Algorithms: HS256, HS384, HS512, RS256, RS384, RS512, PS256, PS384, PS512, ES256, ES384, ES512, EdDSA,
-- Ed25519.
-- The key decides which of them are possible, the list passed to decode which are accepted; the token only
-- chooses among those. RFC 8725 is followed throughout: see docs/reference/jwt.md.
--
-- Secrets and Ed25519 keys need nothing more. The first RSA or EC key, or PEM, loads the C module
-- tokenstore.openssl.

local core = require "tokenstore.core"

local jwt = { Key = {}, KeySet = {} }

-- ---- options --------------------------------------------------------------------------------------

local FROM_SECRET = { secret = true, kid = true, algorithm = true }
local FROM_PEM = { pem = true, kid = true, algorithm = true, password = true }
local ENCODE = { claims = true, key = true, algorithm = true, headers = true, max_size = true }
local DECODE = {
  token = true,
  key = true,
  algorithms = true,
  audience = true,
  issuer = true,
  leeway = true,
  require = true,
  now = true,
  typ = true,
  max_size = true,
  verify_exp = true,
}
local HEADER = { token = true, max_size = true }

-- As `audience` of decode: accepts any `aud`, which the caller checks.
jwt.ANY = setmetatable({}, {
  __tostring = function()
    return "tokenstore.jwt.ANY"
  end,
})

-- Raises at the caller of the method for anything but a table of known options.
local function check(given, known)
  if type(given) ~= "table" then
    error("bad argument: a table of options expected, got " .. type(given), 3)
  end
  for name in next, given do
    if not known[name] then
      local names = {}
      for one in next, known do
        names[#names + 1] = one
      end
      table.sort(names)
      error(("unknown option '%s' (known are: %s)"):format(tostring(name), table.concat(names, ", ")), 3)
    end
  end
end

-- ---- keys -----------------------------------------------------------------------------------------

-- The module, or nil and why it cannot be loaded. Out of memory raises instead.
local function load_openssl()
  local ok, module = pcall(require, "tokenstore.openssl")
  if ok then
    return module
  elseif module == "not enough memory" then
    error(module, 0)
  end
  return nil, tostring(module)
end

-- A key has fields: kind ("secret", "RSA", "P-256", "P-384", "P-521", "Ed25519"), kid, algorithms (those it
-- can be used with) and can_sign. It is immutable. Methods:
--   key:to_jwk() or key:to_jwk{ private = true }   the key as a JWK, a table: its public part, or both.
--                                                  Fails for a secret, which is not stored
--   key:thumbprint()                               SHA-256 of the public part (RFC 7638), a suitable kid

-- from_secret(secret) or from_secret{ secret, kid, algorithm }: a secret for HS256 (at least 32 bytes),
-- HS384 (48) and HS512 (64). Other types of keys are rejected, in any encoding: anyone who knows a public key
-- could sign with it. `algorithm` restricts the key to that one.
function jwt.Key.from_secret(given)
  if type(given) == "string" then
    given = { secret = given }
  end
  check(given, FROM_SECRET)
  local key, message, code = core.key_secret(given.secret, given.kid, given.algorithm)
  return key, message, code
end

-- from_pem(pem) or from_pem{ pem, kid, algorithm, password }: a public or private key, or a certificate's
-- key. `password` is that of an encrypted private key; there is never a prompt. A certificate's dates and
-- issuer are not checked.
function jwt.Key.from_pem(given)
  if type(given) == "string" then
    given = { pem = given }
  end
  check(given, FROM_PEM)
  local module, problem = load_openssl()
  if not module then
    return nil, "PEM requires tokenstore.openssl: " .. problem, "configuration"
  end
  local key, message, code = module.key_pem(given.pem, given.kid, given.algorithm, given.password)
  return key, message, code
end

local function is_json(value)
  return type(value) == "string" or type(value) == "table"
end

-- from_jwk(jwk): a JWK as a table or as JSON text, of kty RSA, EC, OKP (Ed25519) or oct. Its kid, alg, use
-- and key_ops apply.
function jwt.Key.from_jwk(jwk)
  if not is_json(jwk) then
    error("bad argument 'jwk' (table or JSON text expected, got " .. type(jwk) .. ")", 2)
  end
  local key, message, code = core.key_jwk(jwk)
  if not key and code == "configuration" then
    local module = load_openssl()
    if module then
      key, message, code = module.key_jwk(jwk)
    end
  end
  return key, message, code
end

-- from_jwks(jwks): the keys of a JWKS, a table or JSON text. Entries that cannot be used here (an unknown
-- kty, crv or alg, use "enc", a weak key) are skipped: set.skipped is their number; #set and set.keys are
-- the usable ones.
function jwt.KeySet.from_jwks(jwks)
  if not is_json(jwks) then
    error("bad argument 'jwks' (table or JSON text expected, got " .. type(jwks) .. ")", 2)
  end
  local set, message, code = core.keyset_jwks(jwks)
  if set and set.skipped > 0 then
    local module = load_openssl()
    if module then
      set, message, code = module.keyset_jwks(jwks)
    end
  end
  return set, message, code
end

-- from_url(url) or from_url{ url, max_age, max_stale, min_interval, timeout, ca, cert, key, proxy, verify,
-- logger }: the public keys at a URL, fetched and cached. decode accepts it as its key; set:get() is the
-- current KeySet; set:close(). The options are explained in jwt.d.lua and docs/reference/jwt.md.
function jwt.KeySet.from_url(given)
  local set, message, code = require("tokenstore.remote_keys").open(given)
  return set, message, code
end

-- True for a result of from_url. If its module is not loaded, there is none.
local function is_remote(key)
  local remote = type(key) == "table" and package.loaded["tokenstore.remote_keys"]
  return remote and remote.is(key) or false
end

-- ---- tokens ---------------------------------------------------------------------------------------

-- encode{ claims, key, algorithm, headers, max_size }: a token with these claims, signed with `key`. The
-- header is alg, typ "JWT" and the key's kid; `headers` may change typ or kid, remove one with
-- tokenstore.null, and add others. exp, nbf and iat are numbers, seconds since the epoch. A token that
-- decode would always reject is an error, as is one of more than max_size (8192) bytes.
function jwt.encode(given)
  check(given, ENCODE)
  local token, message, code =
    core.jwt_encode(given.claims, given.key, given.algorithm, given.headers, given.max_size)
  return token, message, code
end

-- decode{ token, key, algorithms, audience, issuer, leeway, require, now, typ, max_size, verify_exp }: the
-- claims and the header of a valid token. nil, message, code otherwise: "expired_token" if only `exp` is
-- wrong, "invalid_token" if anything else is, "configuration" for invalid options, whatever the token.
--
--   key         a Key, a KeySet (from_url's too) or a list of Keys; those that match the token's algorithm
--               and kid are tried, at most 16
--   algorithms  a list of those to accept
--   audience `aud` must name it, or one of the list; without it a token with an `aud` is rejected. jwt.ANY
--               accepts any `aud`, for callers that check it
--               themselves
--   issuer      `iss` must be it, or one of the list
--   leeway      seconds that exp and nbf may be off, up to a day
--   require     a list of required claims
--   now         seconds since the epoch; default: the clock
--   typ         the required `typ` of the header, such as "at+jwt"
--   max_size    bytes of the token, 8192 by default
--   verify_exp  false accepts an expired token, for a logout or a renewal
function jwt.decode(given)
  check(given, DECODE)
  local audience, any = given.audience, given.audience == jwt.ANY
  local key, remote, seen = given.key, is_remote(given.key), 0
  local claims, header, code, unknown, version
  if any then
    audience = nil
  end
  repeat
    local again = seen ~= 0
    if remote then
      local newer, message, problem = given.key:newer(seen)
      if newer == false then
        return nil, header, code -- final: there are no other keys
      elseif not newer then
        return nil, message, problem
      end
      key, version = newer, message
    end
    -- C raises at the caller of this function, so there must be no call in between.
    claims, header, code, unknown = core.jwt_decode(given.token, key, given.algorithms, audience,
      given.issuer, given.leeway, given.require, given.now, given.typ, given.max_size, any, given.verify_exp)
    if claims and again then
      given.key:helped()
    end
    seen = version
  until claims or again or not (remote and unknown)
  return claims, header, code
end

-- get_unverified_header(token) or get_unverified_header{ token, max_size }: the header of an unverified
-- token, for choosing a key and for logs: do not trust it.
function jwt.get_unverified_header(given)
  if type(given) ~= "table" then
    given = { token = given }
  end
  check(given, HEADER)
  local header, message, code = core.jwt_header(given.token, given.max_size)
  return header, message, code
end

return jwt
