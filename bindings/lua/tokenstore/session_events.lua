-- SessionEvents: session events, as Redis reports them, for RedisJWT's events, on and poll.
--
--     local events = assert(jwt:events())         -- listens from now on, on a separate connection
--     for event in events do                      -- until events:close()
--       print(event.kind, event.id)
--     end
--     local event = events:next(5)                -- or: wait for at most 5 seconds
--
-- An event is a table: { kind = "expired" or "del", id = …, rjwt = … }, or, after a lost connection or a
-- change of the primaries, { kind = "gap", lost_at = …, restored_at = … }: Redis does not queue events for
-- absent subscribers, so events between these two (seconds since the epoch) may be missing.
--
-- Lua has no threads: callbacks are called while the program waits in poll.

local core = require "tokenstore.core"

local clock, max = core.clock, math.max

local KINDS = { expired = true, del = true, gap = true }

local Events = { __name = "tokenstore.SessionEvents" }
Events.__index = Events

local function check_seconds(name, value, level)
  if value ~= nil and (type(value) ~= "number" or not (value >= 0 and value <= 315360000)) then
    error(("bad %s (0 to 315360000 seconds expected, got %s)"):format(name, tostring(value)), level + 1)
  end
end

-- Listens with the settings of `client`, a Client. `settings`: kea (true: enable the events on the server,
-- by CONFIG SET) and keepalive (seconds of silence before a PING). nil, message, code.
function Events.open(client, settings)
  local driver = client._driver
  check_seconds("option 'keepalive'", settings.keepalive, 3)
  if not driver.session_events then
    return nil, "session events wait on a connection, which would block nginx: use them in a "
      .. "separate program", "configuration"
  end
  local handle, message, code = driver.session_events(client._handle, settings.kea, settings.keepalive)
  if not handle then
    return nil, message, code
  end
  local credentials, give = client._credentials, driver.session_events_give
  local function ask()
    return give(handle, credentials())
  end
  local open
  repeat
    open, message, code = driver.session_events_open(handle)
    if open == false then
      local given
      given, message, code = ask()
      if not given then
        return nil, message, code
      end
    end
  until open ~= false
  if not open then
    return nil, message, code
  end
  return setmetatable({
    closed = false,
    _handle = handle,
    _ask = ask,
    _next = driver.session_events_next,
    _close = driver.session_events_close,
    _callbacks = {},
  }, Events)
end

-- next(timeout): the next event, within as many seconds (nil: forever; 0: only what has arrived); nil if
-- there was none. While the server is down it may take connect_timeout if that is longer.
function Events:next(timeout)
  check_seconds("timeout", timeout, 2)
  local till = timeout and clock() + timeout
  while true do
    local kind, a, b = self._next(self._handle, till and max(0, till - clock()))
    if kind == "asks" then
      kind, a, b = self._ask()
    end
    if kind == "gap" then
      return { kind = kind, lost_at = a, restored_at = b }
    elseif KINDS[kind] then
      return { kind = kind, id = a, rjwt = b }
    elseif not kind then
      if a then
        return nil, a, b
      end
      return nil
    end
  end
end

-- For loops: `for event in events do`. Ends after close(); a failure is raised, since a loop cannot return
-- it.
function Events:__call()
  if self.closed then
    return nil
  end
  local event, message = self:next()
  if not event and not self.closed then
    error(message, 2)
  end
  return event
end

-- on(kind, callback): poll calls callback(event) for every event of this kind, "expired", "del" or "gap".
function Events:on(kind, callback)
  Events.add(self, kind, callback, 2)
end

-- The same; errors point `level` functions up, as of error().
function Events:add(kind, callback, level)
  if not KINDS[kind] then
    error(("bad argument #1 to 'on' (%q, %q or %q expected, got %s)"):format("expired", "del", "gap",
      tostring(kind)), level + 1)
  elseif type(callback) ~= "function" then
    error("bad argument #2 to 'on' (function expected, got " .. type(callback) .. ")", level + 1)
  end
  local list = self._callbacks[kind] or {}
  self._callbacks[kind] = list
  list[#list + 1] = callback
end

-- poll(timeout): waits for an event like next, calls the callbacks for it and for all others that have
-- arrived, and returns how many events there were. An error in a callback is raised here.
function Events:poll(timeout)
  check_seconds("timeout", timeout, 2)
  local count = 0
  local event, message, code = self:next(timeout)
  while event do
    count = count + 1
    for _, callback in ipairs(self._callbacks[event.kind] or {}) do
      callback(event)
    end
    if self.closed then
      return count
    end
    event, message, code = self:next(0)
  end
  if message and count == 0 then
    return nil, message, code
  end
  return count
end

-- Closes the connection. May be called twice.
function Events:close()
  self.closed = true
  self._close(self._handle)
end

Events.__close = Events.close

function Events:__tostring()
  return "tokenstore.SessionEvents" .. (self.closed and " (closed)" or "")
end

return Events
