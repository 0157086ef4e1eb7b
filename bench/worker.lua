-- A contender in Lua: reads jobs from stdin, one a line, answers "ok" when a job is done.
-- usage: worker.lua SOCKET TOKEN
local tokenstore = require "tokenstore"

local socket, token = arg[1], arg[2]
local tokens = assert(tokenstore.RedisTokens("unix://" .. socket))

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
