-- tokenstore.guard: authenticates requests in nginx. For access_by_lua:
--
--     init_by_lua_block { sessions = assert(require("tokenstore").Sessions("redis://127.0.0.1")) }
--     access_by_lua_block {
--       require("tokenstore.guard").session { store = sessions, app = "web", cookie = "sid" }
--     }
--
-- It reads the token from `Authorization: Bearer …` or from a cookie, looks it up, and sets headers for the
-- upstream; headers that the client sent under their names are always removed. Without a valid token the
-- request ends with 401, as in RFC 6750. If Redis cannot be reached it ends with 503, unless fail_open. It
-- returns the session: `ngx.ctx.session = guard.session {…}` keeps it for later phases.
--
-- A browser may send several cookies of one name. All are tried in one round trip (two, if one of them is a
-- custom token, or is none of ours); the first valid one counts.
--
-- guard.login, guard.rotate and guard.logout, with the same options, change the session and set the cookie:
-- guard_login.lua.
--
--   store      a Sessions (for `token` a RedisTokens, for `jwt` a RedisJWT), made once
--   app        and for `token` also type; for `jwt` neither
--   cookie     name of a cookie that may hold the token; without it only the header is used
--   cookie_attributes { secure, same_site, path, domain, partitioned }, when it is set: by default Secure,
--              SameSite=Lax, Path=/; always HttpOnly. What browsers would drop is an error
--   refresh    seconds, or true for the session's own idle time: after each request it lives at least this
--              long; one that lives longer, or has no expiry, is unchanged, and so is any if Redis cannot
--              write
--   anonymous  true: a session without an owner is valid, too
--   headers_only true: returns true instead of the session. With near_cache nothing is copied then, and
--              what is in the headers is prepared once for each session
--   headers { name = value }: a field of the session ("owner_id"), of its data ("data.role"), or a function
--              of the session; by default X-Owner-Id is the owner
--   realm      for WWW-Authenticate (default: app)
--   fail_open  true: while Redis cannot be reached, requests pass, without the headers
--   cache      seconds for which a worker caches the result: a logout takes effect that much later, but at
--              once in the worker of guard.logout. The result is then shared by requests: it must not be
--              changed. (default 0: each request asks)
--
-- The log says if Redis cannot be reached: one line in ten seconds for each worker, however many requests
-- there are.

local guard_options = require "tokenstore.guard_options"
local login = require "tokenstore.guard_login"
local lookup = require "tokenstore.guard_lookup"
local web = require "tokenstore.web"

local ask, verify = lookup.ask, lookup.verify
local kinds, prepare = guard_options.kinds, guard_options.prepare

local guard = {}

local function check(options, ask_store)
  local session, refusal = web.check(options, ask_store)
  return session or web.exit(refusal)
end

-- session{ store, app, … }: checks a session of Sessions.
function guard.session(given)
  return check(prepare(given, kinds.session, 2), ask)
end

-- token{ store, app, type, … }: checks a token of RedisTokens.
function guard.token(given)
  return check(prepare(given, kinds.token, 2), ask)
end

-- jwt{ store, … }: checks a token of RedisJWT, its signature and its session.
function guard.jwt(given)
  return check(prepare(given, kinds.jwt, 2), verify)
end

-- options(given): checks the options, and returns them: in init_by_lua, a mistake is found before the first
-- request.
function guard.options(given)
  prepare(given, guard_options.kind_of(given) or kinds.session, 2)
  return given
end

guard.login, guard.rotate, guard.logout = login.login, login.rotate, login.logout

return guard
