-- tokenstore.nginx: the driver for OpenResty and nginx's Lua module. Operations run over cosockets, and the
-- worker is never blocked. Client takes it by itself wherever there are cosockets.
--
--   pools        nginx keeps idle connections, in pools named by all that makes a connection what it is;
--                clients with equal settings share one. pool_size is the most connections that one worker
--                has; who finds them all busy waits in a queue.
--   deadlines    one for a whole operation, retries included, by a monotonic clock
--   trust        a connection goes back to its pool only after exactly the replies that were due. A request
--                that is given up half way - by a deadline, by a client that went away - closes it.
--   phases       those without cosockets get nil, message, "configuration"
--
-- What must be sent, what a reply means, when to try again: all that is the operation's, in C.

local core = require "tokenstore.core"
local connection = require "tokenstore.nginx_connection"

local clock, run_start, run_batch = core.clock, core.run_start, core.run_batch
local get_phase, sleep = ngx.get_phase, ngx.sleep

-- Where nginx has cosockets.
local PHASES = {
  rewrite = true,
  server_rewrite = true,
  access = true,
  content = true,
  timer = true,
  preread = true,
  ssl_cert = true,
  ssl_client_hello = true,
  ssl_session_fetch = true,
}
local TURNED_AWAY = "the server is full: max number of clients reached"
local SPARE_RUNS = 64 -- what a run holds in memory is worth keeping for so many at a time

-- Names of pools shall not tell what they were made of.
local salt = core.random(32)

local driver = {}

-- A client for a URL and options, which connects nothing yet; nil, message, code.
function driver.client(url, options)
  local target, message, code = core.target(url, options)
  if not target then
    return nil, message, code
  end
  local handle
  handle, message, code = connection.settings(target, core.target_info(target, salt))
  if handle then
    handle.source = { url = url, options = options } -- for threads, which make a client of their own
  end
  return handle, message, code
end

function driver.url(handle)
  return handle.url
end

-- Idle connections stay with nginx: they may be another client's too, and end with their idle time.
function driver.close(handle)
  handle.closed = true
end

-- One batch, there and back, begun at `now`. Gives whether a batch that was not answered may have reached the
-- server, and what the operation needs next.
local function send(handle, run, deadline, now, patience, reconnect)
  local limit, sent = deadline, false
  if patience > 0 then
    limit = math.min(deadline, now + patience)
  end
  if reconnect then
    connection.renew(handle)
  end
  local socket, failure, fresh = connection.open(handle, run, limit, now)
  if socket then
    local ok
    ok, failure = connection.exchange(socket, run, run_batch(run), limit)
    if fresh and core.run_turned_away(run) then
      ok, failure = false, { message = TURNED_AWAY, code = "connection", sent = false }
    end
    if ok then
      local need, a, b = core.run_replies(run)
      -- "Not a record" may be the answer to something else.
      connection.release(socket, need ~= "failed" or a)
      return false, need, a, b
    end
    socket:close()
    sent = failure.sent
    failure.message = handle.name .. ": " .. failure.message
  end
  if failure.timeout and clock() >= deadline then
    return sent, core.run_deadline(run, sent, failure.message)
  end
  return sent, core.run_lost(run, sent, failure.final, failure.message, failure.code)
end

-- Takes what an operation gives, so that its run may serve the next.
local function finish(handle, run, ...)
  local spare = handle.spare
  if #spare < SPARE_RUNS then
    spare[#spare + 1] = run
  end
  return ...
end

-- run(client, operation) gives the operation's result; run(client, nil, message, code) gives the last
-- three back, so that a method is one line: run(client, core.get(store, args)).
function driver.run(handle, operation, message, code)
  if not operation then
    return operation, message, code
  elseif handle.closed then
    return nil, "the client is closed", "closed"
  end
  local phase = get_phase()
  if not PHASES[phase] then
    return nil, ("nginx has no sockets in %s_by_lua: call this in rewrite_by_lua, access_by_lua or "
      .. "content_by_lua, or in a function for ngx.timer.at"):format(phase), "configuration"
  end
  local run = table.remove(handle.spare) or core.run(handle.target)
  local timeout, need, a, b = run_start(run, operation)
  local now = clock()
  local deadline = now + (timeout > 0 and timeout or handle.timeout)
  local sent = false
  while true do
    if need == "send" then
      sent, need, a, b = send(handle, run, deadline, now, a, b)
    elseif need ~= "sleep" then
      return finish(handle, run, core.run_finish(run))
    elseif clock() + a >= deadline then
      need, a, b = core.run_deadline(run, sent)
    else
      sleep(a)
      need, a, b = core.run_awake(run)
    end
    now = need == "send" and clock() or now
  end
end

return driver
