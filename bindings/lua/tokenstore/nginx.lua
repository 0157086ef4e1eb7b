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
-- The operation, in C, decides what to send, to which node of a cluster, what a reply means, and when to
-- retry.

local core = require "tokenstore.core"
local logger = require "tokenstore.logger"
local log = require "tokenstore.nginx_log"
local connection = require "tokenstore.nginx_connection"
local pool = require "tokenstore.nginx_pool"
local near = require "tokenstore.nginx_near"
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

-- Where near.lua looks first; nil without a near cache.
function driver.viewer(handle)
  return handle.near_cache_staleness and handle.target or nil
end

function driver.url(handle)
  return handle.url
end

-- Idle connections stay with nginx: other clients may use them, and they end with their idle time.
function driver.close(handle)
  handle.closed = true
  if handle.near then
    handle.near.closed = true
  end
end

-- Nil without a near cache.
function driver.near_cache_stats(handle)
  return handle.near_cache_staleness and core.near_stats(handle.target) or nil
end

-- What the operations of this worker have cost.
function driver.operation_stats(handle)
  return core.meter_sums(handle.target)
end

-- The connections of this worker, on a cluster to all nodes; nginx does not tell how many of them are idle.
function driver.pool_stats(handle)
  local stats = { limit = 0, opened = 0 }
  for _, server in pairs(handle.nodes or { handle }) do
    stats.limit, stats.opened = stats.limit + server.pool.size, stats.opened + server.pool.opened
  end
  return stats
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
  if not used then
    pool.note_opened(handle.pool)
  end
  local trust, need, a, b, c, node = connection.exchange(socket, run_answer, run, bytes, limit)
  if trust then
    if trust == "leave" then
      pool.give_up(handle.pool, options, now)
    end
    connection.release(handle, socket, options, trust ~= "close", now)
    return false, need, a, b, c, node
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

-- ---- clusters ----------------------------------------------------------------------------------------

-- Like a handle, for the connections to a node; nil and the failure.
local function node_of(handle, number)
  local node = handle.nodes[number]
  if node then
    return node
  end
  local target = core.node(handle.target, number)
  local message, code
  node, message, code = settings.of_node(handle, target, core.target_info(target, salt))
  if not node then
    return nil, { message = message, code = code, final = true }
  end
  handle.nodes[number] = node
  return node
end

local execute

-- Abandons the pools of nodes that served and do not any more. Sentinels, and replicas that are asked for the
-- map, never did, and keep theirs.
local function leave_replaced(handle)
  for number, node in pairs(handle.nodes) do
    local serves = core.serves(handle.target, number)
    if node.serves and not serves then
      pool.leave(node.pool, node.pool.options)
    end
    node.serves = serves
  end
end

-- Runs in a timer, because a light thread ends with its request.
local function ask_for_map(_, handle, operation)
  execute(handle, operation)
  leave_replaced(handle)
end

-- Has the map of the cluster asked for, if that is due. Operations that wait for it look again soon.
local function refresh(handle)
  local operation = core.refresh(handle.target)
  if operation and not ngx.timer.at(0, ask_for_map, handle, operation) then
    execute(handle, operation) -- the worker is about to end
  end
end

-- Runs the parts of an operation, each about one node, at the same time.
local function run_parts(handle, parts, deadline)
  local threads = {}
  for i = 2, #parts do
    threads[#threads + 1] = ngx.thread.spawn(execute, handle, parts[i], deadline)
  end
  execute(handle, parts[1], deadline)
  for _, thread in ipairs(threads) do
    ngx.thread.wait(thread)
  end
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

-- `whole` is the deadline of the operation that this one is a part of.
function execute(handle, operation, whole)
  local spare = handle.spare
  local count = #spare
  local run = spare[count] or core.run(handle.target)
  spare[count] = nil
  local now, timeout, need, a, b, c, node = run_start(run, operation)
  local detail
  local deadline = whole or now + (timeout > 0 and timeout or handle.timeout)
  local sent = false
  while need ~= "done" do
    if need == "send" and not node then
      sent, need, a, b, c = send(handle, run, deadline, now, a, b, c)
    elseif need == "send" then
      local to, failure = node_of(handle, node)
      if to then
        sent, need, a, b, c, node = send(to, run, deadline, now, a, b, c)
      else
        sent, need, a, b, c, node = fail(run, deadline, failure)
      end
    elseif need == "parts" then
      run_parts(handle, a, deadline)
      need, a, b, c, node = core.run_joined(run)
      now = clock()
    elseif need == "noted" then
      log_notes(handle, run)
      need = "done"
    elseif need == "failed" then
      log_notes(handle, run)
      a, b, c, detail = core.run_error(run)
      need = "done"
    elseif clock() + a >= deadline then
      need, a, b, c = core.run_deadline(run, sent)
    else
      if handle.nodes then
        refresh(handle)
      end
      sleep(a)
      need, a, b, c, node = core.run_awake(run)
      now = clock()
    end
  end
  count = #spare
  if count < SPARE_RUNS then
    spare[count + 1] = run
  end
  if detail then
    return a, b, c, detail
  elseif b ~= nil then
    return a, b, c
  end
  return a
end

-- run(client, operation) returns the operation's result; or nil, message, code, and for some codes what else
-- is known. run(client, nil, message, code) returns the last three, so that a method is one line:
-- run(client, core.get(store, args)).
function driver.run(handle, operation, message, code)
  if not operation then
    return operation, message, code
  elseif handle.closed then
    return nil, "the client is closed", "closed"
  elseif handle.nodes then
    refresh(handle)
  end
  if handle.near_cache_staleness and not handle.near then
    near.start(handle, refresh, node_of)
  end
  return execute(handle, operation)
end

return driver
