-- What a worker remembers of the sessions that its guards found lately.
--
-- No session is kept beyond its end. That is by the server's clock, which is asked once a minute how far it
-- is ahead of ours.

local core = require "tokenstore.core"

local clock = core.clock

local SIZE = 10000   -- entries for each store
local KEY_MAX = 4096 -- bytes, so that nobody fills the memory with long cookies
local CLOCK_AGE = 60 -- seconds

local cache = {}

-- For each store what it found.
local entries = setmetatable({}, { __mode = "k" })

-- For each store how many seconds its server's clock is ahead of clock(), and when that was asked.
local clocks = setmetatable({}, { __mode = "k" })

local function of_store(store)
  local found = entries[store]
  if not found then
    found = assert(require("resty.lrucache").new(SIZE))
    entries[store] = found
  end
  return found
end

-- The server's time, or a little later; nil where it cannot be asked.
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

-- For how long a session may be kept that was found just now.
local function time_to_keep(store, session, seconds)
  if not session.expires_at then
    return seconds
  end
  local now = server_time(store)
  return now and math.min(seconds, session.expires_at - now) or 0
end

-- What is remembered of `key`: a session or nil.
function cache.get(store, key)
  return of_store(store):get(key)
end

-- Remembers a session for so many seconds at most.
function cache.set(store, key, session, seconds)
  local left = #key <= KEY_MAX and time_to_keep(store, session, seconds) or 0
  if left > 0 then
    of_store(store):set(key, session, left)
  end
end

return cache
