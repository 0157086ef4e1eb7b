-- A worker's cache of recently found sessions.
--
-- No session is cached beyond its expiry by the server's clock, whose offset to ours is read once a minute.
-- One that this worker ended is not found again, under none of its tokens, also if another request had asked
-- for it before and gets its answer later.

local core = require "tokenstore.core"

local clock = core.clock

local SIZE = 10000   -- entries for each store, and ended sessions
local KEY_MAX = 4096 -- bytes, so that long cookies cannot fill the memory
local CLOCK_AGE = 60 -- seconds

local cache = { clock = clock }

-- The found sessions by store.
local entries = setmetatable({}, { __mode = "k" })

-- By store: how many seconds its server's clock is ahead of clock(), and when that was read.
local clocks = setmetatable({}, { __mode = "k" })

-- By store: when sessions were ended, `at` by their sid, and how many that are. What was asked for before
-- that, or at all before `since`, does not count.
local endings = setmetatable({}, { __mode = "k" })

local function of_store(store)
  local found = entries[store]
  if not found then
    found = assert(require("resty.lrucache").new(SIZE))
    entries[store] = found
    endings[store] = { at = {}, count = 0, since = clock() }
  end
  return found
end

-- The server's time, or a little later; nil if it cannot be read.
function cache.server_time(store)
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
  local now = cache.server_time(store)
  return now and math.min(seconds, session.expires_at - now) or 0
end

-- The cached session of `key`, or nil.
function cache.get(store, key)
  local entry = of_store(store):get(key)
  if not entry then
    return nil
  end
  local ended = endings[store]
  local since = ended.at[entry.session.sid] or ended.since
  return entry.asked > since and entry.session or nil
end

-- Caches a session for at most this many seconds. `asked`: when Redis was asked for it, by cache.clock().
function cache.set(store, key, session, seconds, asked)
  local left = #key <= KEY_MAX and time_to_keep(store, session, seconds) or 0
  if left > 0 then
    of_store(store):set(key, { session = session, asked = asked }, left)
  end
end

-- This worker just ended the session, or gave it another token. Without a sid: one that is not known.
function cache.forget(store, sid)
  local ended, now = endings[store], clock()
  if not ended then
    return -- nothing was ever cached
  elseif not sid or ended.count == SIZE then
    ended.at, ended.count, ended.since = {}, 0, now
    return
  elseif not ended.at[sid] then
    ended.count = ended.count + 1
  end
  ended.at[sid] = now
end

return cache
