-- Gives a live record and deletes it: of many callers one gets it.
-- KEYS  the owner's hash
-- ARGV  echo, field, max_age in ms ("0": none)
-- Gives {echo, record, its end in ms (0: never)}, {echo, 0}: not found, {echo, -2}: not a record.
-- include: clock, digits, record, hash, end

local now = math.floor(now_us() / 1000)
local record, ends = find(ARGV[2], now)
if not record then return {ARGV[1], 0} end
if not split(record) then return {ARGV[1], -2} end
redis.call('HDEL', key, ARGV[2])
settle_without(now, record)
ends = earlier(ends, limit_of(record, ARGV[3]))
if ends > 0 and ends <= now then return {ARGV[1], 0} end
return {ARGV[1], record, ends}
