-- Lets an alias live as long as its record may now do, and never shorter than it does.
-- KEYS  alias
-- ARGV  for how long in ms
-- Gives what it had left.

local left = redis.call('PTTL', KEYS[1])
if left >= 0 and left < tonumber(ARGV[1]) then redis.call('PEXPIRE', KEYS[1], ARGV[1]) end
return left
