-- A stand-in for `kong`, its plugin development kit: the documented functions that tokenstore-auth calls,
-- with their documented checks of arguments. `consumers` is the table in the place of Kong's database.

local core = require "tokenstore.core"

local kong = { consumers = {}, client = {}, service = { request = {} }, response = {}, log = {}, db = {} }

local function of_request(name)
  ngx.ctx[name] = ngx.ctx[name] or {}
  return ngx.ctx[name]
end

kong.ctx = setmetatable({}, {
  __index = function(_, name)
    return of_request("kong_" .. name)
  end,
})

function kong.log.err(...)
  ngx.log(ngx.ERR, "[kong] ", ...)
end

-- ---- kong.client ---------------------------------------------------------------------------------------

function kong.client.authenticate(consumer, credential)
  assert(ngx.get_phase() == "access", "authenticate is for the access phase")
  assert(consumer == nil or type(consumer) == "table", "consumer must be a table or nil")
  assert(credential == nil or type(credential) == "table", "credential must be a table or nil")
  assert(consumer or credential, "either credential or consumer must be provided")
  ngx.ctx.authenticated_consumer, ngx.ctx.authenticated_credential = consumer, credential
end

function kong.client.get_consumer()
  return ngx.ctx.authenticated_consumer
end

function kong.client.get_credential()
  return ngx.ctx.authenticated_credential
end

function kong.client.load_consumer(name, by_username)
  assert(type(name) == "string", "consumer_id must be a string")
  if name == "broken" then
    return nil, "the database is away"
  end
  for _, consumer in ipairs(kong.consumers) do
    if consumer.id == name or by_username and consumer.username == name then
      return consumer
    end
  end
  return nil
end

-- ---- kong.service.request, kong.response ---------------------------------------------------------------

local SCALARS = { string = true, number = true, boolean = true }

function kong.service.request.set_header(name, value)
  assert(type(name) == "string", "header must be a string")
  assert(SCALARS[type(value)], "value must be a string, a number or a boolean")
  ngx.req.set_header(name, tostring(value))
end

function kong.service.request.clear_header(name)
  assert(type(name) == "string", "header must be a string")
  ngx.req.clear_header(name)
end

function kong.response.exit(status, body, headers)
  ngx.status = status
  for name, value in pairs(headers or {}) do
    assert(SCALARS[type(value)], "a header's value must be a string, a number or a boolean")
    ngx.header[name] = value
  end
  ngx.header["Content-Type"] = "application/json; charset=utf-8"
  ngx.print(core.encode(body))
  return ngx.exit(status)
end

-- ---- kong.db, kong.cache -------------------------------------------------------------------------------

kong.db.consumers = {}

function kong.db.consumers.cache_key(_, name)
  return "consumers:" .. name
end

kong.cache = { kept = {} }

function kong.cache:get(key, _, load, ...)
  if not self.kept[key] then
    local value, message = load(...)
    if message then
      return nil, message
    end
    self.kept[key] = value
  end
  return self.kept[key]
end

return kong
