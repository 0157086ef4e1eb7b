-- The arguments of constructors: a URL, a Client or a table of options; and the known names.

local core = require "tokenstore.core"
local logger = require "tokenstore.logger"

local options = {}

-- Options by name, with their Lua types: those that the core has for a class, and `more`, which the class
-- reads itself.
function options.kinds(class, more)
  local kinds = {}
  for name, kind in pairs(core.options[class]) do
    kinds[name] = kind
  end
  for name, kind in pairs(more or {}) do
    kinds[name] = kind
  end
  return kinds
end

-- Where to connect to and how.
options.CLIENT = options.kinds("Client", {
  logger = "any", credentials = "function", on_event = "function", audit_stream = "number",
})

local function snake_case(name)
  return (name:gsub("%u", function(letter)
    return "_" .. letter:lower()
  end))
end

local function known_names(...)
  local names = {}
  for _, kinds in ipairs { ... } do
    for name in pairs(kinds) do
      names[#names + 1] = name
    end
  end
  table.sort(names)
  return table.concat(names, ", ")
end

-- Parses a constructor's arguments: (redis), (redis, options) or (options with `redis` in it). Returns
-- redis, the client's options and the store's. `redis_names` are the names of the first; `store_kinds` are
-- those of the store. An unknown name or wrong type raises where the constructor was called.
function options.read(redis, given, is_client, redis_names, store_kinds)
  local level = 3
  if type(redis) == "table" and not is_client(redis) then
    if given ~= nil then
      error("bad argument #2: options were given as first argument already", level)
    end
    redis, given = nil, redis
  elseif given ~= nil and type(given) ~= "table" then
    error("bad argument #2 (table of options expected, got " .. type(given) .. ")", level)
  end

  local sorted = { client = {}, store = {} }
  for key, value in next, given or {} do
    local name = type(key) == "string" and snake_case(key) or key
    local kind, place = options.CLIENT[name], sorted.client
    if store_kinds[name] then
      kind, place = store_kinds[name], sorted.store
    end
    if redis_names[name] then
      if redis ~= nil then
        error("the server is given twice: as '" .. key .. "' too", level)
      end
      redis = value
    elseif not kind then
      error(("unknown option '%s' (known are: redis, %s)"):format(tostring(key),
        known_names(options.CLIENT, store_kinds)), level)
    elseif kind ~= "any" and type(value) ~= kind then
      error(("bad option '%s' (%s expected, got %s)"):format(name, kind, type(value)), level)
    else
      place[name] = value
    end
  end

  if is_client(redis) then
    local name = next(sorted.client)
    if name then
      error("'" .. name .. "' is an option of the client that was passed in: give it there", level)
    end
  elseif redis ~= nil and type(redis) ~= "string" then
    error("bad option 'redis' (URL or Client expected, got " .. type(redis) .. ")", level)
  end
  sorted.client.logger = logger.read(sorted.client.logger, level)
  return redis, sorted.client, sorted.store
end

-- Checks a table of named values against `kinds` (name = type) and returns a copy with names in snake_case.
-- `what` names an entry in messages; errors point `level` functions up, as of error().
function options.check(given, kinds, what, level)
  local checked = {}
  for key, value in next, given do
    local name = type(key) == "string" and snake_case(key) or key
    local kind = kinds[name]
    if not kind then
      error(("unknown %s '%s' (known are: %s)"):format(what, tostring(key), known_names(kinds)), level + 1)
    elseif kind ~= "any" and type(value) ~= kind then
      error(("bad %s '%s' (%s expected, got %s)"):format(what, name, kind, type(value)), level + 1)
    elseif checked[name] ~= nil then
      error(("%s '%s' is given twice, in two spellings"):format(what, name), level + 1)
    end
    checked[name] = value
  end
  return checked
end

return options
