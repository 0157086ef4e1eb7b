---@meta tokenstore.jwt

-- Types of tokenstore.jwt for LuaLS (lua-language-server). Never loaded. tests/lua/test_jwt.lua compares
-- it with what the module has.

---@class tokenstore.jwt
local jwt = {}

---An integer that this Lua cannot represent, as its digits. `tostring`, `..` and `==` work.
---@class tokenstore.bigint
---@field digits string

---The third result of a failed call.
---@alias tokenstore.jwt.Code
---| "invalid_token" # anything wrong with the token
---| "expired_token" # only `exp` is wrong
---| "configuration" # invalid options, or a weak, invalid or unsupported key
---| "data"          # claims or headers that cannot be written
---| "memory"        # out of memory
---| "connection"    # from_url: the server is down, or returns no keys; this says nothing about the token
---| "timeout"       # from_url: likewise
---| "closed"        # from_url: the set was closed

---@alias tokenstore.jwt.Algorithm
---| "HS256" | "HS384" | "HS512" | "RS256" | "RS384" | "RS512" | "PS256" | "PS384" | "PS512"
---| "ES256" | "ES384" | "ES512" | "EdDSA" | "Ed25519"

---A key: a secret, or a public or private key. Immutable.
---@class tokenstore.jwt.Key: userdata
---@field kind "secret" | "RSA" | "P-256" | "P-384" | "P-521" | "Ed25519"
---@field kid? string
---@field algorithms tokenstore.jwt.Algorithm[] those it can be used with
---@field can_sign boolean true for a secret or a private key
local Key = {}

---The key as a JWK: its public part, or both. Fails for a secret, which is not stored.
---@param args? { private?: boolean }
---@return table<string, string>?
---@return string? message
---@return tokenstore.jwt.Code? code
function Key:to_jwk(args) end

---SHA-256 of the public part (RFC 7638) in base64url, a suitable kid.
---@return string?
---@return string? message
---@return tokenstore.jwt.Code? code
function Key:thumbprint() end

---The keys of a JWKS. Immutable; `#set` is their number.
---@class tokenstore.jwt.KeySet: userdata
---@field keys tokenstore.jwt.Key[]
---@field skipped integer number of unusable entries

---The public keys at a URL, fetched and cached.
---@class tokenstore.jwt.RemoteKeySet
local RemoteKeySet = {}

---The current KeySet, fetched if there is none.
---@return tokenstore.jwt.KeySet?
---@return string? message
---@return tokenstore.jwt.Code? code
function RemoteKeySet:get() end

---Cancels a fetch in progress; decode fails from now on. May be called twice.
function RemoteKeySet:close() end

---@class tokenstore.jwt.UrlArgs
---@field url string a JWKS, or a key or certificate in PEM; https, or this host
---@field max_age? number seconds after which they are fetched again, in the background (default 600)
---@field max_stale? number how much longer they are used while the server is down (default 3600)
---@field min_interval? number seconds between two fetches for tokens of unknown keys (default 10)
---@field timeout? number seconds for a fetch (default 5)
---@field ca? string CA certificates (PEM), a file or a directory
---@field cert? string the client certificate (PEM)
---@field key? string its private key (PEM)
---@field proxy? string
---@field verify? boolean false: accepts any certificate, and http (default true)
---@field logger? tokenstore.Logger none: nothing is logged, in nginx to its error log

---@class tokenstore.jwt.SecretArgs
---@field secret string at least 32 bytes for HS256, 48 for HS384, 64 for HS512
---@field kid? string
---@field algorithm? tokenstore.jwt.Algorithm the only one it may be used for

---@class tokenstore.jwt.PemArgs
---@field pem string a public or private key, or a certificate
---@field kid? string
---@field algorithm? tokenstore.jwt.Algorithm the only one it may be used for
---@field password? string of an encrypted private key

---@class tokenstore.jwt.EncodeArgs
---@field claims table<string, any>
---@field key tokenstore.jwt.Key
---@field algorithm tokenstore.jwt.Algorithm
---@field headers? table<string, any> typ and kid (tokenstore.null removes one), and others
---@field max_size? integer bytes of the token (default 8192)

---@class tokenstore.jwt.DecodeArgs
---@field token string? the presented token; nil is not valid
---@field key tokenstore.jwt.Key | tokenstore.jwt.KeySet | tokenstore.jwt.RemoteKeySet | tokenstore.jwt.Key[]
---@field algorithms tokenstore.jwt.Algorithm[] those to accept
---@field audience? string | string[] | tokenstore.jwt.Any
---@field issuer? string | string[]
---@field leeway? number seconds that exp and nbf may be off
---@field require? string[] required claims
---@field now? number seconds since the epoch
---@field typ? string the required typ of the header
---@field max_size? integer bytes of the token (default 8192)
---@field verify_exp? boolean false: accepts an expired token (default true)

---@class tokenstore.jwt.HeaderArgs
---@field token string? the presented token; nil is not valid
---@field max_size? integer bytes of the token (default 8192)

---@class tokenstore.jwt.Any

jwt.Key = {}
jwt.KeySet = {}

---As `audience`: accepts any `aud`, which the caller checks.
---@type tokenstore.jwt.Any
jwt.ANY = nil

---@param secret string | tokenstore.jwt.SecretArgs
---@return tokenstore.jwt.Key?
---@return string? message
---@return tokenstore.jwt.Code? code
function jwt.Key.from_secret(secret) end

---@param pem string | tokenstore.jwt.PemArgs
---@return tokenstore.jwt.Key?
---@return string? message
---@return tokenstore.jwt.Code? code
function jwt.Key.from_pem(pem) end

---@param jwk table | string
---@return tokenstore.jwt.Key?
---@return string? message
---@return tokenstore.jwt.Code? code
function jwt.Key.from_jwk(jwk) end

---@param jwks table | string
---@return tokenstore.jwt.KeySet?
---@return string? message
---@return tokenstore.jwt.Code? code
function jwt.KeySet.from_jwks(jwks) end

---@param url string | tokenstore.jwt.UrlArgs
---@return tokenstore.jwt.RemoteKeySet?
---@return string? message
---@return tokenstore.jwt.Code? code
function jwt.KeySet.from_url(url) end

---@param args tokenstore.jwt.EncodeArgs
---@return string? token
---@return string? message
---@return tokenstore.jwt.Code? code
function jwt.encode(args) end

---The claims and the header; or nil, message, code.
---@param args tokenstore.jwt.DecodeArgs
---@return table<string, any>? claims
---@return table<string, any> | string header
---@return tokenstore.jwt.Code? code
function jwt.decode(args) end

---The header of an unverified token: do not trust it.
---@param token string? | tokenstore.jwt.HeaderArgs
---@return table<string, any>? header
---@return string? message
---@return tokenstore.jwt.Code? code
function jwt.get_unverified_header(token) end

return jwt
