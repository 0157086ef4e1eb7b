-- Runs the Lua chunk that a test sends (nginx_lua.py) as the request's handler; its globals persist. The
-- answer is the JSON list [true, result, …] or [false, message], as tests/spike/driver.lua's.
-- luacheck: std ngx_lua

local core = require "tokenstore.core"

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
  ngx.print(assert(core.encode(list, 1000000)))
end

local globals = package.loaded["test globals"] or setmetatable({}, { __index = _G })
package.loaded["test globals"] = globals
ngx.req.read_body()
local body, problem = loadstring(ngx.req.get_body_data(), "=test")
if body then
  answer(pcall(setfenv(body, globals)))
else
  answer(false, problem)
end
