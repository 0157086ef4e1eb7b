-- A stand-in for `apisix.core`: the documented functions that tokenstore-auth calls. core.schema.check knows
-- the words of JSON Schema that the plugin's schema uses.

local core = { request = {}, response = {}, schema = {}, log = {} }

function core.log.error(...)
  ngx.log(ngx.ERR, "[apisix] ", ...)
end

function core.request.set_header(ctx, name, value)
  assert(type(ctx) == "table" and type(name) == "string")
  ngx.req.set_header(name, value)
  ctx.var["http_" .. name:lower()] = nil
end

function core.response.set_header(name, value)
  ngx.header[name] = value
end

-- A request's context: its variables are read once.
function core.new_context()
  return {
    var = setmetatable({}, {
      __index = function(variables, name)
        local value = ngx.var[name:lower():gsub("-", "_")]
        rawset(variables, name, value)
        return value
      end,
    }),
  }
end

-- ---- core.schema ---------------------------------------------------------------------------------------

local function is_of(kind, value)
  if kind == "integer" then
    return type(value) == "number" and value % 1 == 0
  elseif kind == "array" or kind == "object" then
    return type(value) == "table" and (next(value) == nil or (value[1] ~= nil) == (kind == "array"))
  end
  return type(value) == kind
end

local function find_fault(schema, value)
  if not is_of(schema.type, value) then
    return "wrong type: expected " .. schema.type .. ", got " .. type(value)
  elseif schema.minLength and #value < schema.minLength then
    return "string too short"
  elseif schema.minimum and value < schema.minimum then
    return "expected at least " .. schema.minimum
  elseif schema.exclusiveMinimum and value <= schema.exclusiveMinimum then
    return "expected greater than " .. schema.exclusiveMinimum
  elseif schema.minItems and #value < schema.minItems then
    return "expected at least " .. schema.minItems .. " items"
  end
  for _, name in ipairs(schema.required or {}) do
    if value[name] == nil then
      return ('property "%s" is required'):format(name)
    end
  end
  for name, property in pairs(schema.properties or {}) do
    if value[name] == nil then
      value[name] = property.default
    end
  end
  for name, item in pairs(type(value) == "table" and value or {}) do
    local rule = schema.items or (schema.properties or {})[name]
    if rule == nil then
      rule = schema.additionalProperties
    end
    if rule == false then
      return "additional properties forbidden, found " .. name
    end
    local fault = rule and find_fault(rule, item)
    if fault then
      return ('property "%s" validation failed: %s'):format(name, fault)
    end
  end
  return nil
end

function core.schema.check(schema, value)
  local fault = find_fault(schema, value)
  return fault == nil, fault
end

return core
