-- Keeps a client's near cache true in nginx: in a timer of each worker, on a connection to each primary that
-- is told of all changes. See core/include/tokenstore/near.h for the rules.
--
--   a link       two light threads: one reads messages; one asks with PING whether the server lives
--   the timer    ends with the client, or its garbage, and with the worker

local core = require "tokenstore.core"
local connection = require "tokenstore.nginx_connection"

local PARTS = 4  -- of the staleness: between two questions
local PAUSE = 1  -- seconds, after a failure
local IDLE = 0.05 -- before anything is asked for
local TURN = 0.02 -- the longest until the server is asked for what is wanted
local exiting = ngx.worker.exiting

local near = {}

local function is_over(state)
  return state.closed or exiting()
end

-- Runs an operation on this connection alone. Nil, or why it failed.
local function exchange(socket, run, bytes, limit)
  local need = "send"
  while need == "send" do
    local trust, failure
    connection.give_time(socket, limit)
    trust, need, bytes = connection.exchange(socket, core.run_answer, run, bytes, limit)
    if not trust then
      failure = need
      return failure.message
    end
  end
  if need == "failed" then
    local _, message = core.run_error(run)
    return message
  end
end

-- Until the connection is lost; or what the server sent that was not asked for.
local function read(socket, link, timeout)
  local ms = timeout * 1000
  socket:settimeouts(ms, ms, ms)
  while true do
    local bytes = socket:receiveany(65536)
    if not bytes then
      return
    end
    local good, message = core.near_feed(link, bytes)
    if not good then
      return message
    end
  end
end

-- Until the next question is due: after a while, or when there is something to ask for.
local function pause(state, link)
  if not state.by_key then
    return ngx.sleep(state.part)
  end
  local ends = core.clock() + state.part
  while not core.near_wants(link) and core.clock() < ends and not is_over(state) do
    ngx.sleep(TURN)
  end
end

-- Until it is not wanted any more, or lost.
local function ask(state, socket, link)
  while not is_over(state) and core.near_is_current(link) do
    local bytes = core.near_ping(link)
    if bytes and not socket:send(bytes) then
      return
    end
    pause(state, link)
  end
end

-- Opens a link to `at`, a handle, and keeps it until it ends. Why it could not be opened.
local function keep_link(state, at, number)
  local link = core.near_link(state.target, number)
  local run = core.run(at.target)
  local now, _, need, bytes = core.run_start(run, core.near_track(link))
  local limit = now + at.connect_timeout
  local options = { pool = at.pool.identity .. ":near" } -- no other connection has it, and it returns to none
  local socket, failure = connection.open(at, run, options, limit, limit, now)
  if not socket then
    return failure.message
  end
  local why = need == "send" and exchange(socket, run, bytes, limit) or nil
  if not why then
    local subscribe = core.near_subscribe(link)
    if subscribe then
      socket:send(subscribe)
    end
    local reader = ngx.thread.spawn(read, socket, link, state.timeout)
    local asker = ngx.thread.spawn(ask, state, socket, link)
    local _
    _, why = ngx.thread.wait(reader, asker)
    ngx.thread.kill(reader)
    ngx.thread.kill(asker)
  end
  core.near_lose(link)
  socket:close()
  return why and at.name .. ": " .. why
end

-- The same, whatever happens, and a pause.
local function hold(state, at, number)
  local _, why = pcall(keep_link, state, at, number)
  if why then
    core.near_fail(state.target, why)
  end
  if not is_over(state) then
    ngx.sleep(why and PAUSE or IDLE)
  end
end

-- Links to all primaries, which change.
local function follow(state)
  local links = {}
  while not is_over(state) do
    local primaries = core.near_primaries(state.target, state.part / 2)
    state.refresh(state)
    for _, number in ipairs(primaries) do
      local at = not links[number] and state.node_of(state, number)
      if at then
        links[number] = ngx.thread.spawn(function()
          hold(state, at, number)
          links[number] = nil
        end)
      end
    end
    ngx.sleep(state.part)
  end
end

local function keep(premature, state)
  if premature then
    return
  end
  while not is_over(state) and not core.near_is_wanted(state.target) do
    ngx.sleep(IDLE)
  end
  if state.nodes then
    return follow(state)
  end
  while not is_over(state) do
    hold(state, state, -1)
  end
end

-- Starts it for a handle in each worker, unless it runs. `refresh` and `node_of` are the driver's, for
-- clusters. Where there are no timers, nothing is ever near.
function near.start(handle, refresh, node_of)
  local state = {}
  for name, value in pairs(handle) do
    state[name] = value
  end
  state.part = handle.near_cache_staleness / PARTS
  state.by_key = handle.near_cache_tracking == "keys"
  state.refresh, state.node_of = refresh, node_of
  local sentinel = newproxy(true) -- luacheck: ignore 113
  getmetatable(sentinel).__gc = function()
    state.closed = true
  end
  if ngx.timer.at(0, keep, state) then -- else the next call tries
    handle.near, handle.sentinel = state, sentinel
  end
end

return near
