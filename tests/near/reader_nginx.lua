-- A reader, as reader.py, in an nginx worker: a timer reads, and a request brings a line, behind a name.
-- luacheck: std ngx_lua

local reading = require "reading"

local readers = package.loaded["test readers"] or {}
package.loaded["test readers"] = readers

local function run(_, reader)
  while not reader.over and not ngx.worker.exiting() do
    reader.answer = reader:turn() or reader.answer
    ngx.sleep(reader.pause)
  end
  reader.answer = reader:take "end"
end

local function await(reader)
  while not reader.answer and not ngx.worker.exiting() do
    ngx.sleep(reader.pause)
  end
  ngx.print(reader.answer)
end

ngx.req.read_body()
local name, line = ngx.req.get_body_data():match "(%S+) (.*)"
local word, tracking, staleness, timeout, pause, url = line:match "^(open) (%S+) (%S+) (%S+) (%S+) (%S+)$"
if word then
  readers[name] = reading.new {
    redis = url, near_cache = 1000, near_cache_tracking = tracking,
    near_cache_staleness = tonumber(staleness), timeout = tonumber(timeout),
  }
  readers[name].pause = tonumber(pause)
  return ngx.print "opened"
end
local reader = readers[name]
reader.answer = nil
if line == "end" then
  reader.over = true
else
  reader.over = false
  reader:take(line)
  if line:find "^begin" then
    assert(ngx.timer.at(0, run, reader))
  end
end
await(reader)
