-- Runs the Lua chunks that a test sends, in turn, in one state, and sends their results. In both directions:
-- a line with the size, then that many bytes. An answer is the JSON list
-- [true, result, …] or [false, message].

local core = require "tokenstore.core"
local compile = rawget(_G, "loadstring") or load

-- nil becomes null, a plain table a list, an object its text.
local function shown(value)
  if value == nil then
    return core.null
  elseif type(value) == "table" and not getmetatable(value) then
    local copy = core.array {}
    for i, item in ipairs(value) do
      copy[i] = item
    end
    return copy
  elseif type(value) == "string" or type(value) == "number" or type(value) == "boolean" then
    return value
  end
  return tostring(value)
end

local function answer(...)
  local list = core.array {}
  for i = 1, select("#", ...) do
    list[i] = shown((select(i, ...)))
  end
  local text = assert(core.encode(list, 1000000))
  io.write(#text, "\n", text)
  io.flush()
end

for size in io.lines() do
  local chunk = tonumber(size) == 0 and "" or io.read(tonumber(size))
  local body, problem = compile(chunk, "=test")
  if body then
    answer(pcall(body))
  else
    answer(false, problem)
  end
end
