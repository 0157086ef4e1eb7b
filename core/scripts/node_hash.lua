-- The value behind a hash.
-- KEYS  hash
-- ARGV  echo, what to do: "get", "take": get and delete, "delete"
-- Gives {echo, the value, or 1 where it was deleted}, {echo}: there is none.

local value = redis.call('GET', KEYS[1])
if not value then return {ARGV[1]} end
if ARGV[2] ~= 'get' then redis.call('DEL', KEYS[1]) end
return {ARGV[1], ARGV[2] == 'delete' and 1 or value}
