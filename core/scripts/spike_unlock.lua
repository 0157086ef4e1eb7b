-- Gives a lock back, unless it is somebody else's by now.
-- KEYS  lock
-- ARGV  lock owner
-- Gives 1, or 0: it was not held.
-- include: get

if get(KEYS[1]) ~= ARGV[1] then return 0 end
return redis.call('DEL', KEYS[1])
