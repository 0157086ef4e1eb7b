-- A benchmark worker in Lua: reads jobs from stdin, one per line, prints "ok" when a job is done.
-- usage: worker.lua SOCKET|PORT TOKEN [near]
local tokenstore = require "tokenstore"

local address, token = arg[1], arg[2]
local url = address:find "^/" and "unix://" .. address or "redis://127.0.0.1:" .. address
local tokens = assert(tokenstore.RedisTokens { redis = url, near_cache = arg[3] == "near" and 10000 or 0 })

local jobs = {}

function jobs.get(count)
  for _ = 1, count do
    assert(tokens:get { app = "web", type = "login", token = token })
  end
end

-- Until `get` does not ask any more.
function jobs.warm()
  while tokens.client:near_cache_stats().hits == 0 do
    jobs.get(1)
  end
end

for line in io.lines() do
  local name, count = line:match "^(%S+) (%d+)$"
  jobs[name](tonumber(count))
  print "ok"
  io.stdout:flush()
end
