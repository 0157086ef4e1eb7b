-- Moves a live record's end, never past created + max_age.
-- KEYS  the owner's hash
-- ARGV  echo, field, duration in ms, max_age in ms ("0": none), "1": only to a later time
-- Gives {echo, the end in ms}, {echo, -1}: it has none and keeps none, {echo, -2}: not a record, or as
-- absent says: not found.
-- include: clock, digits, split, record, hash, settle, end

local now = now_ms()
local field = ARGV[2]
local record, ends = find(field, now)
if not record then
  -- include: absent
  return absent(field, ends, now)
end
if not split(record) then return {ARGV[1], -2} end
local limit = limit_of(record, ARGV[4])
if limit > 0 and limit <= now then
  redis.call('HDEL', key, field)
  return {ARGV[1], 0}
end
local later = earlier(now + ARGV[3], limit)
if ARGV[5] == '1' then
  if ends == 0 then return {ARGV[1], limit > 0 and limit or -1} end
  if ends >= later then return {ARGV[1], earlier(ends, limit)} end
  put(field, with_seen(record, now), later)
  settle(now, later)
  return {ARGV[1], later, now}
end
move(field, record, later)
settle(now, later)
return {ARGV[1], later}
