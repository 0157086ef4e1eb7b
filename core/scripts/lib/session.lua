-- The value of the session `key`, or nil: there is none. A name of a session's form may be anything,
-- another program's too: a session is a JSON object whose "rjwt" is its key. Both packages write that
-- first, so most need no decoding.
local function session_at(key)
  local value = get(key)
  if not value then return nil end
  if value:sub(1, #key + 10) == '{"rjwt":"' .. key .. '"' then return value end
  local stored = decode(value)
  return type(stored) == 'table' and stored.rjwt == key and value or nil
end
