-- A stand-in for the part of Kong that checks a plugin's configuration by its schema: the documented
-- attributes that the schema of tokenstore-auth uses. It fills in defaults.

local TYPES = { string = "string", number = "number", boolean = "boolean", array = "table", map = "table" }

local function is_reference(value)
  return type(value) == "string" and value:find "^{vault://.+}$" ~= nil
end

local function check_field(field, value)
  if field.type == "integer" then
    if type(value) ~= "number" or value % 1 ~= 0 then
      return nil, "expected an integer"
    end
  elseif type(value) ~= TYPES[field.type] then
    return nil, "expected a " .. field.type
  end
  if is_reference(value) and not field.referenceable then
    return nil, "it cannot be a reference"
  end
  for key, item in pairs(type(value) == "table" and value or {}) do
    local good, message = check_field(field.elements or field.values, item)
    if good and field.keys then
      good, message = check_field(field.keys, key)
    end
    if not good then
      return nil, message
    end
  end
  if field.custom_validator then
    return field.custom_validator(value)
  end
  return true
end

local function config_of(schema)
  for _, entry in ipairs(schema.fields) do
    if entry.config then
      return entry.config
    end
  end
end

-- check(schema, config): true; or nil and messages by field, "@entity" for the whole.
return function(schema, config)
  local record = config_of(schema)
  local known, messages = {}, {}
  for _, entry in ipairs(record.fields) do
    local name, field = next(entry)
    known[name] = true
    if config[name] == nil then
      config[name] = field.default
    end
    if config[name] == nil then
      messages[name] = field.required and "required field missing" or nil
    else
      local good, message = check_field(field, config[name])
      messages[name] = not good and message or nil
    end
  end
  for name in pairs(config) do
    messages[name] = messages[name] or not known[name] and "unknown field" or nil
  end
  if next(messages) then
    return nil, messages
  end
  local good, message = record.custom_validator(config)
  if not good then
    return nil, { ["@entity"] = message }
  end
  return true
end
