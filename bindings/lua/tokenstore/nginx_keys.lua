-- What is behind jwt.KeySet.from_url in nginx: remote_keys.lua calls this as tokenstore.oauth. The rules
-- are those of core/io/remote_keys.c; keys are fetched by threads of nginx's (nginx_keys_thread.lua).
--
--   this worker   keeps the keys, and looks once a second whether there are newer ones
--   all workers   have their text in the shared dict; one of them fetches, in a timer, and the others wait
--   for it
--
-- It wants two directives: thread_pool tokenstore threads=4; and lua_shared_dict tokenstore 1m.

-- luacheck: ignore 143/ngx
local core = require "tokenstore.core"

local POOL = "tokenstore"
local DICT = "tokenstore"
local THREADS = 2      -- jobs at a time: nginx refuses what it has no Lua VM for, so they wait here
local PATIENCE = 2     -- seconds beyond the timeout that one waits for a fetch
local FAILURE_KEPT = 1 -- seconds for which a failure is the answer, where there are no keys
local LOOK = 1         -- seconds between two looks for newer keys

local nginx_keys = {}
local threads

-- For those who gave no logger.
function nginx_keys.log(level, text)
  ngx.log(level == "warning" and ngx.WARN or ngx.INFO, "tokenstore: ", text)
end

local function refuse(message)
  return nil, message, "configuration"
end

-- keys_open(options): connects nothing yet.
function nginx_keys.keys_open(given)
  if not ngx.run_worker_thread then
    return refuse("keys at a URL in nginx need a lua-nginx-module with run_worker_thread, and nginx with "
      .. "threads")
  elseif not ngx.shared[DICT] then
    return refuse "keys at a URL in nginx need the directive: lua_shared_dict tokenstore 1m;"
  end
  local names, parts = {}, {}
  for name in next, given do
    names[#names + 1] = name
  end
  table.sort(names)
  for _, name in ipairs(names) do
    parts[#parts + 1] = name .. "=" .. tostring(given[name])
  end
  return {
    identity = ngx.md5(table.concat(parts, "\0")),
    options = given,
    dict = ngx.shared[DICT],
    closed = false,
    version = 0,
    fresh_until = 0,
    good_until = 0,
    looked = 0,
    notes = "",
  }
end

local function key_of(handle, kind)
  return "keys-" .. kind .. ":" .. handle.identity
end

-- ---- the shared dict -------------------------------------------------------------------------------

-- Takes over what another worker has fetched.
local function look(handle, now)
  handle.looked = now
  local entry = handle.dict:get(key_of(handle, "text"))
  local version, fresh_until, good_until, text = (entry or ""):match "^(%d+) (%S+) (%S+)\n(.*)$"
  version = tonumber(version)
  if version and version ~= handle.version then
    local set = require("tokenstore.openssl").keyset_published(text)
    if set then -- the thread has read it already
      handle.set, handle.version = set, version
      handle.fresh_until, handle.good_until = tonumber(fresh_until), tonumber(good_until)
    end
  end
end

-- Are there keys here that may be used, and newer than `seen`?
local function has_newer(handle, seen, now)
  return handle.set and now < handle.good_until and handle.version ~= seen
end

-- Why the last fetch failed, and when.
local function last_failure(handle)
  local failure = handle.dict:get(key_of(handle, "failure"))
  local at, code, message = (failure or ""):match "^(%S+) (%S+) (.*)$"
  return tonumber(at), message, code
end

local function note(handle, level, text)
  handle.notes = handle.notes .. level .. text:gsub("%c", " ") .. "\n"
end

local function remember(handle, text, fresh)
  local now = ngx.now()
  local fresh_until = now + fresh
  local good_until = fresh_until + handle.options.max_stale
  local version = handle.dict:incr(key_of(handle, "version"), 1, 0)
  local entry = ("%d %.3f %.3f\n%s"):format(version or now, fresh_until, good_until, text)
  local ok, problem = handle.dict:set(key_of(handle, "text"), entry, good_until - now)
  if not ok then
    return ("the keys do not fit into lua_shared_dict %s (%s): make it larger"):format(DICT, problem)
  end
  handle.dict:delete(key_of(handle, "failure"))
  note(handle, "i", "keys fetched")
end

-- ---- fetching --------------------------------------------------------------------------------------

-- What nginx says when a thread cannot be had, with what to do.
local function explain(problem)
  if problem:find("thread pool", 1, true) then
    problem = problem .. " (nginx needs the directive: thread_pool tokenstore threads=4;)"
  elseif problem:find("no available Lua vm", 1, true) then
    problem = problem .. " (nginx needs a larger lua_worker_thread_vm_pool_size)"
  end
  return "keys at a URL in nginx: " .. problem
end

-- The text and for how long it is fresh; or nil, message, code.
local function download(handle)
  threads = threads or require("ngx.semaphore").new(THREADS)
  if not threads:wait(handle.options.timeout + PATIENCE) then
    return nil, "no thread is free: all are fetching keys", "timeout"
  end
  local ok, done, text, fresh, code =
    pcall(ngx.run_worker_thread, POOL, "tokenstore.nginx_keys_thread", "run", handle.identity, handle.options)
  threads:post()
  if not ok then
    return nil, explain(tostring(done)), "configuration"
  elseif not done then
    return nil, explain(tostring(text)), "configuration"
  end
  return text or nil, fresh, code
end

local function fetch(_, handle)
  local text, fresh, code = download(handle)
  local problem = fresh
  if text then
    problem, code = remember(handle, text, fresh), "configuration"
  end
  if problem then
    local now = ngx.now()
    local left = handle.good_until - now
    handle.dict:set(key_of(handle, "failure"), ("%.3f %s %s"):format(now, code, problem),
      math.max(handle.options.min_interval, FAILURE_KEPT))
    note(handle, "w", left > 0
      and ("could not fetch the keys; the old ones are used for up to %d s more: %s"):format(left, problem)
      or "could not fetch the keys, and there are none to use: " .. problem)
  end
  handle.dict:delete(key_of(handle, "lock"))
end

-- Starts a fetch unless one is under way, in whichever worker. It runs in a timer, which no client takes
-- along.
local function start(handle)
  if handle.dict:add(key_of(handle, "lock"), true, handle.options.timeout + 2 * PATIENCE) then
    handle.dict:delete(key_of(handle, "failure"))
    if not ngx.timer.at(0, fetch, handle) then
      handle.dict:delete(key_of(handle, "lock"))
    end
  end
end

-- Phases that can wait. What is there already can be had in any.
local WAITING = {
  rewrite = true, server_rewrite = true, access = true, content = true, timer = true,
  ssl_cert = true, ssl_client_hello = true,
}

-- Newer keys than `seen`, or why they could not be had.
local function await(handle, seen)
  local deadline, pause = core.clock() + handle.options.timeout + 2 * PATIENCE, 0.001
  repeat
    ngx.sleep(pause)
    pause = math.min(2 * pause, 0.02)
    if handle.closed then
      return nil, "the key set is closed", "closed"
    end
    look(handle, ngx.now())
    if has_newer(handle, seen, ngx.now()) then
      return handle.set, handle.version
    end
    local at, message, code = last_failure(handle)
    if at then
      return nil, message, code
    end
  until core.clock() >= deadline
  return nil, "no keys within the timeout", "timeout"
end

-- What a fetch may be started for: where there are no keys, a second after the last failure; for a token of
-- an unknown key, once in an interval. Otherwise the answer, which may be that failure.
local function may_start(handle, seen, now)
  if handle.dict:get(key_of(handle, "lock")) then
    return true -- it is under way
  end
  local at, message, code = last_failure(handle)
  if seen == 0 then
    if not at or now - at >= FAILURE_KEPT then
      return true
    end
  elseif handle.dict:add(key_of(handle, "asked"), true, handle.options.min_interval) then
    return true
  elseif not at then
    return false, false, seen
  end
  return false, nil, message .. " (a moment ago)", code
end

local function get(handle, seen)
  if handle.closed then
    return nil, "the key set is closed", "closed"
  end
  local now = ngx.now()
  if seen ~= 0 or now - handle.looked >= LOOK or not handle.set or now >= handle.fresh_until then
    look(handle, now)
  end
  if has_newer(handle, seen, now) then
    if now >= handle.fresh_until and not last_failure(handle) then
      start(handle)
    end
    return handle.set, handle.version
  end
  local may, keys, message, code = may_start(handle, seen, now)
  if not may then
    return keys, message, code
  elseif not WAITING[ngx.get_phase()] then
    return nil, ("cannot wait for a thread in %s_by_lua: decode in access_by_lua, or in a function for "
      .. "ngx.timer.at"):format(ngx.get_phase()), "configuration"
  end
  start(handle)
  return await(handle, seen)
end

-- ---- what remote_keys.lua calls ----------------------------------------------------------------------

function nginx_keys.keys_get(handle, seen)
  local keys, version, code = get(handle, seen)
  if handle.notes == "" then
    return keys, version, code
  end
  local notes = handle.notes
  handle.notes = ""
  return keys, version, code, notes
end

function nginx_keys.keys_helped(handle)
  handle.dict:delete(key_of(handle, "asked"))
end

function nginx_keys.keys_close(handle)
  handle.closed = true
  return true
end

return nginx_keys
