-- Connections of tokenstore.nginx: cosockets, TLS, the greeting, and one exchange at a time.
-- nginx_settings.lua creates a client's `handle`.
--
-- A failure is a table: message, code, timeout (the deadline passed), final (retrying cannot help), sent (a
-- byte of the batch may have reached the server), asks (call the client's `credentials`, then retry at once).

local core = require "tokenstore.core"
local pool = require "tokenstore.nginx_pool"

local clock, run_feed = core.clock, core.run_feed
local tcp = ngx.socket.tcp
local ceil, max, min = math.ceil, math.max, math.min

local READ_SIZE = 65536   -- bytes taken at once
local WRITE_ALONE = 65536 -- a larger batch is written while replies are read: a server may stop
                          -- reading until its first replies are fetched
local DOUBT = 10          -- seconds after a failure in which core.probe is tried first

local connection = {}

-- Addresses with a recent connection failure, and until when it counts.
local doubts = {}

-- ---- an exchange -----------------------------------------------------------------------------------

-- Milliseconds from now to `limit`, for nginx.
local function until_limit(limit, now)
  return max(1, ceil((limit - now) * 1000))
end

-- All waits on the socket end at `limit`.
function connection.give_time(socket, limit)
  local ms = until_limit(limit, clock())
  socket:settimeouts(ms, ms, ms)
end

local give_time = connection.give_time

local function fail_io(why, sent)
  if why == "timeout" then
    return { message = "no answer within the timeout", code = "timeout", timeout = true, sent = sent }
  elseif why == "closed" then
    why = "the server closed the connection"
  end
  return { message = why or "the connection was lost", code = "connection", sent = sent, hung_up = true }
end

-- Reads until take(run, bytes), that is core.run_feed or core.run_answer, has all replies due, and returns
-- its result; or nil and the failure.
local function read(socket, take, run, limit)
  while true do
    local bytes, why = socket:receiveany(READ_SIZE)
    if not bytes then
      return nil, fail_io(why, true)
    end
    local trust, need, a, b, c, node = take(run, bytes)
    if trust then
      return trust, need, a, b, c, node
    elseif trust == nil then
      return nil, { message = need, code = a, sent = true }
    elseif clock() >= limit then
      return nil, fail_io("timeout", true)
    end
    give_time(socket, limit)
  end
end

local function write(socket, bytes)
  return socket:send(bytes)
end

-- Both at once. Replies that are complete before the batch is written belong to another request.
local function write_and_read(socket, take, run, bytes, limit)
  local writer = ngx.thread.spawn(write, socket, bytes)
  local whole, failure = read(socket, run_feed, run, limit)
  if whole and coroutine.status(writer) ~= "dead" and coroutine.status(writer) ~= "zombie" then
    whole, failure = nil, fail_io("received more replies than requested", true)
  end
  if not whole then
    ngx.thread.kill(writer)
    return nil, failure
  end
  ngx.thread.wait(writer)
  return take(run, "")
end

-- Sends `bytes` and reads the replies: the result of `take`; or nil and the failure, and then the socket must
-- be closed. The socket's timeouts must have been set.
function connection.exchange(socket, take, run, bytes, limit)
  if #bytes > WRITE_ALONE then
    give_time(socket, limit)
    return write_and_read(socket, take, run, bytes, limit)
  end
  local sent, why = socket:send(bytes)
  if not sent then
    return nil, fail_io(why, true)
  end
  return read(socket, take, run, limit)
end

-- ---- opening and closing ---------------------------------------------------------------------------

-- Completes the failure of an opening: why, in which step, and the likely cause.
local function fail_open(handle, socket, limit, part, failure, hint)
  socket:close()
  if failure.timeout and clock() >= limit then
    failure.message = "could not connect within the timeout"
  elseif failure.timeout then
    failure.message, failure.code, failure.timeout = "no answer within connect_timeout", "connection", nil
  end
  failure.sent = false -- nothing of the caller's batch was sent
  failure.message = ("%s: %s%s%s"):format(handle.name, part, failure.message,
    failure.final and "" or hint)
  return nil, failure
end

-- nginx's messages often lack the decisive hint.
local HINTS = {
  { "no resolver defined", " (host names require nginx's directive resolver; addresses do not)" },
  { "too many waiting connect operations", " (all pool_size connections are busy)" },
}

local function hint_for(why, handle)
  if why == "timeout" and handle.is_name then
    return " (this includes resolving the name: does nginx's resolver answer?)"
  end
  for _, hint in ipairs(HINTS) do
    if why:find(hint[1], 1, true) then
      return hint[2]
    end
  end
  return ""
end

local ABOUT_TRUST = "nginx trusts the CAs of the directive lua_ssl_trusted_certificate, chains of up to "
  .. "lua_ssl_verify_depth"
local ABOUT_NAMES = "the name must be in its subjectAltName; server_name= sets another"
local UNEXPLAINED = "certificate not verified"

-- What to do about a rejected certificate.
local function advise(why)
  if why:find("host mismatch", 1, true) then
    return ABOUT_NAMES
  end
  return why == UNEXPLAINED and ABOUT_TRUST .. "; " .. ABOUT_NAMES or ABOUT_TRUST
end

-- What verification found has a number before it; a handshake that failed may have OpenSSL's last one.
local function is_about_the_certificate(why)
  local is_numbered = why:find "^%d+: " and not why:find("^%d+: handshake failed")
  return is_numbered or why:find("certificate", 1, true) ~= nil
end

-- Verified TLS. A failure.
local function start_tls(handle, socket)
  if handle.pair then
    if not socket.setclientcert then -- checked on a socket, since there is none where clients are created
      return {
        message = "cert= and key= require a newer lua-nginx-module (setclientcert)",
        code = "configuration",
        final = true,
      }
    end
    local ok, why = socket:setclientcert(handle.pair.cert, handle.pair.key)
    if not ok then
      return { message = tostring(why), code = "connection" }
    end
  end
  -- Pass nil, never `false`: with `false`, which returns no session, lua-resty-core does not check whether
  -- the certificate was rejected if the handshake ended without a wait. With nil it raises then.
  local called, session, why = pcall(socket.sslhandshake, socket, nil, handle.server_name, true)
  if called and why == nil and type(session) ~= "nil" then
    return nil
  end
  why = called and tostring(why) or UNEXPLAINED
  if why == "timeout" then
    return fail_io(why)
  elseif is_about_the_certificate(why) then
    return {
      message = ("the server's certificate was rejected: %s (%s)"):format(why, advise(why)),
      code = "connection",
      final = true,
    }
  end
  return { message = why, code = "connection" }
end

-- AUTH, SELECT, CLIENT SETNAME. A failure.
local function greet(handle, socket, run, words, limit)
  give_time(socket, limit)
  local ok, failure = connection.exchange(socket, run_feed, run, words, limit)
  -- A server at its client limit replies once and hangs up: its reply is more useful than the hang-up.
  local fine, message, code, final, refused = core.run_greeted(run, handle.target)
  if not fine then
    return { message = message, code = code, final = final, asks = refused }
  end
  if not ok and failure.hung_up then
    failure.message = failure.message .. handle.hint
  end
  return not ok and failure or nil
end

-- In a phase without cosockets nginx raises, which is more reliable than a list of phases here.
local function fail_phase()
  return {
    message = ("nginx has no sockets in %s_by_lua: call this in rewrite_by_lua, access_by_lua or "
      .. "content_by_lua, or in a function for ngx.timer.at"):format(ngx.get_phase()),
    code = "configuration",
    final = true,
    sent = false,
  }
end

local function end_wait(wait)
  ngx.sleep(wait)
  return nil, "timeout"
end

-- nginx resolves a name for up to resolver_timeout, 30 s, whatever the socket's timeouts are. So a thread
-- waits for that, and is abandoned when it takes too long.
local function connect_by_name(socket, handle, options, wait)
  local connector = ngx.thread.spawn(function()
    return socket:connect(handle.host, handle.port, options)
  end)
  local whole, ok, why
  if coroutine.status(connector) == "zombie" then -- it came from the pool
    whole, ok, why = ngx.thread.wait(connector)
  else
    local timer = ngx.thread.spawn(end_wait, wait)
    whole, ok, why = ngx.thread.wait(connector, timer)
    ngx.thread.kill(connector)
    ngx.thread.kill(timer)
  end
  if not whole then
    return nil, ok
  end
  return ok, why
end

-- nginx logs each failed connection. After a recent failure, check first.
local function connect(socket, handle, options, now, wait)
  local place = handle.place
  local ok, why
  if doubts[place] and now < doubts[place] then
    why = core.probe(place, handle.port)
    if why then
      return nil, why:lower()
    end
  end
  if handle.is_name then
    ok, why = connect_by_name(socket, handle, options, wait)
  elseif handle.port then
    ok, why = socket:connect(handle.host, handle.port, options)
  else
    ok, why = socket:connect(handle.host, options)
  end
  if ok then
    doubts[place] = nil
  elseif why ~= "timeout" then
    doubts[place] = now + DOUBT
  end
  return ok, tostring(why)
end

-- As connection.open, with the run's credentials. If it has none and needs them, nothing is open when this
-- returns.
local function open(handle, run, options, limit, silence, now)
  local allowed, socket = pcall(tcp)
  if not allowed then
    return nil, fail_phase()
  elseif now >= limit then
    return fail_open(handle, socket, limit, "", fail_io "timeout", "")
  end
  local connect_limit = min(limit, now + handle.connect_timeout)
  local ms = until_limit(silence, now)
  socket:settimeouts(until_limit(connect_limit, now), ms, ms)
  local ok, why = connect(socket, handle, options, now, connect_limit - now)
  if not ok then
    return fail_open(handle, socket, limit, "cannot connect: ", fail_io(why), hint_for(why, handle))
  elseif socket:getreusedtimes() > 0 then
    return socket, true
  end
  local words = core.run_greet(run, handle.target)
  if not words then
    socket:close()
    return nil, { asks = true }
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
  failure = greet(handle, socket, run, words, connect_limit)
  if failure then
    return fail_open(handle, socket, limit, "", failure, "")
  end
  give_time(socket, limit)
  return socket, false
end

-- A connection to the target for a run, from the pool or a new one, for an exchange until `limit`: a socket,
-- and whether it is a reused one; or nil and the failure. On a reused one, the first byte of a reply is
-- awaited until `silence`. `options` are the pool's.
--
-- `credentials` is called for each new one, and once more if the server rejects its result. The only way to
-- find out whether nginx has a pooled connection is to connect. The function may take long and may use this
-- client, so the connection is closed while it runs.
function connection.open(handle, run, options, limit, silence, now)
  local socket, used = open(handle, run, options, limit, silence, now)
  local refused = false
  while not socket and used.asks and not refused do
    refused = used.final
    local given, message, code = core.run_give(run, handle.credentials())
    if not given then
      return nil, { message = message, code = code, final = true, sent = false }
    end
    now = clock()
    silence = now + (limit - now) / core.silence_divisor
    socket, used = open(handle, run, options, limit, silence, now)
  end
  return socket, used
end

-- True if the server answers on a reused connection. Any reply counts.
function connection.is_alive(socket)
  return socket:send "*1\r\n$4\r\nPING\r\n" and socket:receive "*l" ~= nil
end

-- Returns it to its pool, unless its replies cannot be trusted, or the pool was abandoned meanwhile.
function connection.release(handle, socket, options, trusted, now)
  if not trusted or not pool.keeps(handle.pool, options, now) or not socket:setkeepalive() then
    socket:close()
  end
end

return connection
