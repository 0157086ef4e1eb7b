-- RedisJWT: signed tokens with sessions in Redis, in the format of the Node package redis-jwt.
--
--     local sessions = tokenstore.RedisJWT{ redis = "redis://localhost:6379", secret = secret }
--     local token = assert(sessions:sign{ id = "507f191e", ttl = "15 minutes" })
--     local session = sessions:verify{ token = token, value_session = true }
--
-- Options: redis, secret, algorithm, multiple, max_sessions, node_writers, kea, max_data_size, max_size, and
-- those of Client. Instead of `redis`, the Node package's host (a path is a unix socket), port and auth may
-- be given. A token is valid if its signature is and its session is live; otherwise nil, message,
-- "invalid_token". See redis_jwt.d.lua.

local core = require "tokenstore.core"
local jwt = require "tokenstore.jwt"
local options_of = require "tokenstore.options"
local session_events = require "tokenstore.session_events"
local request = require "tokenstore.request"
local store = require "tokenstore.store"

local OPTIONS = options_of.kinds("RedisJWT", {
  multiple = "boolean",
  kea = "boolean",
  maxretries = "number", -- accepted and ignored: `timeout` limits retries
  host = "string",
  port = "number",
  auth = "string",
})
local EVENTS = { keepalive = "number" }
local CREATE = { id = "any", data = "any", ttl = "any", request = "any" }

local ops = core.operations.RedisJWT

-- ---- making ----------------------------------------------------------------------------------------

-- The keys of the option `secret`: a string, a Key or a list of Keys.
local function read_keys(secret)
  if secret == nil then
    return {}
  elseif type(secret) == "string" then
    local key, message, code = jwt.Key.from_secret(secret)
    return key and { key }, message, code
  elseif type(secret) == "table" then
    return secret
  end
  return { secret }
end

-- Percent-encodes everything but unreserved characters and those in `safe`.
local function escape(text, safe)
  return (text:gsub("[^%w%-._~" .. (safe or "") .. "]", function(c)
    return ("%%%02X"):format(c:byte())
  end))
end

-- The URL of host, port and auth; nil if none is given; nil, message if invalid.
local function read_url(options, target)
  local host, port, auth = options.host, options.port or 6379, options.auth
  if not (host or options.port or auth) then
    return nil
  elseif target ~= nil then
    return nil, "the server is given twice: as redis, and as host, port or auth"
  elseif not (port >= 1 and port <= 65535 and port % 1 == 0) then
    return nil, "port must be a whole number from 1 to 65535"
  end
  local user = auth and auth ~= "" and ":" .. escape(auth) .. "@" or ""
  host = host or "127.0.0.1"
  if host:sub(1, 1) == "/" then
    return "redis+unix://" .. user .. escape(host, "/")
  end
  -- With a colon it is an IPv6 address. Characters that are invalid in a host must not end it in the URL.
  host = host:find(":", 1, true) and "[" .. escape(host, ":") .. "]" or escape(host)
  return ("redis://%s%s:%d"):format(user, host, port)
end

local function open(options, target)
  local url, problem = read_url(options, target)
  if not problem and options.multiple and options.max_sessions then
    problem = "give either multiple or max_sessions, not both"
  end
  if problem then
    return nil, problem, "configuration"
  end
  local keys, message, code = read_keys(options.secret)
  if not keys then
    return nil, message, code
  end
  local given = {}
  for name in pairs(core.options.RedisJWT) do
    given[name] = options[name]
  end
  given.secret = keys
  if not options.multiple then
    given.max_sessions = options.max_sessions or 1
  end
  local handle
  handle, message, code = core.redis_jwt(given)
  return handle, message, code, { target = url, kea = options.kea }
end

local RedisJWT = store.class("tokenstore.RedisJWT", { redis = true }, OPTIONS, open)

-- ---- sessions --------------------------------------------------------------------------------------

-- sign{ id, ttl, data_token, data_session }: starts a session of a user; returns its token. ttl: seconds,
-- or a string such as "15 minutes". On a server that evicts keys, ending the user's others may take a SCAN,
-- or may miss some; a warning says which.
function RedisJWT:sign(args)
  return self._run(self._handle, ops.sign(self._store, args))
end

-- create{ id, data, ttl, request }: sign with `data` as the session's data, plus the client: `request` is
-- { address, user_agent }, kept in the session's data under that name; bytes that are not UTF-8 are read as
-- Latin-1.
function RedisJWT:create(args)
  if type(args) ~= "table" then
    error("bad argument: a table such as { id = \"…\" } expected, got " .. type(args), 2)
  end
  args = options_of.check(args, CREATE, "argument", 2)
  local session = args.data
  if session ~= nil and type(session) ~= "table" then
    error("bad argument 'data' (table expected, got " .. type(session) .. ")", 2)
  end
  if args.request ~= nil then
    if type(args.request) ~= "table" then
      error("bad argument 'request' (table expected, got " .. type(args.request) .. ")", 2)
    end
    if session and rawget(session, "request") ~= nil then
      return nil, "data has a member named request, which is reserved for "
        .. "the client's address and user agent", "data"
    end
    local both = {
      request = request.read(args.request),
    }
    for name, value in next, session or {} do
      both[name] = value
    end
    session = both
  end
  return self._run(self._handle,
    ops.sign(self._store, { id = args.id, ttl = args.ttl, data_session = session }))
end

-- verify{ token, value_session }: { id, rjwt, ttl, iat, dataToken, dataSession } of a valid token.
-- rjwt is the session's key, ttl its seconds (-1: no expiry); dataSession comes with value_session = true.
function RedisJWT:verify(args)
  return self._run(self._handle, ops.verify(self._store, args))
end

-- list{ id }: the user's live sessions, newest first: { id, rjwt, ttl, dataSession } each.
function RedisJWT:list(args)
  return self._run(self._handle, ops.list(self._store, args))
end

-- destroy{ rjwt }: ends the session with this key; true if it was live.
function RedisJWT:destroy(args)
  return self._run(self._handle, ops.destroy(self._store, args))
end

-- destroy_multiple{ id }: ends all sessions of the user; how many were live. On a server that evicts keys
-- it finds them by SCAN over all keys, and logs a warning.
function RedisJWT:destroy_multiple(args)
  return self._run(self._handle, ops.destroy_multiple(self._store, args))
end

-- reindex(), reindex{ timeout }: adds sessions that the Node package wrote to their user's index; how many.
-- By SCAN over all keys.
function RedisJWT:reindex(args)
  return self._run(self._handle, ops.reindex(self._store, args or {}))
end

-- events{ keepalive }: listens to session events from now on, on a separate connection. The option `kea`
-- enables them on the server. See session_events.lua.
function RedisJWT:events(args)
  args = options_of.check(args or {}, EVENTS, "argument", 2)
  return session_events.open(self.client, { kea = self._kea, keepalive = args.keepalive })
end

-- The events that on and poll share; nil, message, code.
local function shared_events(self)
  local message, code
  if not self._events or self._events.closed then
    self._events, message, code = self:events()
  end
  return self._events, message, code
end

-- on(kind, callback): poll calls callback(event) when a session ends: "expired" or "del", or "gap" after a
-- lost connection. True; nil, message, code if it cannot listen.
function RedisJWT:on(kind, callback)
  local events, message, code = shared_events(self)
  if not events then
    return nil, message, code
  end
  session_events.add(events, kind, callback, 2)
  return true
end

-- poll(timeout): waits for an event and calls the callbacks for all that have arrived; how many there were.
function RedisJWT:poll(timeout)
  local events, message, code = shared_events(self)
  if not events then
    return nil, message, code
  end
  return events:poll(timeout)
end

local close = RedisJWT.close

-- Ends the events of on and poll, and closes the client, unless it was passed in. May be called twice.
function RedisJWT:close()
  if self._events then
    self._events:close()
  end
  close(self)
end

RedisJWT.__close = RedisJWT.close

-- The raw client.
function RedisJWT:exec()
  return self.client
end

RedisJWT.destroyMultiple = RedisJWT.destroy_multiple

-- ---- the Node package's helpers ----------------------------------------------------------------------

local Calls = { __name = "tokenstore.RedisJWT.Calls" }
Calls.__index = Calls

-- The Node package's helpers of call(), with positional arguments. Their pattern is the user's id,
-- literally; a key is "<id>:<11 letters or digits>", any other is not found.
function RedisJWT:call()
  return setmetatable({ _run = self._run, _handle = self._handle, _store = self._store }, Calls)
end

function Calls:ping()
  return self._run(self._handle, ops.ping(self._store, {}))
end

-- create(key, value, ttl): stores a session's text; the user's others end as with sign.
function Calls:create(key, value, ttl)
  return self._run(self._handle, ops.put(self._store, { key = key, value = value, ttl = ttl }))
end

function Calls:exists(key)
  return self._run(self._handle, ops.exists(self._store, { key = key }))
end

-- ttl(key): seconds; -1: no expiry, -2: no such session.
function Calls:ttl(key)
  return self._run(self._handle, ops.ttl(self._store, { key = key }))
end

function Calls:get_value_by_key(key)
  return self._run(self._handle, ops.get_value(self._store, { key = key }))
end

function Calls:get_values_by_pattern(pattern)
  return self._run(self._handle, ops.get_values(self._store, { id = pattern }))
end

function Calls:get_count_by_pattern(pattern)
  return self._run(self._handle, ops.count(self._store, { id = pattern }))
end

-- get_info(section): Redis' INFO as text; for "DBSIZE" a number.
function Calls:get_info(section)
  return self._run(self._handle, ops.get_info(self._store, { section = section }))
end

function Calls:destroy(key)
  return self._run(self._handle, ops.destroy(self._store, { rjwt = key }))
end

function Calls:destroy_multiple(id)
  return self._run(self._handle, ops.destroy_multiple(self._store, { id = id }))
end

Calls.getValueByKey = Calls.get_value_by_key
Calls.getValuesByPattern = Calls.get_values_by_pattern
Calls.getCountByPattern = Calls.get_count_by_pattern
Calls.getInfo = Calls.get_info
Calls.destroyMultiple = Calls.destroy_multiple

return RedisJWT
