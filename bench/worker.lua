-- A benchmark worker in Lua: reads jobs from stdin, one per line, prints "ok" when a job is done.
-- usage: worker.lua SOCKET|PORT TOKEN
local tokenstore = require "tokenstore"

local address, token = arg[1], arg[2]
local url = address:find "^/" and "unix://" .. address or "redis://127.0.0.1:" .. address
local tokens = assert(tokenstore.RedisTokens(url))

local jobs = {}

function jobs.get(count)
  for _ = 1, count do
    assert(tokens:get { app = "web", type = "login", token = token })
  end
end

for line in io.lines() do
  local name, count = line:match "^(%S+) (%d+)$"
  jobs[name](tonumber(count))
  print "ok"
  io.stdout:flush()
end
