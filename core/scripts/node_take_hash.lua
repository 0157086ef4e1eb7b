-- Gives the value behind a hash, once. (GETDEL came with Redis 6.2 only.)
-- KEYS  hash
-- ARGV  echo
-- Gives {echo, the value}, {echo}: there is none.
-- include: get

local value = get(KEYS[1])
if not value then return {ARGV[1]} end
redis.call('DEL', KEYS[1])
return {ARGV[1], value}
