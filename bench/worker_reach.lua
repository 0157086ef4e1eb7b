-- A reader of reach.py, as worker_reach.py. usage: worker_reach.lua URL
local core = require "tokenstore.core"
local tokenstore = require "tokenstore"

local tokens = assert(tokenstore.RedisTokens { redis = arg[1], near_cache = 1000 })

local function get(token)
  return tokens:get { app = "web", type = "login", token = token }
end

local function warm(all)
  repeat
    local hits, found = tokens.client:near_cache_stats().hits, 0
    for _, token in ipairs(all) do
      found = found + (get(token) and 1 or 0)
    end
  until tokens.client:near_cache_stats().hits >= hits + found
end

local function follow(all)
  local refused, count = {}, 0
  while count < #all do
    for i, token in ipairs(all) do
      local began = core.clock()
      local found = not refused[i] and get(token)
      if not refused[i] and not (found and found.data.n == 1) then
        refused[i] = ("%.6f"):format(began)
        count = count + 1
      end
    end
  end
  return refused
end

for line in io.lines() do
  local all = {}
  for token in line:gmatch "%S+" do
    all[#all + 1] = token
  end
  warm(all)
  print "ready"
  io.stdout:flush()
  print(table.concat(follow(all), " "))
  io.stdout:flush()
end
