-- What is behind a Spike in nginx. Fetching an access token blocks, so it is done by threads of nginx's
-- (ngx.run_worker_thread), by nginx_spike_thread.lua there. spike.lua calls this as tokenstore.oauth.
--
--   this worker   keeps each token with its times, in a table
--   all workers   have them in the shared dict; one of them fetches, the others wait for what it brings
--   failures      are in the shared dict as well, so that no worker asks again too soon
--   renewing      from a token's renewal time on somebody asks for the next one, in a timer; the old one is
--                 given out meanwhile
--
-- It wants two directives: thread_pool tokenstore threads=4; and lua_shared_dict tokenstore 1m.

-- luacheck: ignore 143/ngx
local core = require "tokenstore.core"

local POOL = "tokenstore"
local DICT = "tokenstore"
local THREADS = 4      -- jobs at a time: nginx refuses what it has no Lua VM for, so they wait here
local SHARE = 2        -- of one Spike: a server that hangs leaves threads for others
local PATIENCE = 5     -- seconds beyond the retry budget that one waits for another's fetch
local FAILURE_KEPT = 1 -- seconds at least, so that those who waited can read why it failed
local READABLE = 0.05  -- seconds
local RENEW_PAUSE = 1  -- seconds between two tries to renew

local nginx_spike = { asks_itself = true }

-- Of this worker: by identity, tokens by request, and who may use threads.
local known = {}
local shares = {}
local threads

-- All times are by this clock: nobody sets it, it goes on while the machine sleeps, and all workers have it.
local now = core.boot_clock

-- What must be alike for tokens to be shared, as a short name.
local function identify(source, given)
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
  add("options", given)
  add("source", source or "none")
  return ngx.md5(table.concat(parts, "\0"))
end

local function refuse(message)
  return nil, message, "configuration"
end

-- spike(client's handle or nil, options): connects nothing yet.
function nginx_spike.spike(client, given, ask)
  if not ngx.run_worker_thread then
    return refuse "Spike in nginx needs a lua-nginx-module with run_worker_thread, and nginx with threads"
  elseif not ngx.shared[DICT] then
    return refuse "Spike in nginx needs the directive: lua_shared_dict tokenstore 1m;"
  end
  if client and client.credentials then
    return refuse("redis: Spike in nginx needs a client with user and password in its URL: its threads have "
      .. "their own Lua states and cannot call the credentials function")
  end
  local source = client and client.source
  local identity = identify(source, given)
  known[identity] = known[identity] or {}
  return {
    closed = false,
    identity = identity,
    options = given,
    ask = ask,
    source = source,
    tokens = known[identity],
    dict = ngx.shared[DICT],
    patience = given.total + PATIENCE,
    initialized = given.opaque and not given.discover,
    notes = "",
  }
end

-- ---- the shared dict -------------------------------------------------------------------------------

local function key_of(handle, kind, request)
  return kind .. ":" .. handle.identity .. ":" .. request
end

local function remember(handle, request, token, good_until, renew_at)
  local left = good_until - now()
  handle.tokens[request] = { token = token, good_until = good_until, renew_at = renew_at }
  if left > 0 then
    local text = ("%.3f %.3f %s"):format(good_until, renew_at, token)
    handle.dict:set(key_of(handle, "token", request), text, left)
  end
end

-- The token that this worker, or another one, has; nil where there is none that is good.
local function recall(handle, request)
  local entry = handle.tokens[request]
  if entry and now() < entry.renew_at then
    return entry
  end
  local text = handle.dict:get(key_of(handle, "token", request))
  local good_until, renew_at, token = (text or ""):match "^(%S+) (%S+) (.*)$"
  if token then
    entry = { token = token, good_until = tonumber(good_until), renew_at = tonumber(renew_at) }
    handle.tokens[request] = entry
  elseif entry and not text then
    entry = nil -- invalidated, or over
    handle.tokens[request] = nil
  end
  return entry and now() < entry.good_until and entry or nil
end

-- Failures: until, code, message and what the server said; none of them holds a NUL.
local ANSWER = { "status", "error", "error_description", "error_uri", "location", "of_client" }
local KINDS = { status = tonumber, of_client = function() return true end }
local AGAIN = "; next request in %.1f s"

local function remember_failure(handle, request, code, message, answer)
  answer = answer or {}
  local kept = math.max(answer.retry_after or 0, FAILURE_KEPT)
  message = message:gsub("; next request in [%d.]+ s$", "")
  local parts = { ("%.3f"):format(now() + kept), code, message }
  for _, name in ipairs(ANSWER) do
    parts[#parts + 1] = tostring(answer[name] or "")
  end
  local text = table.concat(parts, "\0")
  handle.dict:set(key_of(handle, "failure", request), text, kept)
  if answer.of_client then
    handle.dict:set(key_of(handle, "barred", ""), text, kept)
  end
end

-- nil, message, code, answer; nothing where there is no failure, or none any more.
local function recall_failure(handle, request)
  local text = handle.dict:get(key_of(handle, "failure", request))
  local barred = not text and handle.dict:get(key_of(handle, "barred", ""))
  text = text or barred
  if not text then
    return
  end
  local parts = {}
  for part in (text .. "\0"):gmatch "(%Z*)%z" do
    parts[#parts + 1] = part
  end
  local left = tonumber(parts[1]) - now()
  if left <= 0 then
    return
  end
  local answer = { retry_after = left }
  for i, name in ipairs(ANSWER) do
    local value = parts[3 + i]
    answer[name] = value ~= "" and (KINDS[name] or tostring)(value) or nil
  end
  local code, message = parts[2], parts[3] .. (barred and ", a moment ago" or "")
  if code == "spike" or code == "spike_auth" then
    return { message = message .. AGAIN:format(left), code = code, answer = answer }
  end
  return { message = message, code = code }
end

-- ---- jobs ------------------------------------------------------------------------------------------

-- Lets a thread do it: ok, and what it gives; or false and why not.
local function in_thread(handle, method, ...)
  local semaphore = require "ngx.semaphore"
  threads = threads or semaphore.new(THREADS)
  shares[handle.identity] = shares[handle.identity] or semaphore.new(SHARE)
  local share = shares[handle.identity]
  if not share:wait(handle.patience) then
    return false, "no thread is free: those of this Spike are waiting for its server"
  elseif not threads:wait(handle.patience) then
    share:post()
    return false, "no thread is free: all are fetching tokens"
  end
  local results = { pcall(ngx.run_worker_thread, POOL, "tokenstore.nginx_spike_thread", "run",
    handle.identity, handle.source, handle.options, method, ...) }
  threads:post()
  share:post()
  if not results[1] then
    return false, tostring(results[2])
  elseif not results[2] then
    return false, tostring(results[3])
  end
  return true, unpack(results, 3, 8)
end

-- What nginx says when a thread cannot be had, with what to do.
local function explain(problem)
  if problem:find("thread pool", 1, true) then
    problem = problem .. " (nginx needs the directive: thread_pool tokenstore threads=4;)"
  elseif problem:find("no available Lua vm", 1, true) then
    problem = problem .. " (nginx needs a larger lua_worker_thread_vm_pool_size)"
  end
  return "Spike in nginx: " .. problem, "configuration"
end

-- What the function gives for the client's secret or assertion; nil where there is none to ask. nil, message.
-- It runs in the timer, where it may use cosockets.
local function ask(handle)
  if not handle.ask then
    return nil
  end
  local called, given, problem = pcall(handle.ask)
  if called and type(given) == "string" and given ~= "" then
    return given
  end
  return nil, "the function for client_secret or client_assertion: " .. tostring(not called and given
    or given == nil and problem
    or "it returned " .. (given == "" and "an empty string" or "a " .. type(given)))
end

-- Fetches for whoever waits, and lets them go on.
local function fetch(_, handle, request)
  local rejected = handle.dict:get(key_of(handle, "rejected", request))
  local given, why = ask(handle)
  local ok, token, good_for, renew_in, code, notes, answer, message
  if not why then
    ok, token, good_for, renew_in, code, notes, answer =
      in_thread(handle, "get", request, rejected, given)
  end
  if why then
    message, code = why, "configuration"
  elseif not ok then
    message, code = explain(token)
  elseif code then
    message = token
  else
    handle.initialized = true
    -- Those who wait must be able to read it; a renewal that did not come about yet is tried again soon.
    local t = now()
    local good_until = t + math.max(good_for, READABLE)
    remember(handle, request, token, good_until,
      math.min(good_until, t + math.max(renew_in, RENEW_PAUSE)))
  end
  if message then
    remember_failure(handle, request, code, message, answer)
  end
  if notes then
    handle.notes = handle.notes .. notes
  end
  handle.dict:delete(key_of(handle, "lock", request))
end

-- Where nobody is on it. It is done in a timer, which no client can take along.
local function start_fetch(handle, request)
  local ours = handle.dict:add(key_of(handle, "lock", request), true, handle.patience)
  if ours and (recall_failure(handle, request) or not ngx.timer.at(0, fetch, handle, request)) then
    handle.dict:delete(key_of(handle, "lock", request))
  end
end

-- Waits until whoever fetches is done.
local function await(handle, request, timeout)
  local deadline, pause = core.clock() + math.min(timeout or math.huge, handle.patience), 0.001
  repeat
    ngx.sleep(pause)
    pause = math.min(2 * pause, 0.02)
    if handle.closed then
      return nil, "the Spike is closed", "closed"
    end
    local entry = recall(handle, request)
    if entry then
      return entry.token
    end
    local failure = recall_failure(handle, request)
    if failure then
      return nil, failure.message, failure.code, failure.answer
    end
    start_fetch(handle, request) -- who was on it may be gone
  until core.clock() >= deadline
  return nil, "no access token within the timeout", "timeout"
end

-- ---- what spike.lua calls --------------------------------------------------------------------------

-- Phases that can wait. A cached token is available in any phase.
local WAITING = {
  rewrite = true, server_rewrite = true, access = true, content = true, timer = true,
  ssl_cert = true, ssl_client_hello = true,
}

local function check(handle)
  if handle.closed then
    return nil, "the Spike is closed", "closed"
  elseif not WAITING[ngx.get_phase()] then
    return nil, ("cannot wait for a thread in %s_by_lua: get the token in access_by_lua, or in a "
      .. "function for ngx.timer.at"):format(ngx.get_phase()), "configuration"
  end
  return true
end

local function with_notes(handle, token, message, code, answer)
  local notes = handle.notes
  handle.notes = ""
  return token, message, code, notes ~= "" and notes or nil, answer
end

function nginx_spike.get(handle, request, _, timeout)
  if timeout and not (timeout >= 0.001 and timeout <= 315360000) then
    return nil, "timeout must be between 0.001 and 315360000 seconds", "data"
  end
  local entry = not handle.closed and recall(handle, request)
  if entry then
    if now() >= entry.renew_at then
      start_fetch(handle, request)
    end
    return with_notes(handle, entry.token)
  end
  local ok, message, code = check(handle)
  if not ok then
    return nil, message, code
  end
  local failure = recall_failure(handle, request)
  if failure then
    return with_notes(handle, nil, failure.message, failure.code, failure.answer)
  end
  start_fetch(handle, request)
  return with_notes(handle, await(handle, request, timeout))
end

function nginx_spike.invalidate(handle, request, token)
  local ok, message, code = check(handle)
  if not ok then
    return nil, message, code
  end
  -- Threads have memories of their own: whichever is asked next is told.
  handle.dict:set(key_of(handle, "rejected", request), token)
  handle.dict:delete(key_of(handle, "failure", request))
  local entry = recall(handle, request)
  if entry and entry.token == token then
    handle.tokens[request] = nil
    handle.dict:delete(key_of(handle, "token", request))
  end
  local done, result, why, notes
  ok, done, result, why, notes = in_thread(handle, "invalidate", request, token)
  if not ok then
    return nil, explain(done)
  end
  return done, result, why, notes
end

function nginx_spike.initialize(handle)
  local ok, message, code = check(handle)
  if not ok then
    return nil, message, code
  end
  local done, result, why, notes, answer
  ok, done, result, why, notes, answer = in_thread(handle, "initialize")
  if not ok then
    return nil, explain(done)
  end
  handle.initialized = handle.initialized or done
  return done, result, why, notes, answer
end

function nginx_spike.is_initialized(handle)
  return handle.initialized and not handle.closed
end

function nginx_spike.close(handle)
  handle.closed = true
  return true
end

return nginx_spike
