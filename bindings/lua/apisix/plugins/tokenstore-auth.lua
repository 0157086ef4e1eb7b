-- tokenstore-auth, a plugin for Apache APISIX: checks the session or the token of a request, as
-- tokenstore.guard does in nginx. docs/how-to/apisix.md explains each field of the configuration.

local core = require "apisix.core"
local gateway = require "tokenstore.gateway"
local guard_options = require "tokenstore.guard_options"
local lookup = require "tokenstore.guard_lookup"
local web = require "tokenstore.web"

local TEXT = { type = "string", minLength = 1 }
local FLAG = { type = "boolean", default = false }
local SECONDS = { type = "number", exclusiveMinimum = 0 }

local plugin = {
  version = 0.1,
  priority = 2505, -- among those that authenticate, before those that limit
  name = "tokenstore-auth",
  schema = {
    type = "object",
    properties = {
      -- the store
      redis = TEXT,
      prefix = TEXT,
      pepper = { type = "array", items = TEXT, minItems = 1 },
      timeout = { type = "number", exclusiveMinimum = 0, default = 0.5 },
      near_cache = { type = "integer", minimum = 0 },
      near_cache_staleness = SECONDS,
      -- the session
      app = TEXT,
      type = TEXT,
      cookie = TEXT,
      refresh = SECONDS,
      refresh_idle = FLAG,
      anonymous_sessions = FLAG,
      cache = { type = "number", minimum = 0 },
      -- the request
      headers = { type = "object", additionalProperties = TEXT },
      realm = { type = "string" },
      fail_open = FLAG,
    },
    required = { "redis", "app" },
    additionalProperties = false,
    encrypt_fields = { "redis" }, -- texts only
  },
}

function plugin.check_schema(config)
  local good, message = core.schema.check(plugin.schema, config)
  if not good then
    return false, message
  end
  message = gateway.find_fault(config)
  return message == nil, message
end

-- Changes a header of the request, and drops what APISIX remembers of it as a variable.
local function setter(ctx)
  return function(name, value)
    core.request.set_header(ctx, name, value)
    ctx.var["http_" .. guard_options.fold(name)] = nil
  end
end

function plugin.rewrite(config, ctx)
  local options, fault = gateway.options(config)
  if not options then
    core.log.error(fault)
    return 500, { message = "An unexpected error occurred" }
  end
  local session, refusal = web.check(options, lookup.ask, setter(ctx))
  if refusal then
    for name, value in next, refusal.headers do
      core.response.set_header(name, value)
    end
    return refusal.status, { message = refusal.message }
  end
  ctx.tokenstore_session = session
end

return plugin
