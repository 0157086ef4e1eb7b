-- Runs blocking work in nginx's threads (ngx.run_worker_thread), once for all waiting requests: one worker
-- runs it in a timer, which does not end with a client, and all read the result from the shared dict. Spike
-- (nginx_spike.lua) and keys at a URL (nginx_keys.lua) use this.
--
-- It needs two directives: thread_pool tokenstore threads=4; and lua_shared_dict tokenstore 1m.

-- luacheck: ignore 143/ngx
local core = require "tokenstore.core"

local NAME = "tokenstore" -- of the thread pool and the shared dict

-- Phases that can wait.
local WAITING = {
  rewrite = true, server_rewrite = true, access = true, content = true, timer = true,
  ssl_cert = true, ssl_client_hello = true,
}

local nginx_threads = {}
local semaphores = {} -- by name: limits the jobs of a kind

-- The shared dict; or nil, message, code. `what` uses it.
function nginx_threads.dict(what)
  if not ngx.run_worker_thread then
    return nil, what .. ": nginx needs a lua-nginx-module with run_worker_thread", "configuration"
  elseif not ngx.shared[NAME] then
    return nil, what .. ": nginx needs the directive: lua_shared_dict tokenstore 1m;", "configuration"
  end
  return ngx.shared[NAME]
end

-- A short name for the options that must be equal for results to be shared.
function nginx_threads.identify(given)
  local parts = {}
  local function add(prefix, value)
    if type(value) == "table" then
      local names = {}
      for name in next, value do
        names[#names + 1] = tostring(name)
      end
      table.sort(names)
      for _, name in ipairs(names) do
        add(prefix .. "." .. name, value[name] == nil and value[tonumber(name)] or value[name])
      end
    else
      parts[#parts + 1] = prefix .. "=" .. tostring(value)
    end
  end
  add("", given)
  return ngx.md5(table.concat(parts, "\0"))
end

-- nil if this phase can wait; otherwise message, code. `advice`: what to call in another phase.
function nginx_threads.refuse_phase(advice)
  local phase = ngx.get_phase()
  if not WAITING[phase] then
    return ("cannot wait for a thread in %s_by_lua: %s in access_by_lua, or in a function for ngx.timer.at")
      :format(phase, advice), "configuration"
  end
end

local function release(limits, count)
  for i = 1, count do
    semaphores[limits[i].name]:post()
  end
end

-- nginx's message if it has no thread, with advice.
local function explain(problem)
  if problem:find("thread pool", 1, true) then
    return problem .. " (nginx needs the directive: thread_pool tokenstore threads=4;)"
  elseif problem:find("no available Lua vm", 1, true) then
    return problem .. " (nginx needs a larger lua_worker_thread_vm_pool_size)"
  end
  return problem
end

-- Calls a function of nginx_thread.lua in a thread: true and its results; or false, message, code. nginx
-- rejects a job if it has no free Lua VM, so jobs wait here for up to `seconds`: each of `limits` ({ name,
-- jobs, busy }) allows that many jobs.
function nginx_threads.run(what, limits, seconds, method, ...)
  for i, limit in ipairs(limits) do
    semaphores[limit.name] = semaphores[limit.name] or require("ngx.semaphore").new(limit.jobs)
    if not semaphores[limit.name]:wait(seconds) then
      release(limits, i - 1)
      return false, ("%s: no thread is free: %s"):format(what, limit.busy), "timeout"
    end
  end
  local results = { pcall(ngx.run_worker_thread, NAME, "tokenstore.nginx_thread", method, ...) }
  release(limits, #limits)
  if results[1] and results[2] then
    return true, unpack(results, 3, 8)
  end
  return false, what .. ": " .. explain(tostring(results[results[1] and 3 or 2])), "configuration"
end

local function work_in_timer(_, handle, lock, work, ...)
  work(handle, ...)
  handle.dict:delete(lock)
end

-- Starts work(handle, …) unless it is in progress in any worker, or prepare(handle, …) returns false. `lock`
-- is its key in the dict, and ends after `seconds` in any case.
function nginx_threads.start(handle, lock, seconds, prepare, work, ...)
  if handle.dict:add(lock, true, seconds)
    and not (prepare(handle, ...) and ngx.timer.at(0, work_in_timer, handle, lock, work, ...)) then
    handle.dict:delete(lock)
  end
end

-- Waits until find(handle, …) returns a list, for up to `seconds`, and returns its items. nil, message,
-- code if it never does, or the handle is closed.
function nginx_threads.await(handle, seconds, find, ...)
  local deadline, pause = core.clock() + seconds, 0.001
  repeat
    ngx.sleep(pause)
    pause = math.min(2 * pause, 0.02)
    if handle.closed then
      return nil, handle.names.closed, "closed"
    end
    local found = find(handle, ...)
    if found then
      return unpack(found, 1, 4)
    end
  until core.clock() >= deadline
  return nil, handle.names.late, "timeout"
end

return nginx_threads
