-- tokenstore-auth, a plugin for Kong: checks the session or the token of a request, as tokenstore.guard does
-- in nginx. The options are in schema.lua.

local core = require "tokenstore.core"
local gateway = require "tokenstore.gateway"
local lookup = require "tokenstore.guard_lookup"
local web = require "tokenstore.web"

local kong = kong

-- What Kong's own plugins tell the upstream about the consumer.
local CONSUMER_HEADERS = {
  ["X-Consumer-ID"] = "id",
  ["X-Consumer-Custom-ID"] = "custom_id",
  ["X-Consumer-Username"] = "username",
}

local plugin = {
  PRIORITY = 1260, -- among those that authenticate, before those that limit or allow
  VERSION = core.version,
}

local function set_header(name, value)
  if value == nil then
    return kong.service.request.clear_header(name)
  end
  return kong.service.request.set_header(name, value)
end

-- Those that the client sent are replaced, or removed.
local function set_consumer_headers(consumer, credential)
  for name, field in next, CONSUMER_HEADERS do
    set_header(name, consumer and consumer[field])
  end
  set_header("X-Credential-Identifier", credential and credential.id)
  set_header("X-Anonymous-Consumer", consumer and not credential and "true" or nil)
end

local function refuse(refusal)
  return kong.response.exit(refusal.status, { message = refusal.message }, refusal.headers)
end

-- A mistake in the configuration, or a failure of Kong's database.
local function fail(message)
  kong.log.err(message)
  return refuse { status = 500, message = "An unexpected error occurred" }
end

-- The consumer with this id or username, kept by Kong until it changes; nil if there is none; or nil and a
-- message.
local function find_consumer(name)
  return kong.cache:get(kong.db.consumers:cache_key(name), nil, kong.client.load_consumer, name, true)
end

local function pass_anonymous(config)
  local consumer, message = find_consumer(config.anonymous)
  if not consumer then
    return fail(message or "the anonymous consumer does not exist: " .. config.anonymous)
  end
  set_consumer_headers(consumer)
  kong.client.authenticate(consumer)
end

-- The request is that of this session.
local function pass(config, options, session)
  local owner = session[options.kind.owner]
  local consumer, message
  if config.owner_is_consumer and owner then
    consumer, message = find_consumer(owner)
    if message then
      return fail(message)
    elseif not consumer then
      return refuse { status = 403, message = "The owner of the session is no consumer" }
    end
  end
  local credential = { id = owner or session.sid }
  set_consumer_headers(consumer, credential)
  kong.client.authenticate(consumer, credential)
  kong.ctx.shared.tokenstore_session = session
end

function plugin:access(config)
  local options, fault = gateway.options(config)
  if not options then
    return fail(fault)
  elseif config.anonymous and kong.client.get_credential() then
    return web.drop_headers(options, set_header) -- another plugin has authenticated the request
  end
  local session, refusal = web.check(options, lookup.ask, set_header)
  if session then
    return pass(config, options, session)
  elseif not refusal then
    return set_consumer_headers() -- fail_open
  elseif config.anonymous and refusal.status < 500 then
    return pass_anonymous(config)
  end
  return refuse(refusal)
end

return plugin
