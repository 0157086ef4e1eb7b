---@meta tokenstore.metrics

---What the clients of all nginx workers do, for Prometheus. See docs/how-to/metrics.md.
---@class tokenstore.metrics
local metrics = {}

---@class tokenstore.MetricsOptions
---@field sync_interval? number seconds after which a worker adds what it has counted to the dictionary; default 1

---In init_worker_by_lua. Raises if the dictionary is not there.
---@param dictionary string the name of a lua_shared_dict
---@param options? tokenstore.MetricsOptions
---@return tokenstore.Metrics
function metrics.init(dictionary, options) end

---@class tokenstore.Metrics
local Metrics = {}

---Exports the numbers of this client, or of the client of this store, which counts from now on.
---@param given tokenstore.Client | tokenstore.Sessions | tokenstore.RedisTokens | tokenstore.Tokenstore | tokenstore.RedisJWT
---@return tokenstore.Metrics self
function Metrics:watch(given) end

---Answers the request of Prometheus.
function Metrics:collect() end

---The text that it would answer with, in pieces.
---@return string[]
function Metrics:metric_data() end

return metrics
