-- Moves a live record's end, never past created + max_age.
-- KEYS  the owner's hash
-- ARGV  echo, field, duration in ms, max_age in ms ("0": none), "1": only to a later time
-- Gives {echo, the end in ms}, {echo, -1}: it has none and keeps none, {echo, 0}: not found, {echo, -2}: not
-- a record.
-- include: clock, digits, record, hash, end

local now = math.floor(now_us() / 1000)
local record, ends = find(ARGV[2], now)
if not record then return {ARGV[1], 0} end
if not split(record) then return {ARGV[1], -2} end
local limit = limit_of(record, ARGV[4])
if limit > 0 and limit <= now then
  redis.call('HDEL', key, ARGV[2])
  return {ARGV[1], 0}
end
local later = earlier(now + ARGV[3], limit)
if ARGV[5] == '1' then
  if ends == 0 then return {ARGV[1], limit > 0 and limit or -1} end
  if ends >= later then return {ARGV[1], earlier(ends, limit)} end
  put(ARGV[2], with_seen(record, now), later)
  settle(now, later)
  return {ARGV[1], later, now}
end
move(ARGV[2], record, later)
settle(now, later)
return {ARGV[1], later}
