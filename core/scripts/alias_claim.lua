-- Claims the alias of a custom token that is about to be created, confirms the claim, or removes the alias.
-- KEYS  alias
-- ARGV  echo, what it must hold now ("": nothing), what it is to hold ("": nothing), for how long in ms ("0":
--       for good)
-- Gives {echo, 1}; {echo, what it holds instead}.

local present = redis.call('GET', KEYS[1]) or ''
if present ~= ARGV[2] then return {ARGV[1], present} end
if ARGV[3] == '' then
  redis.call('DEL', KEYS[1])
elseif ARGV[4] == '0' then
  redis.call('SET', KEYS[1], ARGV[3])
else
  redis.call('SET', KEYS[1], ARGV[3], 'PX', ARGV[4])
end
return {ARGV[1], 1}
