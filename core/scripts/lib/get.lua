-- The string under `key`, or nil: there is none, or what is there is no string, so it is another program's.
-- Any other error ends the script.
local function get(key)
  local value = redis.pcall('GET', key)
  if type(value) == 'table' and not value.err:find('WRONGTYPE', 1, true) then redis.call('GET', key) end
  return type(value) == 'string' and value or nil
end
