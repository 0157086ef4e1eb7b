-- Moves a live record to a new key: same owner, data and created, the old token dead.
-- KEYS  old record, new record (with the same tag)
-- ARGV  echo, names, duration in ms ("0": what remains), max_age in ms ("0": none)
-- Gives {echo, record, its expiry in ms (0: none)}, {echo, 0}: not found, {echo, -2}: not a record.
-- include: clock, record, index

local old, new = KEYS[1], KEYS[2]
local now = math.floor(now_us() / 1000)
local record = redis.call('GET', old)
if not record then
  -- The new key is random: if it is there, this is the same request, sent again.
  record = redis.call('GET', new)
  if not record then return {ARGV[1], 0} end
  local left = redis.call('PTTL', new)
  return {ARGV[1], record, left >= 0 and now + left or 0}
end
local head, owner, data, rest = split(record)
if not head then return {ARGV[1], -2} end

local index, old_member = index_of(old, owner, rest, ARGV[2])
local _, new_member = index_of(new, owner, rest, ARGV[2])
local expires = 0
if ARGV[3] ~= '0' then
  expires = now + ARGV[3]
else
  local left = redis.call('PTTL', old)
  if left >= 0 then expires = now + left end
end
if ARGV[4] ~= '0' then
  -- include: created
  local limit = math.floor(created_of(record) / 1000) + ARGV[4]
  expires = expires > 0 and math.min(expires, limit) or limit
end
redis.call('DEL', old)
if expires > 0 and expires <= now then
  -- Made before there was a max_age, and older than that by now.
  index_remove(index, old_member)
  return {ARGV[1], 0}
end
record = head:sub(1, 11) .. ARGV[1] .. '",' .. owner .. ',' .. data .. rest
redis.call('SET', new, record)
if expires > 0 then redis.call('PEXPIREAT', new, expires) end
redis.call('ZREM', index, old_member)
index_put(index, new_member, expires)
return {ARGV[1], record, expires}
