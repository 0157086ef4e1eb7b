-- Connections of tokenstore.nginx: cosockets, TLS, the greeting, and one exchange at a time.
--
-- A failure is a table: message, code, timeout (the time that was given is over), final (trying again
-- cannot help), sent (a byte of the batch may have reached the server).

local core = require "tokenstore.core"

local clock, run_feed = core.clock, core.run_feed
local tcp = ngx.socket.tcp
local ceil, max, min = math.ceil, math.max, math.min

local READ_SIZE = 65536   -- bytes taken at once
local WRITE_ALONE = 65536 -- a larger batch is written while replies are read: a server may not take the
                          -- end of it before its first replies are fetched
local QUEUE = 65536       -- who waits for a connection of a pool, at most

local connection = {}

-- How often the server behind a pool could not serve and all of its connections were given up.
local renewed = {}

-- ---- settings --------------------------------------------------------------------------------------

local function refuse(message)
  return nil, message, "configuration"
end

local function read_file(option, path)
  local file, problem = io.open(path, "rb")
  local text
  if file then
    text, problem = file:read "*a"
    file:close()
  end
  if text then
    return text
  end
  return refuse(("%s= cannot be read: %s"):format(option, (tostring(problem):gsub("^.*: ", ""))))
end

-- Our certificate and its key, as setclientcert wants them.
local function read_pair(info)
  if not info.cert then
    return nil
  end
  local ssl = require "ngx.ssl"
  local cert, message, code = read_file("cert", info.cert)
  local key
  if cert then
    key, message, code = read_file("key", info.key or info.cert)
  end
  if not key then
    return nil, message, code
  end
  local parsed_cert = ssl.parse_pem_cert(cert)
  local parsed_key = ssl.parse_pem_priv_key(key)
  if not parsed_cert or not parsed_key then
    return refuse((parsed_cert and "key" or "cert") .. "= is not PEM")
  end
  return { cert = parsed_cert, key = parsed_key }
end

-- Is it an address, and not a name?
local function is_address(host)
  return host:find(":", 1, true) ~= nil or host:find "^%d+%.%d+%.%d+%.%d+$" ~= nil
end

-- What a client is here: the target, and what it takes to connect to it.
function connection.settings(target, info)
  if info.transport == "embedded" then
    return refuse("embedded: is not for nginx, whose workers come and go: start a redis-server and give "
      .. "its URL")
  elseif info.ca then
    return refuse("ca= cannot be given in nginx, which has one set of CAs for all: name the file in the "
      .. "directive lua_ssl_trusted_certificate")
  end
  local server_name = info.server_name or info.host
  if info.tls and is_address(server_name) then
    return refuse("nginx can compare names with certificates, but not addresses: give server_name=")
  end
  local pair, message, code = read_pair(info)
  if message then
    return nil, message, code
  end
  local host = info.host
  if info.transport == "unix" then
    host = "unix:" .. info.path
  elseif host == "localhost" then
    host = "127.0.0.1" -- nginx asks no hosts file
  elseif host:find(":", 1, true) then
    host = "[" .. host .. "]"
  end
  return {
    target = target,
    url = info.url,
    name = info.url:sub(1, 120),
    timeout = info.timeout,
    connect_timeout = info.connect_timeout,
    closed = false,
    spare = {},
    host = host,
    port = info.transport == "tcp" and info.port or nil,
    tls = info.tls,
    plain = not info.tls and not info.greets, -- a connection is ready as soon as it is there
    server_name = server_name,
    pair = pair,
    identity = info.identity,
    generation = 0,
    options = { pool = "tokenstore:" .. info.identity, pool_size = info.pool_size, backlog = QUEUE },
  }
end

-- No connection that is there now is used again: the next ones come from a pool with another name.
function connection.renew(handle)
  local identity = handle.identity
  renewed[identity] = math.max(renewed[identity] or 0, handle.generation) + 1
end

local function pool_options(handle)
  local generation = renewed[handle.identity]
  if generation and generation ~= handle.generation then
    local old = handle.options
    handle.generation = generation
    handle.options = {
      pool = ("tokenstore:%s:%d"):format(handle.identity, generation),
      pool_size = old.pool_size,
      backlog = old.backlog,
    }
  end
  return handle.options
end

-- ---- an exchange -----------------------------------------------------------------------------------

-- Milliseconds from now to `limit`, as nginx wants them.
local function until_limit(limit, now)
  return max(1, ceil((limit - now) * 1000))
end

-- Everything that waits on the socket waits until `limit` at most.
local function give_time(socket, limit)
  local ms = until_limit(limit, clock())
  socket:settimeouts(ms, ms, ms)
end

local function fail_io(why, sent)
  if why == "timeout" then
    return { message = "no answer within the timeout", code = "timeout", timeout = true, sent = sent }
  elseif why == "closed" then
    why = "the server closed the connection"
  end
  return { message = why or "the connection broke", code = "connection", sent = sent }
end

-- Reads until take(run, bytes, known), that is core.run_feed or core.run_answer, has all replies due:
-- what it gives then; or nil and why not.
local function read(socket, take, run, limit)
  while true do
    local bytes, why = socket:receiveany(READ_SIZE)
    if not bytes then
      return nil, fail_io(why, true)
    end
    local need, a, b, c = take(run, bytes)
    if need == nil and not c and socket:getreusedtimes() > 0 then
      need, a, b, c = take(run, "", true)
    end
    if need then
      return need, a, b, c
    elseif need == nil then
      return nil, { message = a, code = b, sent = c }
    elseif clock() >= limit then
      return nil, fail_io("timeout", true)
    end
    give_time(socket, limit)
  end
end

local function write(socket, bytes)
  return socket:send(bytes)
end

-- Both at a time. Replies that are whole before the batch was written answer something else.
local function write_and_read(socket, take, run, bytes, limit)
  local writer = ngx.thread.spawn(write, socket, bytes)
  local whole, failure = read(socket, run_feed, run, limit)
  if whole and coroutine.status(writer) ~= "dead" and coroutine.status(writer) ~= "zombie" then
    whole, failure = nil, fail_io("more answers came than were asked for", true)
  end
  if not whole then
    ngx.thread.kill(writer)
    return nil, failure
  end
  ngx.thread.wait(writer)
  return take(run, "", true)
end

-- Sends `bytes` and reads the replies: what `take` gives; or nil and why not, and then the socket must be
-- closed. The socket's timeouts must have been set.
function connection.exchange(socket, take, run, bytes, limit)
  if #bytes > WRITE_ALONE then
    return write_and_read(socket, take, run, bytes, limit)
  end
  local sent, why = socket:send(bytes)
  if not sent then
    return nil, fail_io(why, true)
  end
  return read(socket, take, run, limit)
end

-- ---- opening and closing ---------------------------------------------------------------------------

-- Ends an opening that failed: why, in which part of it, and what may be behind.
local function fail_open(handle, socket, limit, part, failure, hint)
  socket:close()
  if failure.timeout and clock() >= limit then
    failure.message = "no connection within the timeout"
  elseif failure.timeout then
    failure.message, failure.code, failure.timeout = "no answer within connect_timeout", "connection", nil
  end
  failure.sent = false -- of the caller's batch nothing was
  failure.message = ("%s: %s%s%s"):format(handle.name, part, failure.message,
    failure.final and "" or hint)
  return nil, failure
end

-- What nginx says is often without the one thing that would help.
local HINTS = {
  { "no resolver defined", " (host names need nginx's directive resolver; an address does not)" },
  { "too many waiting connect operations", " (all pool_size connections are busy)" },
}

local function hint_for(why)
  for _, hint in ipairs(HINTS) do
    if why:find(hint[1], 1, true) then
      return hint[2]
    end
  end
  return ""
end

-- Verified TLS. A failure.
local function start_tls(handle, socket)
  if handle.pair then
    if not socket.setclientcert then -- asked of a socket, which there is none of where clients are made
      return {
        message = "cert= and key= need a newer lua-nginx-module (setclientcert)",
        code = "configuration",
        final = true,
      }
    end
    local ok, why = socket:setclientcert(handle.pair.cert, handle.pair.key)
    if not ok then
      return { message = tostring(why), code = "connection" }
    end
  end
  -- Never `false` in place of nil: told to give no session back, lua-resty-core does not look whether the
  -- certificate was refused when the handshake ended without a wait. With nil it raises there.
  local called, session, why = pcall(socket.sslhandshake, socket, nil, handle.server_name, true)
  if called and why == nil and type(session) ~= "nil" then
    return nil
  end
  why = called and tostring(why) or "certificate not verified"
  if why == "timeout" then
    return fail_io(why)
  elseif why:find "^%d+: " or why:find("certificate", 1, true) then
    return {
      message = ("the server's certificate is refused: %s (nginx trusts the CAs of the directive "
        .. "lua_ssl_trusted_certificate, chains of up to lua_ssl_verify_depth)"):format(why),
      code = "connection",
      final = true,
    }
  end
  return { message = why, code = "connection" }
end

-- AUTH, SELECT, CLIENT SETNAME. A failure.
local function greet(handle, socket, run, limit)
  local words = core.run_greet(run, handle.target)
  if not words then
    return nil
  end
  give_time(socket, limit)
  local ok, failure = connection.exchange(socket, run_feed, run, words, limit)
  -- A server that is full answers once and hangs up: what it said tells more than its end.
  local fine, message, code, final = core.run_greeted(run, handle.target)
  if not fine then
    return { message = message, code = code, final = final }
  end
  return not ok and failure or nil
end

-- In a phase without cosockets nginx raises when it is asked for one: it knows that better than a list here.
local function fail_phase()
  return {
    message = ("nginx has no sockets in %s_by_lua: call this in rewrite_by_lua, access_by_lua or "
      .. "content_by_lua, or in a function for ngx.timer.at"):format(ngx.get_phase()),
    code = "configuration",
    final = true,
    sent = false,
  }
end

-- A connection to the target for a run, from the pool or a new one, for an exchange until `limit`: a socket;
-- or nil and why not.
function connection.open(handle, run, limit, now)
  local allowed, socket = pcall(tcp)
  if not allowed then
    return nil, fail_phase()
  elseif now >= limit then
    return fail_open(handle, socket, limit, "", fail_io "timeout", "")
  end
  local connect_limit = min(limit, now + handle.connect_timeout)
  local ms = until_limit(limit, now)
  local ok, why
  socket:settimeouts(until_limit(connect_limit, now), ms, ms)
  if handle.port then
    ok, why = socket:connect(handle.host, handle.port, pool_options(handle))
  else
    ok, why = socket:connect(handle.host, pool_options(handle))
  end
  if not ok then
    why = tostring(why)
    return fail_open(handle, socket, limit, "cannot connect: ", fail_io(why), hint_for(why))
  elseif handle.plain or socket:getreusedtimes() > 0 then
    return socket
  end
  connect_limit = min(limit, clock() + handle.connect_timeout)
  local failure
  if handle.tls then
    give_time(socket, connect_limit)
    failure = start_tls(handle, socket)
    if failure then
      return fail_open(handle, socket, limit, "TLS handshake: ", failure,
        " (does the server speak TLS on this port?)")
    end
  end
  failure = greet(handle, socket, run, connect_limit)
  if failure then
    return fail_open(handle, socket, limit, "", failure,
      handle.tls and " (does the server take our certificate, cert= and key=?)" or "")
  end
  give_time(socket, limit)
  return socket
end

-- Back to its pool - or not, when its replies cannot be trusted.
function connection.release(socket, trusted)
  if not trusted or not socket:setkeepalive() then
    socket:close()
  end
end

return connection
