-- Lines for nginx's log: at most one in ten seconds for each purpose and worker.

local core = require "tokenstore.core"

local EVERY = 10 -- seconds

local log = {}
log.__index = log

-- A purpose: the level and the prefix of its lines.
function log.new(level, beginning)
  return setmetatable({ level = level, beginning = beginning, after = 0, held_back = 0 }, log)
end

-- Writes `text`, or suppresses it. It must not contain secrets.
function log:write(text)
  local now = core.clock()
  if now < self.after then
    self.held_back = self.held_back + 1
    return
  end
  local count = self.held_back
  local more = count > 0 and (" (and %d more times since the last line)"):format(count) or ""
  self.after, self.held_back = now + EVERY, 0
  ngx.log(self.level, self.beginning, text, more)
end

return log
