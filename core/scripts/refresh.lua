-- Moves a live record's expiry, never past created + max_age.
-- KEYS  record
-- ARGV  echo, names, duration in ms, max_age in ms ("0": none)
-- Gives {echo, the new expiry in ms}, {echo, 0}: not found, {echo, -2}: not a record.
-- include: clock, record, index

local key = KEYS[1]
local record = redis.call('GET', key)
if not record then return {ARGV[1], 0} end
local head, owner, _, rest = split(record)
if not head then return {ARGV[1], -2} end

local index, member = index_of(key, owner, rest, ARGV[2])
local now = math.floor(now_us() / 1000)
local expires = now + ARGV[3]
if ARGV[4] ~= '0' then
  -- include: created
  expires = math.min(expires, math.floor(created_of(record) / 1000) + ARGV[4])
  if expires <= now then
    -- Made before there was a max_age, and older than that by now.
    redis.call('DEL', key)
    index_remove(index, member)
    return {ARGV[1], 0}
  end
end
redis.call('PEXPIREAT', key, expires)
index_put(index, member, expires)
return {ARGV[1], expires}
