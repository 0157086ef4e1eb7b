-- A reader, as reader.py, in LuaJIT. usage: reader.lua TRACKING STALENESS TIMEOUT PAUSE URL

package.path = arg[0]:match "^(.*)/" .. "/?.lua;" .. package.path

local ffi = require "ffi"
local reading = require "reading"

local PAUSE = arg[4] * 1000 -- ms

ffi.cdef [[
  struct pollfd { int fd; short events; short revents; };
  int poll(struct pollfd *fds, unsigned long count, int timeout);
]]

local stdin = ffi.new("struct pollfd[1]", { { 0, 1, 0 } })

local function has_line(ms)
  return ffi.C.poll(stdin, 1, ms) > 0
end

local reader = reading.new {
  redis = arg[5], near_cache = 1000, near_cache_tracking = arg[1],
  near_cache_staleness = tonumber(arg[2]), timeout = tonumber(arg[3]),
}

local function say(text)
  if text then
    io.write(text, "\n")
    io.flush()
  end
end

while true do
  while reader.client and (reader.wanted or not has_line(PAUSE)) do
    say(reader:turn())
    if reader.wanted then
      ffi.C.poll(nil, 0, PAUSE)
    end
  end
  local line = io.read()
  if not line then
    return
  end
  say(reader:take(line))
end
