-- A worker's cache of recently found sessions.
--
-- No session is cached beyond its expiry by the server's clock, whose offset to ours is read once a minute.

local core = require "tokenstore.core"

local clock = core.clock

local SIZE = 10000   -- entries for each store
local KEY_MAX = 4096 -- bytes, so that long cookies cannot fill the memory
local CLOCK_AGE = 60 -- seconds

local cache = {}

-- The found sessions by store.
local entries = setmetatable({}, { __mode = "k" })

-- By store: how many seconds its server's clock is ahead of clock(), and when that was read.
local clocks = setmetatable({}, { __mode = "k" })

local function of_store(store)
  local found = entries[store]
  if not found then
    found = assert(require("resty.lrucache").new(SIZE))
    entries[store] = found
  end
  return found
end

-- The server's time, or a little later; nil if it cannot be read.
local function server_time(store)
  local now, known = clock(), clocks[store]
  if not known or now - known.asked > CLOCK_AGE then
    local time = store.client:execute "TIME"
    if not time then
      return nil
    end
    known = { asked = now, ahead = time[1] + time[2] / 1e6 - now }
    clocks[store] = known
  end
  return clock() + known.ahead
end

-- For how long a session just found may be cached.
local function time_to_keep(store, session, seconds)
  if not session.expires_at then
    return seconds
  end
  local now = server_time(store)
  return now and math.min(seconds, session.expires_at - now) or 0
end

-- The cached session of `key`, or nil.
function cache.get(store, key)
  return of_store(store):get(key)
end

-- Caches a session for at most this many seconds.
function cache.set(store, key, session, seconds)
  local left = #key <= KEY_MAX and time_to_keep(store, session, seconds) or 0
  if left > 0 then
    of_store(store):set(key, session, left)
  end
end

return cache
