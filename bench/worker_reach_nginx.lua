-- A reader of reach.py, as worker_reach.py, in an nginx worker: a request brings tokens, and its light thread
-- reads them, between short sleeps. Its answer is two lines, each sent at once.
-- luacheck: std ngx_lua

local core = require "tokenstore.core"

local PAUSE = 0.001 -- less is none to nginx: then no other event has its turn

local reach = {}

local function get(tokens, token)
  return tokens:get { app = "web", type = "login", token = token }
end

local function warm(tokens, all)
  repeat
    local hits, found = tokens.client:near_cache_stats().hits, 0
    for _, token in ipairs(all) do
      found = found + (get(tokens, token) and 1 or 0)
    end
    ngx.sleep(PAUSE)
  until tokens.client:near_cache_stats().hits >= hits + found
end

local function follow(tokens, all)
  local refused, count = {}, 0
  while count < #all do
    for i, token in ipairs(all) do
      local began = core.clock()
      local found = not refused[i] and get(tokens, token)
      if not refused[i] and not (found and found.data.n == 1) then
        refused[i] = ("%.6f"):format(began)
        count = count + 1
      end
    end
    ngx.sleep(PAUSE)
  end
  return refused
end

-- A line for each step, as the other readers.
function reach.serve(tokens)
  local all = {}
  for token in ngx.unescape_uri(ngx.var.query_string):gmatch "%S+" do
    all[#all + 1] = token
  end
  warm(tokens, all)
  ngx.say "ready"
  ngx.flush(true)
  ngx.say(table.concat(follow(tokens, all), " "))
end

return reach
