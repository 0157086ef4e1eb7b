-- The configuration of tokenstore-auth for Kong. docs/how-to/kong.md explains each field.

local typedefs = require "kong.db.schema.typedefs"

-- What no single field can tell. Loaded when it is needed: tools read schemas outside of nginx.
local function check(config)
  local fault = require("tokenstore.gateway").find_fault(config)
  if fault then
    return nil, fault
  end
  return true
end

return {
  name = "tokenstore-auth",
  fields = {
    { consumer = typedefs.no_consumer },
    { protocols = typedefs.protocols_http },
    {
      config = {
        type = "record",
        custom_validator = check,
        fields = {
          -- the store
          { redis = { type = "string", required = true, referenceable = true, encrypted = true } },
          { prefix = { type = "string" } },
          {
            pepper = {
              type = "array",
              elements = { type = "string", referenceable = true, encrypted = true },
            },
          },
          { timeout = { type = "number", default = 0.5 } },
          { near_cache = { type = "integer" } },
          { near_cache_staleness = { type = "number" } },
          -- the session
          { app = { type = "string", required = true } },
          { type = { type = "string" } },
          { cookie = { type = "string" } },
          { refresh = { type = "number" } },
          { refresh_idle = { type = "boolean", default = false } },
          { anonymous_sessions = { type = "boolean", default = false } },
          { cache = { type = "number" } },
          -- the request
          {
            headers = {
              type = "map",
              keys = typedefs.header_name,
              values = { type = "string" },
            },
          },
          { realm = { type = "string" } },
          { fail_open = { type = "boolean", default = false } },
          { anonymous = { type = "string" } },
          { owner_is_consumer = { type = "boolean", default = false } },
        },
      },
    },
  },
}
