-- Moves a live record's expiry, never past created + max_age.
-- KEYS  record
-- ARGV  echo, names, duration in ms, max_age in ms ("0": none), "1": only to a later time
-- Gives {echo, the expiry in ms}, {echo, -1}: it has none and keeps none, {echo, 0}: not found,
-- {echo, -2}: not a record.
-- include: clock, created, end, record, index

local key = KEYS[1]
local record = redis.call('GET', key)
if not record then return {ARGV[1], 0} end
local head, owner, _, rest = split(record)
if not head then return {ARGV[1], -2} end

local index, member = index_of(key, owner, rest, ARGV[2])
local now = math.floor(now_us() / 1000)
local limit = end_of(record, ARGV[4])
if limit > 0 and limit <= now then
  redis.call('DEL', key)
  index_remove(index, member)
  return {ARGV[1], 0}
end
local expires = earlier(now + ARGV[3], limit)
if ARGV[5] == '1' then
  local left = redis.call('PTTL', key)
  if left < 0 then return {ARGV[1], limit > 0 and limit or -1} end
  if now + left >= expires then return {ARGV[1], earlier(now + left, limit)} end
end
redis.call('PEXPIREAT', key, expires)
index_put(index, member, expires)
return {ARGV[1], expires}
