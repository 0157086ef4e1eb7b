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
-- ends with 503, unless fail_open. What it gives is the session: `ngx.ctx.session = guard.session {…}` keeps
-- it for later phases.
--
-- A browser may send several cookies of one name. All are tried in one round trip; the first good one counts.
--
--   store      a Sessions (for `token` a RedisTokens, for `jwt` a RedisJWT), made once
--   app        and for `token` also type; for `jwt` neither
--   cookie     name of a cookie that may hold the token; without it only the header is looked at
--   refresh    seconds: after each request the session lives so long at least; one that lives longer, or for
--              good, stays as it is, and so does one whose end cannot be moved because Redis cannot write
--   headers    { name = what }, `what` being a field of the session ("owner_id"), of its data
--              ("data.role"), or a function of the session; by default X-Owner-Id is the owner
--   realm      for WWW-Authenticate (default: app)
--   fail_open  true: without Redis requests pass, without the headers
--   cache      seconds that a worker may go on without asking again: so much later it sees a logout. What
--              it gives then is shared by requests: it must not be changed. (default 0: each request asks)
--
-- A line in the log says when Redis cannot be asked: one in ten seconds for each worker, however many
-- requests there are.

local cookie = require "tokenstore.cookie"
local core = require "tokenstore.core"
local log = require "tokenstore.nginx_log"

local clear_header, set_header = ngx.req.clear_header, ngx.req.set_header

local CACHE_SIZE = 10000   -- entries in each worker
local CACHE_MAX = 60       -- seconds
local CACHE_KEY_MAX = 4096 -- bytes, so that nobody fills the memory with long cookies
local RETRY_AFTER = 1      -- seconds, said to whoever could not be checked

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

-- What differs between the stores: their class, the options without which they cannot be asked, those they
-- do not have, what the owner is called, how long a token is at most, and how they are asked.
local SESSION = {
  class = "tokenstore.Sessions",
  needs = { "app" },
  lacks = { type = true },
  owner = "owner_id",
  token_max = 1024,
}
local TOKEN = {
  class = "tokenstore.RedisTokens",
  needs = { "app", "type" },
  lacks = {},
  owner = "owner",
  token_max = 1024,
}
local JWT = {
  class = "tokenstore.RedisJWT",
  needs = {},
  lacks = { app = true, type = true, refresh = true, cache = true },
  owner = "id",
  token_max = 65536, -- more than nginx takes in a header; the store has its own max_size
}

-- The one table serves all requests: it is read before anything waits.
local function ask_one(options, token)
  local arguments = options.arguments
  arguments.token = token
  return options.store:get(arguments)
end

-- The first of several tokens that is good. All are looked up in one round trip.
local function ask(options, tokens)
  if #tokens == 1 then
    return ask_one(options, tokens[1])
  end
  local store, arguments = options.store, options.arguments
  local found, message = store._run(store._handle,
    core.get_many(store._store, { app = arguments.app, type = arguments.type, tokens = tokens }))
  if not found then
    return nil, message
  end
  for i = 1, #tokens do
    if found[i] then
      local whole = not (arguments.refresh or arguments.expiry)
      return whole and found[i] or ask_one(options, tokens[i])
    end
  end
  return nil
end

SESSION.ask, TOKEN.ask = ask, ask

-- Only a token whose signature is good costs a round trip.
function JWT.ask(options, tokens)
  for i = 1, #tokens do
    local session, message, code = options.store:verify { token = tokens[i], value_session = true }
    if session then
      return session
    elseif code ~= "invalid_token" and code ~= "expired_token" then
      return nil, message
    end
  end
  return nil
end

-- Headers that nginx has variables of its own for. These see the proper spelling only, and what is read once
-- they keep: a log or a proxy_set_header would go on with what the client sent.
local OWN_VARIABLES = {
  cookie = true,
  host = true,
  referer = true,
  user_agent = true,
  via = true,
  x_forwarded_for = true,
}

local failures = log.new(ngx.ERR, "tokenstore.guard: ")

local guard = {}

-- ---- options ---------------------------------------------------------------------------------------

local function check_options(given, kind, level)
  if type(given) ~= "table" then
    error("bad argument #1 (table of options expected, got " .. type(given) .. ")", level + 1)
  end
  for name, value in next, given do
    local wanted = KINDS[name]
    if not wanted or kind.lacks[name] then
      error(("unknown option '%s' of the guard"):format(tostring(name)), level + 1)
    elseif type(value) ~= wanted then
      error(("bad option '%s' (%s expected, got %s)"):format(name, wanted, type(value)), level + 1)
    end
  end
  local metatable = given.store and getmetatable(given.store)
  if type(metatable) ~= "table" or metatable.__name ~= kind.class then
    error(("bad option 'store' (a %s expected)"):format(kind.class), level + 1)
  end
  for _, name in ipairs(kind.needs) do
    if not given[name] then
      error(("bad option '%s' (string expected, got nil)"):format(name), level + 1)
    end
  end
  if given.cookie and not cookie.is_name(given.cookie) then
    error("bad option 'cookie' (the name of a cookie expected)", level + 1)
  end
  if given.cache and not (given.cache >= 0 and given.cache <= CACHE_MAX) then
    error(("bad option 'cache' (0 to %d seconds)"):format(CACHE_MAX), level + 1)
  end
end

-- Tables that were checked, and with what: most are the same ones for each request.
local checked = setmetatable({}, { __mode = "k" })

-- What stands in the headers, so that a request need not take it apart: names and how to get at values.
local function read_headers(headers)
  local list = {}
  for name, what in next, headers do
    local entry = { name = name, inner = {} }
    if type(what) == "function" then
      entry.call = what
    else
      for field in what:gmatch "[^.]+" do
        entry.inner[#entry.inner + 1] = field
      end
      entry.field = table.remove(entry.inner, 1)
    end
    list[#list + 1] = entry
  end
  return list
end

-- As many upstreams read the name of a header (CGI and what came after it: HTTP_X_OWNER_ID), and as nginx
-- names its variables.
local function fold(name)
  return (name:lower():gsub("-", "_"))
end

-- Names under which a client could pretend, and what tells whether it did: $http_x_owner_id is there for
-- X-Owner-Id, X_Owner-Id and the like.
local function names_to_drop(headers)
  local names, variables, always = {}, {}, false
  for name in next, headers do
    local folded = fold(name)
    names[folded] = true
    if OWN_VARIABLES[folded] then
      always = true
    else
      variables[#variables + 1] = "http_" .. folded
    end
  end
  return names, variables, always
end

local function prepare(given, kind, level)
  local options = checked[given]
  if options and options.kind == kind then
    return options
  end
  check_options(given, kind, level + 1)
  local headers = given.headers or { ["X-Owner-Id"] = kind.owner }
  local names, variables, always = names_to_drop(headers)
  options = {
    kind = kind,
    store = given.store,
    arguments = {
      app = given.app,
      type = given.type,
      refresh = given.refresh,
      expiry = (given.cache or 0) > 0 or nil,
    },
    cookie = given.cookie,
    headers = read_headers(headers),
    names = names,
    variables = variables,
    drops_always = always,
    realm = (given.realm or given.app or "jwt"):gsub('[%c"\\]', " "),
    fail_open = given.fail_open,
    cache = given.cache or 0,
    cache_key = (given.app or "") .. "\0" .. (given.type or "") .. "\0",
  }
  checked[given] = options
  return options
end

-- ---- the request -----------------------------------------------------------------------------------

-- What stands behind the scheme Bearer, "" where nothing does; nil where the header is of another scheme. A
-- proxy may have made one header of several.
local function read_bearer(header)
  local prefix = header:sub(1, 7)
  local from = (prefix == "Bearer " or prefix == "bearer ") and 7
  if not from then
    local lower = header:lower()
    from = lower:match "^[ \t]*bearer()" or lower:match ",[ \t]*bearer()[ \t]"
  end
  if not from or header:find("^[^ \t]", from) then
    return nil
  end
  return header:match("^[ \t]*(.-)[ \t]*$", from)
end

-- The tokens that the request brings, in a list; and whether they are from the Authorization header, where an
-- empty one may be among them.
local function find_tokens(options)
  local header = ngx.var.http_authorization
  local token = header and read_bearer(header)
  if token then
    local first = token:match "^([^, \t]+)[ \t]*,"
    return { token, first }, true
  end
  header = options.cookie and ngx.var.http_cookie
  return header and cookie.read(header, options.cookie, options.kind.token_max) or {}, false
end

-- RFC 6750, 2.1: what a token in the header may be made of.
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

-- Text for a header; nil for none; false for what no header can hold.
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

-- ---- looking it up ---------------------------------------------------------------------------------

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

-- From the cache or from Redis: the session; nil; or nil, message.
local function look_up(options, tokens)
  local key = options.cache > 0 and options.cache_key .. table.concat(tokens, "\0")
  if not key or #key > CACHE_KEY_MAX then
    return options.kind.ask(options, tokens)
  end
  local cache = get_cache(options.store)
  local session, message = cache:get(key), nil
  if not session then
    session, message = options.kind.ask(options, tokens)
    local left = session and (session.expires_at and session.expires_at - ngx.now() or options.cache)
    if session and left > 0 then
      cache:set(key, session, math.min(left, options.cache))
    end
  end
  return session, message
end

-- Sets the headers that this session means.
local function set_headers(options, session)
  local headers = options.headers
  for i = 1, #headers do
    local entry = headers[i]
    local value = header_value(entry, session)
    if value then
      set_header(entry.name, value)
    elseif value == false then
      ngx.log(ngx.ERR, "tokenstore.guard: the session holds what cannot stand in the header ", entry.name)
      return ngx.exit(ngx.HTTP_INTERNAL_SERVER_ERROR)
    end
  end
end

-- Is there a header that only we may send? Nearly always there is none, and to ask nginx is all it takes.
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
    if names[fold(name)] then
      clear_header(name)
    end
  end
end

local function check(options)
  if has_forged(options) then
    drop_forged(options.names)
  end
  local tokens, from_header = find_tokens(options)
  local token = tokens[1]
  local session, message
  if token and token ~= "" and #token <= options.kind.token_max then
    session, message = look_up(options, tokens)
  end
  if session then
    set_headers(options, session)
    return session
  elseif message then
    failures:write(message)
    return not options.fail_open and fail() or nil
  elseif from_header and not is_well_formed(token) then
    return deny(ngx.HTTP_BAD_REQUEST, options, "invalid_request", "The Authorization header is malformed")
  elseif token then
    return deny(ngx.HTTP_UNAUTHORIZED, options, "invalid_token", "The token is unknown or has expired")
  end
  return deny(ngx.HTTP_UNAUTHORIZED, options)
end

-- session{ store, app, … }: checks a session of Sessions.
function guard.session(given)
  return check(prepare(given, SESSION, 2))
end

-- token{ store, app, type, … }: checks a token of RedisTokens.
function guard.token(given)
  return check(prepare(given, TOKEN, 2))
end

-- jwt{ store, … }: checks a token of RedisJWT, its signature and its session.
function guard.jwt(given)
  return check(prepare(given, JWT, 2))
end

return guard
