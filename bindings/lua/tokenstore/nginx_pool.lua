-- nginx's pools of idle connections, one for each set of equal settings.
--
-- nginx does not show a pooled connection's age, and cannot empty a pool. So a pool is abandoned: the next
-- connections use another name, those in use are closed when they are returned, and the idle ones end with
-- lua_socket_keepalive_timeout. A pool is abandoned
--
--   at its age      max_connection_age, at random per worker, so that no connection is older
--   for a reason    the server could not serve, or a connection was unresponsive

local core = require "tokenstore.core"

local QUEUE = 65536 -- maximum number of calls waiting for a connection of a pool

local pool = {}

-- By the settings of a connection: clients with equal settings share a pool.
local pools = {}

-- The same for clients with `credentials`, by that function: a number, and their pools.
local asking = setmetatable({}, { __mode = "k" })
local functions = 0

local function pools_of(credentials)
  if not credentials then
    return pools, ""
  end
  local own = asking[credentials]
  if not own then
    functions = functions + 1
    own = { suffix = ":" .. functions, pools = {} }
    asking[credentials] = own
  end
  return own.pools, own.suffix
end

local function give_name(self)
  self.generation = self.generation + 1
  self.options = {
    pool = ("tokenstore:%s:%d"):format(self.identity, self.generation),
    pool_size = self.size,
    backlog = QUEUE,
  }
end

-- The pool for connections to a target, opened with the result of `credentials` if that is a function.
function pool.of(target, info, credentials)
  local known, suffix = pools_of(credentials)
  local self = known[info.identity]
  if not self then
    self = {
      target = target,
      identity = info.identity .. suffix,
      size = info.pool_size,
      generation = 0,
      opened = 0, -- connections, by this worker
      used_at = 0,
      renewable_at = 0,
    }
    give_name(self)
    known[info.identity] = self
  end
  return self
end

-- The options of connect(), for a connection opened now.
function pool.options(self, now)
  if not self.left_at then -- the first in this worker; clients are created before there are workers
    self.left_at = now + core.draw_age(self.target)
  elseif now >= self.left_at then
    self.left_at = now + core.draw_age(self.target)
    give_name(self)
  end
  return self.options
end

function pool.note_opened(self)
  self.opened = self.opened + 1
end

-- No connection opened with `options` is reused.
function pool.leave(self, options)
  if self.options == options then
    give_name(self)
  end
end

-- The same, because the server has become a replica. While it is one, a new connection for each call would
-- not help.
function pool.give_up(self, options, now)
  if self.options == options and now >= self.renewable_at then
    self.renewable_at = now + core.renew_every
    give_name(self)
  end
end

-- True if a connection opened with `options`, and last used at `now`, may be reused.
function pool.keeps(self, options, now)
  if self.options == options then
    self.used_at = now
    return true
  end
  return false
end

-- True if no connection of this pool was used for so long that all may be dead. (nginx takes the one returned
-- last.)
function pool.is_doubtful(self, now)
  return now - self.used_at >= core.probe_after
end

return pool
