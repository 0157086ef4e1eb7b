-- Client: a pool of connections to one server, which any number of stores can share.
--
--     local client = tokenstore.Client("redis://localhost:6379")
--     local client = tokenstore.Client{ redis = "rediss://db.example.com", ca = "ca.pem", timeout = 2 }
--
-- In nginx it uses cosockets (nginx.lua), elsewhere it blocks.
--
-- Without a URL: $TOKENSTORE_URL, else redis://localhost:6379. It connects at the first command (but
-- "embedded:" starts its server here). An unreferenced client closes itself.

local audit = require "tokenstore.audit"
local core = require "tokenstore.core"
local logger = require "tokenstore.logger"
local options = require "tokenstore.options"

local DEFAULT_URL = "redis://localhost:6379"
local REDIS_NAMES = { redis = true, url = true }

local Client = {}
Client.__index = Client
Client.__name = "tokenstore.Client"

function Client.is(value)
  return type(value) == "table" and getmetatable(value) == Client
end

-- True in an nginx worker, which must not block. (A thread of run_worker_thread may block: it has no
-- cosockets.)
function Client.nonblocking()
  local nginx = _G.ngx
  return type(nginx) == "table" and nginx.socket ~= nil and nginx.socket.tcp ~= nil
end

-- driver.run with a `credentials` function, called for each new connection. Its errors reach the caller.
local function asking(driver, credentials)
  local function go_on(flight, ...)
    if flight then
      return go_on(driver.run_given(flight, credentials()))
    end
    return ...
  end
  return function(handle, operation, message, code)
    if not operation then
      return operation, message, code
    end
    return go_on(driver.run_asking(handle, operation))
  end
end

-- `run` that passes an operation's notes to the logger.
local function logging(run, take_notes, write, url)
  local function finish(handle, ...)
    local notes = take_notes(handle)
    if notes then
      logger.write(write, notes, url)
    end
    return ...
  end
  return function(handle, ...)
    return finish(handle, run(handle, ...))
  end
end

-- The text of a table of addresses: where those that are announced are reached.
local function address_map(given)
  if type(given) ~= "table" then
    return given
  end
  local entries = {}
  for announced, reached in pairs(given) do
    entries[#entries + 1] = ("%s=%s"):format(announced, tostring(reached))
  end
  return table.concat(entries, ",")
end

-- A client for a checked URL (or nil) and checked options; or nil, message, code.
function Client.open(url, client_options)
  local driver = require(Client.nonblocking() and "tokenstore.nginx" or "tokenstore.blocking")
  if not url then
    url = os.getenv("TOKENSTORE_URL")
    if not url or url == "" then
      url = DEFAULT_URL
    end
  end
  client_options.address_map = address_map(client_options.address_map)
  local write, credentials = client_options.logger, client_options.credentials
  client_options.logger, client_options.credentials = nil, nil
  local wanted = audit.of(client_options.on_event, client_options.audit_stream, 3)
  client_options.on_event, client_options.audit_stream = nil, nil
  local handle, message, code = driver.client(url, client_options, write, credentials)
  if not handle then
    return nil, message, code
  end
  local run = driver.run
  if credentials and driver.run_asking then
    run = asking(driver, credentials)
  end
  if write and driver.take_notes then
    run = logging(run, driver.take_notes, write, driver.url(handle))
  end
  -- _run(_handle, operation) runs an operation; methods of stores call it too. _near: where near.lua looks
  -- first; nil without a near cache.
  return setmetatable({
    url = driver.url(handle),
    closed = false,
    _driver = driver,
    _handle = handle,
    _run = run,
    _audit = wanted and { wanted = wanted, write = write },
    _near = driver.viewer(handle),
    _credentials = credentials,
  }, Client)
end

setmetatable(Client, {
  __call = function(_, redis, given)
    local url, client_options = options.read(redis, given, Client.is, REDIS_NAMES, {})
    if Client.is(url) then
      error("bad argument #1 (URL expected, got a Client)", 2)
    end
    return Client.open(url, client_options)
  end,
})

-- execute("SET", "key", value, …): one command; strings are sent unchanged, numbers as text. Returns the
-- reply: string, integer or list; nil for Redis' nil (false within a list). An error reply is nil, message,
-- "server"; one beyond max_reply_size is nil, message, "limit". Sent once: without a reply the code is
-- "outcome_unknown". Commands that would change a shared connection (SELECT, AUTH, SUBSCRIBE …) are not
-- sent: nil, message, "data". Options may stand last: execute("DBSIZE", { key = …, timeout = … }). On a
-- cluster it goes to the node that has its first key, or that has `key`, or to `node`, "host:port": then
-- MOVED is an error like any other.
function Client:execute(...)
  return self._run(self._handle, core.execute(...))
end

-- for_each_primary("DBSIZE"), options { timeout } may stand last: one command on every primary of a cluster,
-- on all at the same time; the reply of each by "host:port". On one server there is one entry. nil, message,
-- code where one has an error; the message names the node.
function Client:for_each_primary(...)
  return self._run(self._handle, core.for_each_primary(...))
end

-- pipeline({ { "GET", "a" }, … }, { raise_errors, key, node, timeout }): all in one round trip; returns
-- the list of replies. All are sent and answered; then the first error reply makes the call fail, or with
-- raise_errors = false each is in its place as { message = …, code = … }. On a cluster each goes to the node
-- that has its first key, one without a key with the command before it, and from MULTI to EXEC all go
-- together; with `key` all go to its node, with `node` to that.
function Client:pipeline(commands, call_options)
  if type(commands) == "table" and next(commands) == nil then
    return {}
  end
  return self._run(self._handle, core.pipeline(commands, call_options))
end

-- ping(), ping{ timeout }: true if the server answers and has accepted the login, even if the ACL does not
-- allow PING; nil, message, code otherwise.
function Client:ping(args)
  return self._run(self._handle, core.ping(args or {}))
end

-- What the near cache of this process does; nil without near_cache. hits and misses count tokens;
-- invalidations entries that a change dropped, evictions those that others displaced, flushes lost
-- connections and orders to drop all; alive: does it answer now? oldest_proof: so many seconds ago the server
-- was last known to tell of changes.
function Client:near_cache_stats()
  local stats = self._driver.near_cache_stats
  return stats and stats(self._handle) or nil
end

-- What operations of this process, in nginx of this worker, have cost. The first call begins the count. A
-- list of { store, operation, outcomes, durations, took, tries, trips, sent, received }, as in
-- docs/how-to/metrics.md; outcomes is { ok = …, not_found = …, timeout = … }. What the near cache answered is
-- not in it.
function Client:operation_stats()
  return self._driver.operation_stats(self._handle)
end

-- The connections: { limit, idle, used, waiting, opened, timeouts }; in nginx limit and opened alone.
function Client:pool_stats()
  return self._driver.pool_stats(self._handle)
end

-- _run for stores: of a client that is audited it tells what operations did, by `actor`.
function Client:_runner(actor)
  local to = self._audit
  return to and audit.running(self._run, to.wanted, to.write, actor) or self._run
end

-- audit_events{ prefix, after, count, reverse }: what is in the audit stream of the stores with this prefix
-- ("ts"): the oldest `count` (100), with `reverse` the newest first. `after`, the `entry` of the last event
-- of the page before, gives the next page. Of RedisJWT the prefix is "rjwt-sessions".
function Client:audit_events(args)
  return audit.read(self, args or {})
end

-- Closes the connections and stops an embedded server. May be called twice.
function Client:close()
  self._driver.close(self._handle)
  self.closed = true
end

Client.nearCacheStats = Client.near_cache_stats
Client.operationStats = Client.operation_stats
Client.poolStats = Client.pool_stats
Client.forEachPrimary = Client.for_each_primary
Client.auditEvents = Client.audit_events
Client.__close = Client.close

function Client:__tostring()
  return "tokenstore.Client: " .. self.url .. (self.closed and " (closed)" or "")
end

return Client
