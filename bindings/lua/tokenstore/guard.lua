-- tokenstore.guard: lets a request through in nginx, or not. For access_by_lua:
--
--     init_by_lua_block { sessions = assert(require("tokenstore").Sessions("redis://127.0.0.1")) }
--     access_by_lua_block {
--       require("tokenstore.guard").session { store = sessions, app = "web", cookie = "sid" }
--     }
--
-- It checks when it is called: takes the token from `Authorization: Bearer …` or from a cookie, looks it
-- up, and sets headers for the upstream - whatever the client sent under their names is gone, in any case.
-- Without a good token the request ends here with 401, as RFC 6750 wants it. When Redis cannot be asked it
-- ends with 503, unless fail_open. What it gives, and puts into ngx.ctx.session, is the session.
--
--   store      a Sessions (for `token`: a RedisTokens), made once
--   app        and for `token` also type
--   cookie     name of a cookie that may hold the token; without it only the header is looked at
--   refresh    seconds: each request moves the session's end to this long from now
--   headers    { name = what }, `what` being a field of the session ("owner_id"), of its data
--              ("data.role"), or a function of the session; by default { ["X-Owner-Id"] = "owner_id" }
--   realm      for WWW-Authenticate (default: app)
--   fail_open  true: without Redis requests pass, without the headers
--   cache      seconds that a worker may go on without asking again: so much later it sees a logout. What
--              it gives then is shared by requests: it must not be changed. (default 0: each request asks)
--
-- A line in the log says when Redis cannot be asked: one in ten seconds for each worker, however many
-- requests there are.

local core = require "tokenstore.core"

local LOG_EVERY = 10      -- seconds
local TOKEN_MAX = 1024    -- bytes; longer ones are none of ours
local CACHE_SIZE = 10000  -- entries in each worker
local CACHE_MAX = 60      -- seconds

local KINDS = {
  store = "table",
  app = "string",
  type = "string",
  cookie = "string",
  refresh = "number",
  headers = "table",
  realm = "string",
  fail_open = "boolean",
  cache = "number",
}

local guard = {}

-- ---- options ---------------------------------------------------------------------------------------

local function check_options(given, class, level)
  if type(given) ~= "table" then
    error("bad argument #1 (table of options expected, got " .. type(given) .. ")", level + 1)
  end
  for name, value in next, given do
    local kind = KINDS[name]
    if not kind or (name == "type" and class ~= "tokenstore.RedisTokens") then
      error(("unknown option '%s' of the guard"):format(tostring(name)), level + 1)
    elseif type(value) ~= kind then
      error(("bad option '%s' (%s expected, got %s)"):format(name, kind, type(value)), level + 1)
    end
  end
  local metatable = given.store and getmetatable(given.store)
  if type(metatable) ~= "table" or metatable.__name ~= class then
    error(("bad option 'store' (a %s expected)"):format(class), level + 1)
  elseif not given.app or (class == "tokenstore.RedisTokens" and not given.type) then
    error(("bad option '%s' (string expected, got nil)"):format(given.app and "type" or "app"), level + 1)
  elseif given.cache and not (given.cache >= 0 and given.cache <= CACHE_MAX) then
    error(("bad option 'cache' (0 to %d seconds)"):format(CACHE_MAX), level + 1)
  end
end

-- Tables that were checked, and with what: most are the same ones for each request.
local checked = setmetatable({}, { __mode = "k" })

local function prepare(given, class, owner_field, level)
  local options = checked[given]
  if options then
    return options
  end
  check_options(given, class, level + 1)
  options = {
    store = given.store,
    cookie = given.cookie and "cookie_" .. given.cookie,
    headers = given.headers or { ["X-Owner-Id"] = owner_field },
    realm = (given.realm or given.app):gsub('[%c"\\]', " "),
    fail_open = given.fail_open,
    cache = given.cache or 0,
    ask = {
      app = given.app,
      type = given.type,
      refresh = given.refresh,
      expiry = (given.cache or 0) > 0 or nil,
    },
  }
  checked[given] = options
  return options
end

-- ---- the request -----------------------------------------------------------------------------------

-- The client's headers under our names, and under those that some upstreams take for the same.
local function clear_headers(headers)
  for name in next, headers do
    ngx.req.clear_header(name)
    if name:find("-", 1, true) then
      ngx.req.clear_header((name:gsub("-", "_")))
    end
  end
end

-- The token that the request brings; nil, and whether what it brings is malformed.
local function find_token(options)
  local header = ngx.var.http_authorization
  if header then
    local scheme, token = header:match "^(%S+) +(%S.-) *$"
    if (scheme or header):lower() == "bearer" then
      if token and token:find "^[%w%-._~+/]+=*$" then
        return token
      end
      return nil, true
    end
  end
  local token = options.cookie and ngx.var[options.cookie]
  if token and token ~= "" then
    return token
  end
  return nil
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

-- What `what` of the headers means for this session: text, or nil for nothing; false for what no header can
-- hold.
local function header_value(what, session)
  local value
  if type(what) == "function" then
    value = what(session)
  else
    value = session
    for name in what:gmatch "[^.]+" do
      value = type(value) == "table" and value[name]
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

local function set_headers(options, session)
  for name, what in next, options.headers do
    local value = header_value(what, session)
    if value == false then
      ngx.log(ngx.ERR, "tokenstore.guard: the session holds what cannot stand in the header ", name)
      return ngx.exit(ngx.HTTP_INTERNAL_SERVER_ERROR)
    elseif value then
      ngx.req.set_header(name, value)
    end
  end
end

-- ---- looking it up ---------------------------------------------------------------------------------

local log_after, unlogged = 0, 0

-- Redis cannot be asked. Nothing of the message is secret.
local function log_failure(message)
  local now = core.clock()
  if now < log_after then
    unlogged = unlogged + 1
    return
  end
  local more = unlogged > 0 and (" (and %d more times since the last line)"):format(unlogged) or ""
  log_after, unlogged = now + LOG_EVERY, 0
  ngx.log(ngx.ERR, "tokenstore.guard: ", message, more)
end

-- For each store what it found lately: a cache of this worker's.
local caches = setmetatable({}, { __mode = "k" })

local function get_cache(store)
  local cache = caches[store]
  if not cache then
    cache = assert(require("resty.lrucache").new(CACHE_SIZE))
    caches[store] = cache
  end
  return cache
end

local function look_up(options, token)
  local ask = options.ask
  if #token > TOKEN_MAX then
    return nil
  end
  if options.cache == 0 then
    return options.store:get {
      app = ask.app, type = ask.type, token = token, refresh = ask.refresh,
    }
  end
  local cache = get_cache(options.store)
  local key = ask.app .. "\0" .. (ask.type or "") .. "\0" .. token
  local found, message, code = cache:get(key), nil, nil
  if not found then
    found, message, code = options.store:get {
      app = ask.app, type = ask.type, token = token, refresh = ask.refresh, expiry = true,
    }
    if found then
      local left = found.expires_at and found.expires_at - ngx.now() or options.cache
      if left > 0 then
        cache:set(key, found, math.min(left, options.cache))
      end
    end
  end
  return found, message, code
end

local function check(options)
  clear_headers(options.headers)
  local token, malformed = find_token(options)
  if malformed then
    return deny(ngx.HTTP_BAD_REQUEST, options, "invalid_request", "The Authorization header is malformed")
  elseif not token then
    return deny(ngx.HTTP_UNAUTHORIZED, options)
  end
  local session, message = look_up(options, token)
  if session then
    ngx.ctx.session = session
    set_headers(options, session)
    return session
  elseif not message then
    return deny(ngx.HTTP_UNAUTHORIZED, options, "invalid_token", "The token is unknown or has expired")
  end
  log_failure(message)
  if not options.fail_open then
    return ngx.exit(ngx.HTTP_SERVICE_UNAVAILABLE)
  end
  return nil
end

-- session{ store, app, … }: checks a session of Sessions.
function guard.session(given)
  return check(prepare(given, "tokenstore.Sessions", "owner_id", 2))
end

-- token{ store, app, type, … }: checks a token of RedisTokens.
function guard.token(given)
  return check(prepare(given, "tokenstore.RedisTokens", "owner", 2))
end

return guard
