-- Stores an access token for all processes, and gives the lock back.
-- KEYS  tokens (the HASH that the Node package reads too), lock
-- ARGV  field, token, how long it is good in ms, lock owner
-- Gives 1.
-- The HASH expires with its longest-living token: no dead secrets stay behind.
-- include: get

local held = get(KEYS[2])
redis.call('HSET', KEYS[1], ARGV[1], ARGV[2])
local left = redis.call('PTTL', KEYS[1])
if left < tonumber(ARGV[3]) then redis.call('PEXPIRE', KEYS[1], ARGV[3]) end
if held == ARGV[4] then redis.call('DEL', KEYS[2]) end
return 1
