-- Moves a live record to a new key: same owner, data and created, the old token dead.
-- KEYS  old record, new record (with the same tag)
-- ARGV  echo, names, duration in ms ("0": what remains), max_age in ms ("0": none)
-- Gives {echo, record, its expiry in ms (0: none)}, {echo, 0}: not found, {echo, -2}: not a record.
-- include: clock, created, end, record, index

local old, new = KEYS[1], KEYS[2]
local now = math.floor(now_us() / 1000)

-- When the record under `key` ends.
local function expiry_of(key)
  local left = redis.call('PTTL', key)
  return left >= 0 and now + left or 0
end

local record = redis.call('GET', old)
if not record then
  -- The new key is random: if it is there, this is the same request, sent again.
  record = redis.call('GET', new)
  if not record then return {ARGV[1], 0} end
  return {ARGV[1], record, expiry_of(new)}
end
local head, owner, data, rest = split(record)
if not head then return {ARGV[1], -2} end

local index, old_member = index_of(old, owner, rest, ARGV[2])
local _, new_member = index_of(new, owner, rest, ARGV[2])
local expires = ARGV[3] == '0' and expiry_of(old) or now + ARGV[3]
expires = earlier(expires, end_of(record, ARGV[4]))
redis.call('DEL', old)
if expires > 0 and expires <= now then
  index_remove(index, old_member)
  return {ARGV[1], 0}
end
record = head:sub(1, 11) .. ARGV[1] .. '",' .. owner .. ',' .. data .. rest
redis.call('SET', new, record)
if expires > 0 then redis.call('PEXPIREAT', new, expires) end
redis.call('ZREM', index, old_member)
index_put(index, new_member, expires)
return {ARGV[1], record, expires}
