-- tokenstore.gateway: what the plugins for Kong and APISIX share: from a plugin's configuration to the
-- options of the guard.
--
-- Kong changes a configuration in place when a vault has a new secret, and APISIX may make a new table for
-- each request. So stores and options are found by what is in the configuration, not by the table.

local guard_options = require "tokenstore.guard_options"
local sessions = require "tokenstore.sessions"
local tokens = require "tokenstore.tokens"

local lrucache = require "resty.lrucache"

local MOST = 1000 -- configurations that a worker has at one time

-- Fields of the configuration for the store, and for the guard; both have the names of those options.
local STORE = { "redis", "prefix", "pepper", "timeout", "near_cache", "near_cache_staleness" }
local GUARD = { "app", "type", "cookie", "headers", "refresh", "realm", "fail_open", "cache" }

local gateway = {}

local stores, prepared = assert(lrucache.new(MOST)), assert(lrucache.new(MOST))

local function pick(config, names)
  local picked = {}
  for _, name in ipairs(names) do
    local value = config[name]
    if value ~= ngx.null then
      picked[name] = value
    end
  end
  return picked
end

-- A text for this value. Equal tables have the same, in whatever order they were filled.
local function describe(value)
  if type(value) ~= "table" then
    local text = tostring(value)
    return ("%s %d %s "):format(type(value), #text, text)
  end
  local parts = {}
  for name, item in next, value do
    parts[#parts + 1] = describe(name) .. describe(item)
  end
  table.sort(parts)
  return "{ " .. table.concat(parts) .. "} "
end

-- Is it a reference to a secret that the gateway fills in later? {vault://…} in Kong, $secret://… and
-- $env://… in APISIX.
local function is_reference(text)
  return type(text) == "string" and (text:find "^{vault://" or text:find "^%$%a+://") ~= nil
end

-- What the guard is given, without the store; and the kind of that.
local function read(config)
  local given = pick(config, GUARD)
  if config.refresh_idle == true then
    given.refresh = true
  end
  if config.anonymous_sessions == true then
    given.anonymous = true
  end
  return given, given.type and guard_options.kinds.token or guard_options.kinds.session
end

-- A store, or nil and what is wrong with its options.
local function open(kind, given)
  local class = kind == guard_options.kinds.token and tokens or sessions
  local store, message = class(given)
  if message and message:find("URL", 1, true) then
    message = "redis: " .. message
  end
  return store, message
end

-- The same store for all configurations that have these options: so their connections, and a near cache, are
-- shared.
local function find_store(kind, given, key)
  local store, message = stores:get(key), nil
  if not store then
    store, message = open(kind, given)
    if store then
      stores:set(key, store)
    end
  end
  return store, message
end

-- What is wrong with a configuration whose fields have the right types, or nil. Secrets that are still
-- references are not looked at.
function gateway.find_fault(config)
  if config.refresh_idle == true and type(config.refresh) == "number" then
    return "bad option 'refresh_idle' (there is 'refresh', too: choose one)"
  end
  local given, kind = read(config)
  local options = pick(config, STORE)
  if is_reference(options.redis) then
    options.redis = "redis://localhost"
  end
  for _, text in ipairs(options.pepper or {}) do
    options.pepper = not is_reference(text) and options.pepper or nil
  end
  local message
  given.store, message = open(kind, options)
  return message or guard_options.find_fault(given, kind)
end

-- The guard's options for a configuration; or nil and what is wrong with it.
function gateway.options(config)
  local given, kind = read(config)
  local options = pick(config, STORE)
  local store_key = kind.class .. describe(options)
  local key = store_key .. describe(given)
  local ready = prepared:get(key)
  if ready then
    return ready
  end
  local message
  given.store, message = find_store(kind, options, store_key)
  local fault = message or guard_options.find_fault(given, kind)
  if fault then
    return nil, fault
  end
  ready = guard_options.prepare(given, kind, 1)
  prepared:set(key, ready)
  return ready
end

return gateway
