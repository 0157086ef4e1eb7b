-- tokenstore.metrics: what the clients of all nginx workers do, for Prometheus.
--
--     lua_shared_dict tokenstore_metrics 1m;
--     init_worker_by_lua_block {
--       metrics = require("tokenstore.metrics").init("tokenstore_metrics")
--       metrics:watch(sessions)
--     }
--     location = /metrics { content_by_lua_block { metrics:collect() } }
--
-- As with nginx-lua-prometheus, each worker adds what it has counted to a shared dictionary once a second,
-- and any worker answers with the sums. The names are those of tokenstore.ext.prometheus
-- (docs/how-to/metrics.md). Labels are names and codes: no token, owner or data.

local core = require "tokenstore.core"

local bounds = core.meter_bounds

local SYNC_INTERVAL = 1 -- seconds
local KEPT = 5 -- intervals: then the gauges of a worker that is gone are forgotten
local ERRORS = "tokenstore_metric_errors_total"

-- The metrics, in the order of the output: name, type, help.
local METRICS = {
  { "tokenstore_operations_total", "counter", "Operations that have ended, without those of the near cache" },
  { "tokenstore_operation_duration_seconds", "histogram", "How long they took, retries included" },
  { "tokenstore_operation_tries_total", "counter", "Tries of operations: more than operations are retries" },
  { "tokenstore_round_trips_total", "counter", "Questions to the server whose answer was awaited" },
  { "tokenstore_sent_bytes_total", "counter", "Bytes of commands that were sent" },
  { "tokenstore_received_bytes_total", "counter", "Bytes of the texts in answers" },
  { "tokenstore_near_cache_hits_total", "counter", "Tokens that the near cache had" },
  { "tokenstore_near_cache_misses_total", "counter", "Tokens that it did not have, or not for certain" },
  { "tokenstore_near_cache_invalidations_total", "counter", "Entries that a change dropped" },
  { "tokenstore_near_cache_evictions_total", "counter", "Entries that others displaced" },
  { "tokenstore_near_cache_flushes_total", "counter", "Lost connections and orders to drop all" },
  { "tokenstore_near_cache_entries", "gauge", "Records in the near caches of all workers" },
  { "tokenstore_near_cache_bytes", "gauge", "Their memory" },
  { "tokenstore_near_cache_alive", "gauge", "In how many workers it answers now" },
  { "tokenstore_connections_limit", "gauge", "How many connections there may be" },
  { "tokenstore_connections_opened_total", "counter", "Connections that were opened" },
  { ERRORS, "counter", "Numbers that did not fit into the shared dictionary" },
}

local NEAR_COUNTERS = { "hits", "misses", "invalidations", "evictions", "flushes" }

local Metrics = {}
Metrics.__index = Metrics

local metrics = {}

-- init(dictionary[, { sync_interval }]): in init_worker_by_lua; `dictionary` is the name of a
-- lua_shared_dict.
function metrics.init(dictionary, options)
  local dict = ngx.shared[dictionary]
  if not dict then
    error(("tokenstore.metrics: there is no dictionary %q: add `lua_shared_dict %s 1m;`"):format(
      tostring(dictionary), tostring(dictionary)), 2)
  end
  local self = setmetatable({
    dict = dict,
    interval = options and options.sync_interval or SYNC_INTERVAL,
    clients = {},
    told = {}, -- what was added so far, by key
  }, Metrics)
  if type(self.interval) ~= "number" or self.interval <= 0 then
    error("tokenstore.metrics: sync_interval must be a number of seconds above 0", 2)
  end
  dict:add(ERRORS .. "\t\t", 0)
  local function sync(premature)
    self:sync() -- the last time before the worker exits, too
    if not premature then
      ngx.timer.at(self.interval, sync)
    end
  end
  local good, why = ngx.timer.at(self.interval, sync)
  if not good then
    error("tokenstore.metrics: init belongs into init_worker_by_lua: " .. tostring(why), 2)
  end
  return self
end

-- watch(client or store): its numbers are exported, and it counts from now on. Clients of equal URLs are
-- added up.
function Metrics:watch(given)
  local client = type(given) == "table" and (given.client or given) or nil
  if not client or type(client.operation_stats) ~= "function" then
    error("bad argument #1 (a client or a store expected)", 2)
  end
  self.clients[#self.clients + 1] = client
  client:operation_stats()
  return self
end

-- ---- counting ------------------------------------------------------------------------------------------

local ESCAPES = { ["\\"] = "\\\\", ['"'] = '\\"', ["\n"] = "\\n", ["\t"] = " " }

local function labels_of(...)
  local names = { "server", "store", "operation", "outcome" }
  local parts = {}
  for i = 1, select("#", ...) do
    parts[i] = ('%s="%s"'):format(names[i], ((select(i, ...)):gsub('[\\"\n\t]', ESCAPES)))
  end
  return table.concat(parts, ",")
end

-- A key is the name, its labels, and of a bucket its number: sorted by it, they are in the order of the
-- output.
local function add(now, name, labels, number, bucket)
  local key = name .. "\t" .. labels .. "\t" .. (bucket and ("%03d"):format(bucket) or "")
  now[key] = (now[key] or 0) + number
end

local function count_operations(now, client)
  for _, stats in ipairs(client:operation_stats()) do
    local labels = labels_of(client.url, stats.store, stats.operation)
    local below = 0
    for outcome, number in pairs(stats.outcomes) do
      local all = labels_of(client.url, stats.store, stats.operation, outcome)
      add(now, "tokenstore_operations_total", all, number)
    end
    for i, number in ipairs(stats.durations) do
      below = below + number
      add(now, "tokenstore_operation_duration_seconds", labels, below, i)
    end
    add(now, "tokenstore_operation_duration_seconds", labels, stats.took, #bounds + 2)
    add(now, "tokenstore_operation_tries_total", labels, stats.tries)
    add(now, "tokenstore_round_trips_total", labels, stats.trips)
    add(now, "tokenstore_sent_bytes_total", labels, stats.sent)
    add(now, "tokenstore_received_bytes_total", labels, stats.received)
  end
end

-- All counters of this worker, and its gauges.
local function count(clients)
  local counters, gauges = {}, {}
  for _, client in ipairs(clients) do
    local labels = labels_of(client.url)
    count_operations(counters, client)
    local pool, near = client:pool_stats(), client:near_cache_stats()
    add(counters, "tokenstore_connections_opened_total", labels, pool.opened)
    add(gauges, "tokenstore_connections_limit", labels, pool.limit)
    for _, name in ipairs(near and NEAR_COUNTERS or {}) do
      add(counters, ("tokenstore_near_cache_%s_total"):format(name), labels, near[name])
    end
    if near then
      add(gauges, "tokenstore_near_cache_entries", labels, near.entries)
      add(gauges, "tokenstore_near_cache_bytes", labels, near.bytes)
      add(gauges, "tokenstore_near_cache_alive", labels, near.alive and 1 or 0)
    end
  end
  return counters, gauges
end

-- ---- the shared dictionary -------------------------------------------------------------------------------

-- False: it is full. Nothing is displaced: a counter that starts again at 0 would be wrong.
local function note(dict, good)
  if not good then
    dict:incr(ERRORS .. "\t\t", 1)
  end
  return good
end

local function store(dict, key, number)
  return note(dict, dict:incr(key, number) or dict:safe_add(key, number) or dict:incr(key, number))
end

-- Adds what this worker has counted since the last time.
function Metrics:sync()
  local counters, gauges = count(self.clients)
  for key, number in pairs(counters) do
    local told = self.told[key]
    local more = number - (told or 0)
    if (more > 0 or not told) and store(self.dict, key, more) then
      self.told[key] = number
    end
  end
  for key, number in pairs(gauges) do
    local own = key .. "\t" .. ngx.worker.pid()
    note(self.dict, self.dict:safe_set(own, number, KEPT * self.interval))
  end
end

-- ---- the output ------------------------------------------------------------------------------------------

local function number_text(number)
  return number % 1 == 0 and ("%.0f"):format(number) or ("%.9g"):format(number)
end

local function line(name, labels, number)
  return ("%s%s %s\n"):format(name, labels ~= "" and "{" .. labels .. "}" or "", number_text(number))
end

-- A bucket, or the sum, which comes after the last one, with the count.
local function histogram_line(name, labels, bucket, number, last)
  if bucket <= #bounds + 1 then
    local edge = bounds[bucket] and ("%.9g"):format(bounds[bucket]) or "+Inf"
    return line(name .. "_bucket", ('%s,le="%s"'):format(labels, edge), number)
  end
  return line(name .. "_sum", labels, number) .. line(name .. "_count", labels, last)
end

-- By name: a sorted list of { labels, bucket, number }. Gauges of workers are added up.
local function read(dict)
  local sums, found = {}, {}
  for _, key in ipairs(dict:get_keys(0)) do
    local name, labels, bucket = key:match "^([^\t]*)\t([^\t]*)\t(%d*)"
    local number = name and dict:get(key)
    if number then
      local whole = name .. "\t" .. labels .. "\t" .. bucket
      if not sums[whole] then
        sums[whole] = { labels = labels, bucket = tonumber(bucket), number = 0, key = whole }
        found[name] = found[name] or {}
        table.insert(found[name], sums[whole])
      end
      sums[whole].number = sums[whole].number + number
    end
  end
  for _, list in pairs(found) do
    table.sort(list, function(a, b)
      return a.key < b.key
    end)
  end
  return found
end

-- The exposition text, as a list of pieces: for a page that has other metrics, too.
function Metrics:metric_data()
  self:sync()
  local found, pieces = read(self.dict), {}
  for _, metric in ipairs(METRICS) do
    local name, kind, help = metric[1], metric[2], metric[3]
    local list, last = found[name] or {}, 0
    if list[1] then
      pieces[#pieces + 1] = ("# HELP %s %s\n# TYPE %s %s\n"):format(name, help, name, kind)
    end
    for _, each in ipairs(list) do
      if each.bucket then
        pieces[#pieces + 1] = histogram_line(name, each.labels, each.bucket, each.number, last)
        last = each.number
      else
        pieces[#pieces + 1] = line(name, each.labels, each.number)
      end
    end
  end
  return pieces
end

-- Answers the request of Prometheus.
function Metrics:collect()
  ngx.header["Content-Type"] = "text/plain; version=0.0.4; charset=utf-8"
  ngx.print(self:metric_data())
end

return metrics
