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
--   store      a Sessions (for `token` a RedisTokens, for `jwt` a RedisJWT), made once
--   app        and for `token` also type; for `jwt` neither
--   cookie     name of a cookie that may hold the token; without it only the header is used
--   refresh    seconds, or true for the session's own idle time: after each request it lives at least this
--              long; one that lives longer, or has no expiry, is unchanged, and so is any if Redis cannot
--              write
--   headers { name = value }: a field of the session ("owner_id"), of its data ("data.role"), or a function
--              of the session; by default X-Owner-Id is the owner
--   realm      for WWW-Authenticate (default: app)
--   fail_open  true: while Redis cannot be reached, requests pass, without the headers
--   cache      seconds for which a worker caches the result: a logout takes effect that much later. The
--              result is then shared by requests: it must not be changed. (default 0: each request asks)
--
-- The log says if Redis cannot be reached: one line in ten seconds for each worker, however many requests
-- there are.

local cache = require "tokenstore.guard_cache"
local cookie = require "tokenstore.cookie"
local core = require "tokenstore.core"
local guard_options = require "tokenstore.guard_options"
local log = require "tokenstore.nginx_log"

local byte, find, sub = string.byte, string.find, string.sub
local clear_header, set_header = ngx.req.clear_header, ngx.req.set_header
local kinds, prepare = guard_options.kinds, guard_options.prepare

local RETRY_AFTER = 1 -- seconds, in the 503 response

local failures = log.new(ngx.ERR, "tokenstore.guard: ")

local guard = {}

-- ---- asking the store ------------------------------------------------------------------------------

-- One table for all requests: it is read before any wait.
local function ask_one(options, token)
  local arguments = options.arguments
  arguments.token = token
  return options.store:get(arguments)
end

-- Is it the record of this token that cannot be read? Then the server is well, and other tokens may be good.
local function is_its_own(message, code)
  local is_of_another_type = code == "server" and find(message, "WRONGTYPE", 1, true) ~= nil
  return code == "data" or code == "limit" or is_of_another_type
end

-- The first valid one of several tokens, asked for one after the other by `ask_for`. One whose record cannot
-- be read hinders no other; if none is valid, it is the result.
local function find_valid(options, tokens, ask_for)
  local problem, problem_code
  for i = 1, #tokens do
    local session, message, code = ask_for(options, tokens[i])
    if session then
      return session
    elseif message and not is_its_own(message, code) then
      return nil, message, code
    elseif message and not problem then
      problem, problem_code = message, code
    end
  end
  return nil, problem, problem_code
end

-- The same for all at once. Only unreadable records, of which there should be none, take more.
local function ask_many(options, tokens)
  local arguments = options.arguments
  local found, message, code =
    options.store:get_many { app = arguments.app, type = arguments.type, tokens = tokens }
  if not found then
    if is_its_own(message, code) then
      return find_valid(options, tokens, ask_one)
    end
    return nil, message, code
  end
  for i = 1, #tokens do
    if found[i] then
      local whole = not (arguments.refresh or arguments.expiry)
      return whole and found[i] or ask_one(options, tokens[i])
    end
  end
  return nil
end

local function ask(options, token, tokens)
  if tokens then
    return ask_many(options, tokens)
  end
  return ask_one(options, token)
end

-- The same for RedisJWT. Only a token with a valid signature costs a round trip.
local function verify_one(options, token)
  local session, message, code = options.store:verify { token = token, value_session = true }
  if session then
    return session
  elseif code ~= "invalid_token" and code ~= "expired_token" then
    return nil, message, code
  end
  return nil
end

local function verify(options, token, tokens)
  if tokens then
    return find_valid(options, tokens, verify_one)
  end
  return verify_one(options, token)
end

-- From the cache or from Redis: the session; nil; or nil, message, code.
local function look_up(options, ask_store, token, tokens)
  if options.cache == 0 then
    return ask_store(options, token, tokens)
  end
  local key = options.cache_key .. (tokens and table.concat(tokens, "\0") or token)
  local session, message, code = cache.get(options.store, key), nil, nil
  if not session then
    session, message, code = ask_store(options, token, tokens)
    if session then
      cache.set(options.store, key, session, options.cache)
    end
  end
  return session, message, code
end

-- ---- the request -----------------------------------------------------------------------------------

local function is_blank(code)
  return code == 32 or code == 9
end

-- "Bearer " and one token: what clients send. Without patterns, which LuaJIT does not compile.
local function is_plain(header)
  return sub(header, 1, 7) == "Bearer " and #header > 7 and not is_blank(byte(header, 8))
    and not is_blank(byte(header, -1)) and not find(header, ",", 8, true)
end

-- The text after the scheme Bearer, "" if empty; nil for another scheme. A proxy may have joined several
-- headers.
local function read_bearer(header)
  local lower = header:lower()
  local from = lower:match "^[ \t]*bearer()" or lower:match ",[ \t]*bearer()[ \t]"
  if not from or header:find("^[^ \t]", from) then
    return nil
  end
  return header:match("^[ \t]*(.-)[ \t]*$", from)
end

-- The token of the request, a list if there are several, and whether they are from the Authorization header,
-- where one may be empty.
local function find_tokens(options)
  local header = ngx.var.http_authorization
  if header then
    if is_plain(header) then
      return sub(header, 8), nil, true
    end
    local token = read_bearer(header)
    if token then
      local first = token:match "^([^, \t]+)[ \t]*,"
      return token, first and { token, first }, true
    end
  end
  header = options.cookie and ngx.var.http_cookie
  if not header then
    return nil
  end
  local tokens = cookie.read(header, options.cookie, options.kind.token_max)
  return tokens[1], tokens[2] and tokens, false
end

-- RFC 6750, 2.1: the syntax of a token in the header.
local function is_well_formed(token)
  return token:find "^[%w%-._~+/]+=*$" ~= nil
end

-- Ends the request.
local function deny(status, options, problem, description)
  local challenge = 'Bearer realm="' .. options.realm .. '"'
  if problem then
    challenge = ('%s, error="%s", error_description="%s"'):format(challenge, problem, description)
  end
  ngx.header["WWW-Authenticate"] = challenge
  ngx.header["Cache-Control"] = "no-store"
  return ngx.exit(status)
end

-- Ends a request that could not be checked.
local function fail()
  ngx.header["Retry-After"] = RETRY_AFTER
  ngx.header["Cache-Control"] = "no-store"
  return ngx.exit(ngx.HTTP_SERVICE_UNAVAILABLE)
end

-- Text for a header; nil for none; false for a value that is not valid in a header.
local function header_value(entry, session)
  local value
  if entry.call then
    value = entry.call(session)
  else
    value = session[entry.field]
    for i = 1, #entry.inner do
      value = type(value) == "table" and value[entry.inner[i]]
    end
  end
  if value == nil or value == false or value == core.null then
    return nil
  elseif type(value) == "table" then
    value = core.encode(value) or "\n"
  end
  value = tostring(value)
  return not value:find "%c" and value
end

-- Sets this session's headers.
local function set_headers(options, session)
  local headers = options.headers
  for i = 1, #headers do
    local entry = headers[i]
    local value = header_value(entry, session)
    if value then
      set_header(entry.name, value)
    elseif value == false then
      ngx.log(ngx.ERR, "tokenstore.guard: the session has a value that is not valid in the header ",
        entry.name)
      return ngx.exit(ngx.HTTP_INTERNAL_SERVER_ERROR)
    end
  end
end

-- True if the client sent a header that only the guard may set. Checks nginx's variables, which are nearly
-- always unset.
local function has_forged(options)
  local variables = options.variables
  for i = 1, #variables do
    if ngx.var[variables[i]] ~= nil then
      return true
    end
  end
  return options.drops_always
end

local function drop_forged(names)
  for name in next, ngx.req.get_headers(0, true) do
    if names[guard_options.fold(name)] then
      clear_header(name)
    end
  end
end

local function check(options, ask_store)
  if has_forged(options) then
    drop_forged(options.names)
  end
  local token, tokens, from_header = find_tokens(options)
  local session, message, code
  if token and token ~= "" and #token <= options.kind.token_max then
    session, message, code = look_up(options, ask_store, token, tokens)
  end
  if session then
    set_headers(options, session)
    return session
  elseif message then
    failures:write(message)
    -- A record that cannot be read opens nothing: Redis is there.
    return (not options.fail_open or is_its_own(message, code)) and fail() or nil
  elseif from_header and not is_well_formed(token) then
    return deny(ngx.HTTP_BAD_REQUEST, options, "invalid_request", "The Authorization header is malformed")
  elseif token then
    return deny(ngx.HTTP_UNAUTHORIZED, options, "invalid_token", "The token is unknown or has expired")
  end
  return deny(ngx.HTTP_UNAUTHORIZED, options)
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

return guard
