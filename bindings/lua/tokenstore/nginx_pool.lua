-- The pools of nginx that idle connections wait in, one for each set of connections that are alike.
--
-- nginx does not say how old a pooled connection is, and has no way to empty a pool. So a pool is left: the
-- next connections come from one with another name, those in use are closed when they come back, and the
-- idle ones end with lua_socket_keepalive_timeout. A pool is left
--
--   at its age      max_connection_age, drawn in each worker, so that no connection is older
--   for a reason    the server behind it could not serve, or a connection in it was silent

local core = require "tokenstore.core"

local QUEUE = 65536 -- calls that wait for a connection of a pool, at most

local pool = {}

-- By what makes a connection what it is: clients with equal settings have the same pool.
local pools = {}

-- The same for clients with `credentials`, by that function, which alone knows whom it lets in: their number,
-- and their pools.
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

-- The pool for connections to a target, opened with what `credentials` gives where that is a function.
function pool.of(target, info, credentials)
  local known, suffix = pools_of(credentials)
  local self = known[info.identity]
  if not self then
    self = {
      target = target,
      identity = info.identity .. suffix,
      size = info.pool_size,
      generation = 0,
      used_at = 0,
      renewable_at = 0,
    }
    give_name(self)
    known[info.identity] = self
  end
  return self
end

-- What connect() wants, for a connection that is opened now.
function pool.options(self, now)
  if not self.left_at then -- the first in this worker; clients are made before there are workers
    self.left_at = now + core.draw_age(self.target)
  elseif now >= self.left_at then
    self.left_at = now + core.draw_age(self.target)
    give_name(self)
  end
  return self.options
end

-- No connection of those that were opened with `options` is used again.
function pool.leave(self, options)
  if self.options == options then
    give_name(self)
  end
end

-- The same, because the server behind them has become a replica. Where it stays one, a new connection for
-- each call would not help.
function pool.give_up(self, options, now)
  if self.options == options and now >= self.renewable_at then
    self.renewable_at = now + core.renew_every
    give_name(self)
  end
end

-- Shall a connection that was opened with `options`, and last used at `now`, be used again?
function pool.keeps(self, options, now)
  if self.options == options then
    self.used_at = now
    return true
  end
  return false
end

-- Was no connection of this pool used for so long that each may be dead? (nginx takes the one that came back
-- last.)
function pool.is_doubtful(self, now)
  return now - self.used_at >= core.probe_after
end

return pool
