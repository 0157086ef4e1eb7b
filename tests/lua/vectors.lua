-- Reads tests/vectors and its notations. See README there.
-- luacheck: std max

local harness = require "harness"
local core = require "tokenstore.core"
local tokenstore = require "tokenstore"

local vectors = {}

function vectors.read(name)
  local file = assert(io.open(harness.here .. "/../vectors/" .. name))
  local text = file:read "*a"
  file:close()
  collectgarbage "stop" -- under --stress each of many allocations would run a full cycle
  local read = assert(core.decode(text, 2 ^ 24))
  collectgarbage "restart"
  return read
end

local function bytes(notation)
  if type(notation) == "string" then
    return notation
  end
  if notation.hex then
    return (notation.hex:gsub("%s", ""):gsub("%x%x", function(pair)
      return string.char(tonumber(pair, 16))
    end))
  elseif notation["repeat"] then
    return bytes(notation["repeat"][1]):rep(notation["repeat"][2])
  elseif notation.join then
    local parts = {}
    for i, part in ipairs(notation.join) do
      parts[i] = bytes(part)
    end
    return table.concat(parts)
  end
  error "unknown notation of bytes"
end
vectors.bytes = bytes

local DOUBLES = { nan = 0 / 0, inf = math.huge, ["-inf"] = -math.huge }

local function value(notation)
  if type(notation) ~= "table" then
    return notation
  end
  local word, given = next(notation)
  if type(word) ~= "string" or word:sub(1, 1) ~= "$" then
    local copy = setmetatable({}, getmetatable(notation))
    for key, item in pairs(notation) do
      copy[key] = value(item)
    end
    return copy
  elseif word == "$double" then
    local number = DOUBLES[given] or assert(tonumber(given))
    return harness.has_integers and number + 0.0 or number
  elseif word == "$integer" then
    return assert(tonumber(given))
  elseif word == "$bytes" then
    return bytes(given)
  elseif word == "$members" then
    local object = {}
    for _, member in ipairs(given) do
      object[bytes(member[1])] = value(member[2])
    end
    return object
  elseif word == "$unset" then
    return tokenstore.unset
  elseif word == "$nested" then
    local list = tokenstore.array {}
    for _ = 2, given do
      list = tokenstore.array { list }
    end
    return list
  end
  error("unknown notation " .. word)
end

local TEXTS = {
  app = true, type = true, owner = true, token = true, custom_token = true, id = true, after = true,
  prefix = true, pepper = true, token_encoding = true,
}

-- Options or arguments of a call.
function vectors.arguments(given)
  local args = {}
  for name, notation in pairs(given or {}) do
    if name == "pepper" and type(notation) == "table" and not (notation.hex or notation["repeat"]) then
      args[name] = {}
      for i, one in ipairs(notation) do
        args[name][i] = bytes(one)
      end
    elseif TEXTS[name] then
      args[name] = bytes(notation)
    else
      args[name] = value(notation)
    end
  end
  return args
end

return vectors
