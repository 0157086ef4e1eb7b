---@meta tokenstore.guard

-- Types of tokenstore.guard for LuaLS (lua-language-server). Never loaded.

---@class tokenstore.guard
local guard = {}

---A field of the session ("owner_id"), of its data ("data.role"), or the result of the function; nil: no
---header.
---@alias tokenstore.guard.Value string | fun(session: tokenstore.Session|tokenstore.Token): any

---How guard.login, guard.rotate and guard.logout set the cookie. It is always HttpOnly.
---@class tokenstore.guard.CookieAttributes
---@field secure? boolean (default true) false: for development without TLS
---@field same_site? "Strict"|"Lax"|"None" (default "Lax")
---@field path? string (default "/")
---@field domain? string (default: this host alone)
---@field partitioned? boolean one cookie for each site that embeds this one (CHIPS)

---@class tokenstore.guard.Options
---@field app string
---@field cookie? string exact name of cookies that may hold the token; without it only `Authorization: Bearer` counts
---@field cookie_attributes? tokenstore.guard.CookieAttributes
---@field anonymous? boolean true: a session without an owner is valid, too (default false: 401)
---@field refresh? number|true seconds: after each request it lives at least this long; true: its own idle time
---@field headers? table<string, tokenstore.guard.Value> for the upstream (default X-Owner-Id: the owner)
---@field realm? string for WWW-Authenticate (default: app)
---@field fail_open? boolean true: while Redis cannot be reached, requests pass, without the headers (default false: 503)
---@field headers_only? boolean true: the result is true instead of the session, which a near cache then does not copy
---@field cache? number seconds for which a worker caches the result, 0 … 60 (default 0); not one that it ended itself

---@class tokenstore.guard.SessionOptions: tokenstore.guard.Options
---@field store tokenstore.Sessions

---@class tokenstore.guard.TokenOptions: tokenstore.guard.Options
---@field store tokenstore.RedisTokens
---@field type string

---Passes the request on, or ends it with 400, 401 or 503. The session, or true with headers_only; nil if Redis could
---not be reached and fail_open is set.
---@param options tokenstore.guard.SessionOptions
---@return tokenstore.Session|true?
function guard.session(options) end

---The same for tokens of RedisTokens.
---@param options tokenstore.guard.TokenOptions
---@return tokenstore.Token|true?
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

---Checks the options and returns them: for init_by_lua, where a mistake keeps nginx from starting.
---@generic T: tokenstore.guard.Options|tokenstore.guard.JwtOptions
---@param options T
---@return T
function guard.options(options) end

---@class tokenstore.guard.Login
---@field owner_id? tokenstore.Name the user; with RedisTokens: owner
---@field owner? tokenstore.Name with RedisTokens
---@field data? tokenstore.Data
---@field duration? number seconds; none: no expiry
---@field idle? number seconds: it ends if it is not used for so long, and after duration at the latest
---@field request? tokenstore.Request (default: address and user agent of this request)
---@field max_age? number|false seconds for which browsers keep the cookie (default: duration); false: until they close

---Creates a session and sets its cookie. The sessions of the request's cookie end; the data of an anonymous one
---moves to the new one. Ends the request with 503 if Redis cannot be reached. Nil if the session is refused: "data",
---"limit".
---@param options tokenstore.guard.SessionOptions|tokenstore.guard.TokenOptions
---@param args tokenstore.guard.Login
---@return tokenstore.Session|tokenstore.Token?
---@return string? message
---@return tokenstore.Code? code
function guard.login(options, args) end

---@class tokenstore.guard.Rotate
---@field grace? number seconds in which the old token is still valid (default 10); 0: it is invalid at once
---@field duration? number seconds; none: the remaining time is kept
---@field max_age? number|false seconds for which browsers keep the cookie (default: what is left of a session without idle); false: until they close

---As guard.session (or guard.token), and the session gets a new token, the cookie too. A token in the Authorization
---header stays.
---@param options tokenstore.guard.SessionOptions|tokenstore.guard.TokenOptions
---@param args? tokenstore.guard.Rotate
---@return tokenstore.Session|tokenstore.Token?
function guard.rotate(options, args) end

---Ends the sessions of all tokens of the request, and deletes the cookie. True if one was live. Ends the request with
---503 if Redis cannot be reached, and leaves the cookie.
---@param options tokenstore.guard.SessionOptions|tokenstore.guard.TokenOptions
---@return boolean
function guard.logout(options) end

return guard
