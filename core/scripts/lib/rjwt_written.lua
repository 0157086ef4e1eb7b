-- Is there a session under `key`? A name of that form may be anything, another program's too: a session
-- is what says its own name. Its value is only read.
local function is_session(key)
  local value = redis.pcall('GET', key)
  local ok, stored = pcall(cjson.decode, type(value) == 'string' and value or '')
  return ok and type(stored) == 'table' and stored.rjwt == key
end
