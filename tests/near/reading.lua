-- What a reader in Lua does: see reader.py, whose words it takes.

local core = require "tokenstore.core"
local tokenstore = require "tokenstore"

local reading = {}
reading.__index = reading

-- `options` are a client's.
function reading.new(options)
  return setmetatable({ options = options }, reading)
end

local function hits(self)
  return self.client:near_cache_stats().hits
end

-- Was it from memory? Is there none?
local function get(self, i)
  local before, began = hits(self), core.clock()
  local found, message = self.store:get { app = "app", type = "web", token = self.tokens[i] }
  self.reads = self.reads + 1
  if message then
    self.errors = self.errors + 1
  elseif found and found.data.n == 1 then
    self.last[i] = began
  end
  return hits(self) > before, not (found or message)
end

-- Reads all; the answer that is due now, if any.
function reading.turn(self)
  local near, last = 0, false
  for i = 1, #self.tokens do
    local absent
    last, absent = get(self, i)
    near = near + ((last or absent) and 1 or 0)
  end
  if self.wanted == "ready" and near == #self.tokens then
    self.wanted = nil
    return "ready"
  elseif self.wanted == "near" and last then
    self.wanted = nil
    return ("near %.6f"):format(core.clock())
  end
end

local function add(self, words)
  for token in words do
    self.tokens[#self.tokens + 1] = token
    self.last[#self.tokens] = 0
  end
end

local function report(self)
  local last = core.array {}
  for i = 1, #self.tokens do
    last[i] = self.last[i]
  end
  return core.encode { last = last, reads = self.reads, hits = hits(self), errors = self.errors }
end

-- Takes a line. The answer, if there is one at once.
function reading.take(self, line)
  local words = line:gmatch "%S+"
  local word = words()
  if word == "begin" then
    self.client = assert(tokenstore.Client(self.options))
    self.store = assert(tokenstore.RedisTokens(self.client))
    self.tokens, self.last, self.reads, self.errors, self.wanted = {}, {}, 0, 0, "ready"
    add(self, words)
  elseif word == "again" then
    add(self, words)
    self.wanted = "near"
  elseif word == "end" then
    local text = report(self)
    self.client:close()
    self.client, self.store = nil, nil
    return text
  end
end

return reading
