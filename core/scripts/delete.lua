-- Deletes a record.
-- KEYS  the owner's hash
-- ARGV  echo, field, max_age in ms ("0": none)
-- Gives {echo, 1}, or {echo, 0}: not found.
-- include: clock, digits, record, hash, end

local now = math.floor(now_us() / 1000)
local record = find(ARGV[2], now)
redis.call('HDEL', key, ARGV[2])
if not record then return {ARGV[1], 0} end
settle_without(now, record)
local limit = split(record) and limit_of(record, ARGV[3]) or 0
return {ARGV[1], (limit == 0 or now < limit) and 1 or 0}
