-- Deletes all records of an owner.
-- KEYS  the owner's hash
-- ARGV  echo, max_age in ms ("0": none)
-- Gives {echo, how many were live}.
-- include: clock, digits, record, hash, end, live

local live = #live_of(math.floor(now_us() / 1000), ARGV[2])
redis.call('UNLINK', key)
return {ARGV[1], live}
