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
local pool = require "tokenstore.nginx_pool"
local settings = require "tokenstore.nginx_settings"

local clock, run_answer, run_start = core.clock, core.run_answer, core.run_start
local sleep = ngx.sleep

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
  handle, message, code = settings.of(target, core.target_info(target, salt))
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
local function send(handle, run, deadline, now, bytes, patience)
  local limit, sent = deadline, false
  if patience > 0 then
    limit = math.min(deadline, now + patience)
  end
  local options = pool.options(handle.pool, now)
  local socket, failure = connection.open(handle, run, options, limit, now)
  if socket then
    local reused = failure
    local trust, need, a, b, c = connection.exchange(socket, run_answer, run, bytes, limit)
    if trust then
      if trust == "leave" then
        pool.leave(handle.pool, options)
      end
      connection.release(handle, socket, options, trust ~= "close")
      return false, need, a, b, c
    end
    socket:close()
    failure, sent = need, need.sent
    failure.message = handle.name .. ": " .. failure.message
    if failure.timeout and reused then
      pool.leave(handle.pool, options) -- what idled as long as this one may be as dead
    end
  end
  if failure.timeout and clock() >= deadline then
    return sent, core.run_deadline(run, sent, failure.message)
  end
  return sent, core.run_lost(run, sent, failure.final, failure.message, failure.code)
end

-- run(client, operation) gives the operation's result; run(client, nil, message, code) gives the last
-- three back, so that a method is one line: run(client, core.get(store, args)).
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
  local deadline = now + (timeout > 0 and timeout or handle.timeout)
  local sent = false
  while need ~= "done" do
    if need == "send" then
      sent, need, a, b, c = send(handle, run, deadline, now, a, b)
    elseif need == "failed" then
      a, b, c = core.run_error(run)
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
  if b ~= nil then
    return a, b, c
  end
  return a
end

return driver
