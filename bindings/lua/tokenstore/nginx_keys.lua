-- jwt.KeySet.from_url in nginx: remote_keys.lua uses this in place of tokenstore.oauth. The rules are those
-- of core/io/remote_keys.c; nginx's threads fetch the keys (nginx_threads.lua).
--
--   this worker   keeps the keys, and checks once a second for newer ones
--   all workers   have their text in the shared dict; one of them fetches, in a timer, and the others wait
--                 for it

-- luacheck: ignore 143/ngx
local threads = require "tokenstore.nginx_threads"

local WHAT = "keys at a URL in nginx"
local NAMES = { closed = "the key set is closed", late = "no keys within the timeout" }
local LIMITS = { { name = "key sets", jobs = 2, busy = "all are fetching keys" } }
local PATIENCE = 2     -- seconds beyond the timeout to wait for a fetch
local FAILURE_KEPT = 1 -- seconds for which a failure is returned, if there are no keys
local LOOK = 1         -- seconds between checks for newer keys

local nginx_keys = {}

-- Without a logger.
function nginx_keys.log(level, text)
  ngx.log(level == "warning" and ngx.WARN or ngx.INFO, "tokenstore: ", text)
end

-- keys_open(options): does not connect yet.
function nginx_keys.keys_open(given)
  local dict, message, code = threads.dict(WHAT)
  if not dict then
    return nil, message, code
  end
  return {
    identity = threads.identify(given),
    options = given,
    dict = dict,
    names = NAMES,
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

-- Loads the keys that another worker has fetched.
local function look(handle, now)
  handle.looked = now
  local entry = handle.dict:get(key_of(handle, "text"))
  local version, fresh_until, good_until, text = (entry or ""):match "^(%d+) (%S+) (%S+)\n(.*)$"
  version = tonumber(version)
  if version and version ~= handle.version then
    local set = require("tokenstore.openssl").keyset_published(text)
    if set then -- always: the thread has parsed it already
      handle.set, handle.version = set, version
      handle.fresh_until, handle.good_until = tonumber(fresh_until), tonumber(good_until)
    end
  end
end

-- True if there are usable keys newer than `seen`.
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
    return ("the keys do not fit into lua_shared_dict tokenstore (%s): make it larger"):format(problem)
  end
  handle.dict:delete(key_of(handle, "failure"))
  note(handle, "i", "keys fetched")
end

-- ---- fetching --------------------------------------------------------------------------------------

-- The text and for how long it is fresh; or nil, message, code.
local function download(handle)
  local ok, text, fresh, code = threads.run(WHAT, LIMITS, handle.options.timeout + PATIENCE, "download",
    handle.identity, handle.options)
  if not ok then
    return nil, text, fresh
  end
  return text or nil, fresh, code
end

local function fetch(handle)
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
      and ("could not fetch the keys; using the old ones for up to %d s more: %s"):format(left, problem)
      or "could not fetch the keys, and none are cached: " .. problem)
  end
end

-- Asked once more by the holder of the lock: the fetch before may have ended since the caller looked.
local function is_due(handle, seen)
  local now = ngx.now()
  look(handle, now)
  if has_newer(handle, seen, now) and now < handle.fresh_until then
    return false
  end
  handle.dict:delete(key_of(handle, "failure"))
  return true
end

local function start(handle, seen)
  threads.start(handle, key_of(handle, "lock"), handle.options.timeout + 2 * PATIENCE, is_due, fetch, seen)
end

-- Newer keys than `seen`, or why there are none.
local function find(handle, seen)
  look(handle, ngx.now())
  if has_newer(handle, seen, ngx.now()) then
    return { handle.set, handle.version }
  end
  local at, message, code = last_failure(handle)
  return at and { nil, message, code }
end

-- Whether a fetch may start: without keys, a second after the last failure; for a token with an unknown
-- key, once in an interval. Otherwise false and the results, perhaps that failure.
local function may_start(handle, seen, now)
  if handle.dict:get(key_of(handle, "lock")) then
    return true -- a fetch is in progress
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
    return nil, NAMES.closed, "closed"
  end
  local now = ngx.now()
  if seen ~= 0 or now - handle.looked >= LOOK or not handle.set or now >= handle.fresh_until then
    look(handle, now)
  end
  if has_newer(handle, seen, now) then
    if now >= handle.fresh_until and not last_failure(handle) then
      start(handle, seen)
    end
    return handle.set, handle.version
  end
  local may, keys, message, code = may_start(handle, seen, now)
  if not may then
    return keys, message, code
  end
  message, code = threads.refuse_phase "decode"
  if message then
    return nil, message, code
  end
  start(handle, seen)
  return threads.await(handle, handle.options.timeout + 2 * PATIENCE, find, seen)
end

-- ---- called by remote_keys.lua ---------------------------------------------------------------------

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
