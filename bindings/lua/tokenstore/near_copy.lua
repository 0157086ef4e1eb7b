-- near_copy.lua - copies data that JSON became: tables, the tables in them, and what metatables they have.
--
-- A loop over few fields is slow, and LuaJIT does not compile it. Most data has one of a few shapes. So for
-- each shape a function is written that names its fields: {["name"]=d["name"],["roles"]={d["roles"][1]}}.

local concat, format = table.concat, string.format
local getmetatable, next, setmetatable, type = getmetatable, next, setmetatable, type
local load = rawget(_G, "loadstring") or load -- Lua 5.1's

local FIELDS = 64 -- of a shape at most, with those of the tables in it
local LENGTH = 4096 -- of its text, in bytes
local SHAPES = 128 -- at most

-- A table that hides its metatable is a number that this Lua has no other form for, and nobody's to change.
local function is_copied(value)
  return type(value) == "table" and type(getmetatable(value)) ~= "string"
end

local function copy(data)
  local to = {}
  for key, value in next, data do
    to[key] = is_copied(value) and copy(value) or value
  end
  return setmetatable(to, getmetatable(data))
end

-- The expression that copies `value`, which `from` is the expression for; and how many fields are left, below
-- 0 if it has too many.
local function write(value, from, left)
  left = left - 1
  if not is_copied(value) then
    return from, left
  end
  local items, step, start = {}, next, nil
  local is_list = #value > 0
  if is_list then
    step, start = ipairs(value), 0
  end
  for key, item in step, value, start do
    local name, at = format(is_list and "[%d]" or "[%q]", key), #items + 1
    items[at], left = write(item, from .. name, left)
    if left < 0 then
      return from, left
    elseif not is_list then
      items[at] = name .. "=" .. items[at]
    end
  end
  local text = "{" .. concat(items, ",") .. "}"
  return getmetatable(value) and format("setmetatable(%s,getmetatable(%s))", text, from) or text, left
end

local functions, count = {}, 0

-- The function that copies data of this shape.
local function make(data)
  local text, left = write(data, "d", FIELDS)
  if left < 0 or #text > LENGTH then
    return copy
  end
  local made = functions[text]
  if not made and count < SHAPES then
    made = load("local setmetatable,getmetatable=... return function(d) return " .. text .. " end")
    made, count = made(setmetatable, getmetatable), count + 1
    functions[text] = made
  end
  return made or copy
end

-- Tables and the functions that copy them.
local known = setmetatable({}, { __mode = "k" })

-- A copy of data that nobody changes.
return function(data)
  local made = known[data]
  if not made then
    made = make(data)
    known[data] = made
  end
  return made(data)
end
