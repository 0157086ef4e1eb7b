---@meta tokenstore.guard

-- Types of tokenstore.guard for LuaLS (lua-language-server). Never loaded.

---@class tokenstore.guard
local guard = {}

---A field of the session ("owner_id"), of its data ("data.role"), or the result of the function; nil: no
---header.
---@alias tokenstore.guard.Value string | fun(session: tokenstore.Session|tokenstore.Token): any

---@class tokenstore.guard.Options
---@field app string
---@field cookie? string exact name of cookies that may hold the token; without it only `Authorization: Bearer` counts
---@field refresh? number|true seconds: after each request it lives at least this long; true: its own idle time
---@field headers? table<string, tokenstore.guard.Value> for the upstream (default X-Owner-Id: the owner)
---@field realm? string for WWW-Authenticate (default: app)
---@field fail_open? boolean true: while Redis cannot be reached, requests pass, without the headers (default false: 503)
---@field cache? number seconds for which a worker caches the result, 0 … 60 (default 0)

---@class tokenstore.guard.SessionOptions: tokenstore.guard.Options
---@field store tokenstore.Sessions

---@class tokenstore.guard.TokenOptions: tokenstore.guard.Options
---@field store tokenstore.RedisTokens
---@field type string

---Passes the request on, or ends it with 400, 401 or 503. The session; nil if Redis could not be reached
---and fail_open is set.
---@param options tokenstore.guard.SessionOptions
---@return tokenstore.Session?
function guard.session(options) end

---The same for tokens of RedisTokens.
---@param options tokenstore.guard.TokenOptions
---@return tokenstore.Token?
function guard.token(options) end

---@class tokenstore.guard.JwtOptions
---@field store tokenstore.RedisJWT
---@field cookie? string
---@field headers? table<string, string | fun(session: tokenstore.RedisJWTSession): any>
---@field realm? string (default "jwt")
---@field fail_open? boolean

---The same for tokens of RedisJWT: checks the signature, and that the session is live.
---@param options tokenstore.guard.JwtOptions
---@return tokenstore.RedisJWTSession?
function guard.jwt(options) end

return guard
