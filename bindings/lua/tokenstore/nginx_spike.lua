-- Spike in nginx. Fetching an access token blocks, so nginx's threads do it (nginx_threads.lua). spike.lua
-- uses this in place of tokenstore.oauth.
--
--   this worker   keeps each token with its times, in a table
--   all workers   share them in the shared dict; one of them fetches, the others wait for its result
--   failures      are in the shared dict as well, so that no worker sends a request too soon
--   renewing      from a token's renewal time on a timer fetches the next one; the old one is returned
--                 meanwhile

-- luacheck: ignore 143/ngx
local core = require "tokenstore.core"
local threads = require "tokenstore.nginx_threads"

local WHAT = "Spike in nginx"
local NAMES = { closed = "the Spike is closed", late = "no access token within the timeout" }
local ALL = { name = "spike", jobs = 4, busy = "all are fetching tokens" }
local SHARE = 2        -- jobs of one Spike: a server that hangs leaves threads for others
local PATIENCE = 5     -- seconds beyond the retry budget to wait for another worker's fetch
local FAILURE_KEPT = 1 -- seconds at least, so that waiting requests can read the failure
local READABLE = 0.05  -- seconds
local RENEW_PAUSE = 1  -- seconds between attempts to renew

local nginx_spike = { asks_itself = true }

-- Of this worker: by identity, tokens by request.
local known = {}

-- All times are by this clock: it cannot be set, runs while the machine sleeps, and is common to all
-- workers.
local now = core.boot_clock

-- spike(client's handle or nil, options): does not connect yet.
function nginx_spike.spike(client, given, ask)
  local dict, why, kind = threads.dict(WHAT)
  if not dict then
    return nil, why, kind
  end
  if client and client.credentials then
    return nil, "redis: Spike in nginx needs a client with user and password in its URL: its threads have "
      .. "their own Lua states and cannot call the credentials function", "configuration"
  end
  local source = client and client.source
  local identity = threads.identify { options = given, source = source or "none" }
  known[identity] = known[identity] or {}
  return {
    closed = false,
    identity = identity,
    options = given,
    ask = ask,
    source = source,
    tokens = known[identity],
    dict = dict,
    names = NAMES,
    limits = {
      { name = identity, jobs = SHARE, busy = "those of this Spike are waiting for its server" }, ALL,
    },
    patience = (given.spike["retry.total"] or 10) + PATIENCE,
    initialized = given.spike.token_format == "opaque" and not given.spike.discover,
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

-- The token of this worker, or another one; nil if there is no valid one.
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
    entry = nil -- invalidated or expired
    handle.tokens[request] = nil
  end
  return entry and now() < entry.good_until and entry or nil
end

-- Failures: until, code, message and the server's answer; none contains a NUL.
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

-- nil, message, code, answer; nothing if there is no failure, or it has expired.
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

-- true and the thread's results; or false, message, code.
local function in_thread(handle, method, ...)
  return threads.run(WHAT, handle.limits, handle.patience, method, handle.identity, handle.source,
    handle.options, ...)
end

-- The function's result for the client's secret or assertion; nil if there is no function. nil, message. It
-- runs in the timer, where it may use cosockets.
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

-- Fetches for the waiting requests, and resumes them.
local function fetch(handle, request)
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
    message, code = token, "configuration"
  elseif code then
    message = token
  else
    handle.initialized = true
    -- Waiting requests must be able to read it; a failed renewal is retried soon.
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
end

-- Asked once more by the holder of the lock: the fetch before may have ended since the caller looked.
local function is_due(handle, request)
  local entry = recall(handle, request)
  return not (entry and now() < entry.renew_at) and not recall_failure(handle, request)
end

local function start_fetch(handle, request)
  threads.start(handle, key_of(handle, "lock", request), handle.patience, is_due, fetch, request)
end

-- The result of a fetch by any worker.
local function find(handle, request)
  local entry = recall(handle, request)
  if entry then
    return { entry.token }
  end
  local failure = recall_failure(handle, request)
  if failure then
    return { nil, failure.message, failure.code, failure.answer }
  end
  start_fetch(handle, request) -- the fetching worker may be gone
end

-- ---- what spike.lua calls --------------------------------------------------------------------------

-- message, code if the phase cannot wait; a cached token is available in any phase.
local function refuse(handle)
  if handle.closed then
    return NAMES.closed, "closed"
  end
  return threads.refuse_phase "get the token"
end

local function with_notes(handle, token, message, code, answer)
  local notes = handle.notes
  handle.notes = ""
  return token, message, code, notes ~= "" and notes or nil, answer
end

function nginx_spike.get(handle, request, _, timeout)
  local seconds, problem, problem_code = core.timeout(timeout)
  if problem then
    return nil, problem, problem_code
  end
  local entry = not handle.closed and recall(handle, request)
  if entry then
    if now() >= entry.renew_at then
      start_fetch(handle, request)
    end
    return with_notes(handle, entry.token)
  end
  local message, code = refuse(handle)
  if message then
    return nil, message, code
  end
  local failure = recall_failure(handle, request)
  if failure then
    return with_notes(handle, nil, failure.message, failure.code, failure.answer)
  end
  start_fetch(handle, request)
  local wait = math.min(seconds or math.huge, handle.patience)
  return with_notes(handle, threads.await(handle, wait, find, request))
end

function nginx_spike.invalidate(handle, request, token)
  local message, code = refuse(handle)
  if message then
    return nil, message, code
  end
  -- Threads have their own memories: the next one to run is told.
  handle.dict:set(key_of(handle, "rejected", request), token)
  handle.dict:delete(key_of(handle, "failure", request))
  local entry = recall(handle, request)
  if entry and entry.token == token then
    handle.tokens[request] = nil
    handle.dict:delete(key_of(handle, "token", request))
  end
  local ok, done, result, why, notes = in_thread(handle, "invalidate", request, token)
  if not ok then
    return nil, done, "configuration"
  end
  return done, result, why, notes
end

function nginx_spike.initialize(handle)
  local message, code = refuse(handle)
  if message then
    return nil, message, code
  end
  local ok, done, result, why, notes, answer = in_thread(handle, "initialize")
  if not ok then
    return nil, done, "configuration"
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
