-- One call of a store or a client for a test in Python (remote.py): the request's body describes it, the
-- response has its results.
-- luacheck: std ngx_lua

local core = require "tokenstore.core"
local tokenstore = require "tokenstore"

local LIMIT = 64 * 1024 * 1024

-- Raw strings may contain any bytes, which JSON cannot represent: { b64 = … } encodes them.
local function unpack_raw(value)
  if type(value) ~= "table" then
    return value
  elseif value.b64 then
    return ngx.decode_base64(value.b64)
  end
  for i, item in ipairs(value) do
    value[i] = unpack_raw(item)
  end
  return value
end

local function pack_raw(value)
  if type(value) == "string" then
    return { b64 = ngx.encode_base64(value) }
  elseif type(value) == "table" and not value.code then
    local list = tokenstore.array {}
    for i, item in ipairs(value) do
      list[i] = pack_raw(item)
    end
    return list
  end
  return value
end

local function answer(raw, value, message, code)
  if message then
    return { message = message, code = code }
  elseif value == nil then
    return {}
  elseif raw then
    value = pack_raw(value)
  elseif type(value) == "table" and not value.id then
    value = tokenstore.array(value)
  end
  return { value = value }
end

ngx.req.read_body()
local body = ngx.req.get_body_data()
if not body then
  local file = assert(io.open(ngx.req.get_body_file(), "rb"))
  body = file:read "*a"
  file:close()
end
local asked = assert(core.decode(body, LIMIT))
local tokens = assert(asked.prefix and tokenstore.Tokenstore { redis = asked.url, prefix = asked.prefix }
  or tokenstore.RedisTokens(asked.url))
local result
if asked.call == "fill" then -- a pipeline of that many commands of that size; the number of replies
  local commands = {}
  for i = 1, asked.args[1] do
    commands[i] = { "ECHO", ("x"):rep(asked.args[2]) }
  end
  local replies, message, code = tokens.client:pipeline(commands)
  result = answer(false, replies and #replies, message, code)
elseif asked.call == "execute" then
  result = answer(true, tokens.client:execute(unpack(unpack_raw(asked.args))))
elseif asked.call == "pipeline" then
  result = answer(true, tokens.client:pipeline(unpack_raw(asked.args), asked.options))
else
  result = answer(false, tokens[asked.call](tokens, asked.args))
end
ngx.print(assert(core.encode(result, LIMIT)))
