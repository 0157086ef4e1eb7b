-- tokenstore.nginx: the driver for OpenResty and nginx's Lua module. Operations use cosockets, and the
-- worker is never blocked. Client uses it automatically wherever there are cosockets.
--
--   pools        nginx keeps idle connections, in pools named by all settings of a connection; clients with
--                equal settings, and the same function as `credentials`, share one. pool_size is the most
--                connections that one worker has; further requests queue for up to `connect_timeout`.
--   deadlines    one for a whole operation, retries included, by a monotonic clock
--   trust a connection returns to its pool only after exactly the expected replies. It is closed if its
--                request ends early, by a deadline or because the client disconnected.
--   phases       those without cosockets get nil, message, "configuration"
--
-- The operation, in C, decides what to send, what a reply means, and when to retry.

local core = require "tokenstore.core"
local logger = require "tokenstore.logger"
local log = require "tokenstore.nginx_log"
local connection = require "tokenstore.nginx_connection"
local pool = require "tokenstore.nginx_pool"
local settings = require "tokenstore.nginx_settings"

local clock, run_answer, run_start = core.clock, core.run_answer, core.run_start
local silence_divisor = core.silence_divisor
local sleep = ngx.sleep

local SPARE_RUNS = 64 -- this many runs are kept for reuse

-- Names of pools must not reveal their settings.
local salt = core.random(32)

local driver = {}

-- A client for a URL and options, which does not connect yet; nil, message, code.
function driver.client(url, options, write, credentials)
  local target, message, code = core.target(url, options, credentials ~= nil)
  if not target then
    return nil, message, code
  end
  local handle
  handle, message, code = settings.of(target, core.target_info(target, salt), credentials)
  if handle then
    handle.logger = write
    handle.source = { url = url, options = options } -- for threads, which create their own client
  end
  return handle, message, code
end

function driver.url(handle)
  return handle.url
end

-- Idle connections stay with nginx: other clients may use them, and they end with their idle time.
function driver.close(handle)
  handle.closed = true
end

-- Reports why a batch has no replies: the operation decides what follows.
local function fail(run, deadline, failure)
  local sent = failure.sent or false
  if failure.timeout and clock() >= deadline then
    return sent, core.run_deadline(run, sent, failure.message)
  end
  return sent, core.run_lost(run, sent, failure.final, failure.message, failure.code)
end

-- A pooled connection is dead, and probably also those that were idle as long.
local function fail_silent(handle, run, deadline, options, sent)
  pool.leave(handle.pool, options)
  local message = handle.name .. ": the connection was unresponsive"
  return fail(run, deadline, { message = message, code = "connection", sent = sent })
end

-- Exchanges one batch, starting at `now`. Returns whether an unanswered batch may have reached the server,
-- and what the operation needs next.
local function send(handle, run, deadline, now, bytes, patience, once)
  local limit = deadline
  if patience > 0 then
    limit = math.min(deadline, now + patience)
  end
  local silence = now + (limit - now) / silence_divisor
  local options = pool.options(handle.pool, now)
  local socket, used = connection.open(handle, run, options, limit, silence, now)
  if not socket then
    return fail(run, deadline, used)
  elseif used and once then
    -- Commands that must not be sent twice use a connection that is known to answer.
    if pool.is_doubtful(handle.pool, now) and not connection.is_alive(socket) then
      socket:close()
      return fail_silent(handle, run, deadline, options, false)
    end
    connection.give_time(socket, limit)
  end
  local trust, need, a, b, c = connection.exchange(socket, run_answer, run, bytes, limit)
  if trust then
    if trust == "leave" then
      pool.give_up(handle.pool, options, now)
    end
    connection.release(handle, socket, options, trust ~= "close", now)
    return false, need, a, b, c
  end
  socket:close()
  local failure = need
  if failure.timeout and used then
    if clock() < limit then
      return fail_silent(handle, run, deadline, options, failure.sent)
    end
    pool.leave(handle.pool, options)
  end
  failure.message = handle.name .. ": " .. failure.message
  return fail(run, deadline, failure)
end

local LOGS = { i = log.new(ngx.INFO, "tokenstore: "), w = log.new(ngx.WARN, "tokenstore: ") }

-- Logs an operation's notes, such as reasons for retries.
local function log_notes(handle, run)
  local notes = core.run_notes(run)
  if handle.logger then
    logger.write(handle.logger, notes, handle.url)
    return
  end
  for level, text in notes:gmatch "(%a)([^\n]*)\n" do
    LOGS[level]:write(text)
  end
end

-- run(client, operation) returns the operation's result; or nil, message, code, and with "reused_token" what
-- is known of it. run(client, nil, message, code) returns the last three, so that a method is one line:
-- run(client, core.get(store, args)).
function driver.run(handle, operation, message, code)
  if not operation then
    return operation, message, code
  elseif handle.closed then
    return nil, "the client is closed", "closed"
  end
  local spare = handle.spare
  local count = #spare
  local run = spare[count] or core.run(handle.target)
  spare[count] = nil
  local now, timeout, need, a, b, c = run_start(run, operation)
  local reused
  local deadline = now + (timeout > 0 and timeout or handle.timeout)
  local sent = false
  while need ~= "done" do
    if need == "send" then
      sent, need, a, b, c = send(handle, run, deadline, now, a, b, c)
    elseif need == "noted" then
      log_notes(handle, run)
      need = "done"
    elseif need == "failed" then
      log_notes(handle, run)
      a, b, c, reused = core.run_error(run)
      need = "done"
    elseif clock() + a >= deadline then
      need, a, b, c = core.run_deadline(run, sent)
    else
      sleep(a)
      need, a, b, c = core.run_awake(run)
      now = clock()
    end
  end
  count = #spare
  if count < SPARE_RUNS then
    spare[count + 1] = run
  end
  if reused then
    return a, b, c, reused
  elseif b ~= nil then
    return a, b, c
  end
  return a
end

return driver
