-- Deletes a record.
-- KEYS  the owner's hash
-- ARGV  echo, field or "=" and an id, max_age in ms ("0": none), and the record, if it must be a certain one
-- Gives {echo, 1}, {echo, -3}: it is another record; or as absent says: not found.
-- include: clock, digits, split, record, hash, settle, end

local now = now_ms()
local field = ARGV[2]
if #field > 22 then
  -- include: family
  field = field_of(field, now)
end
local record, forward = find(field, now)
if not record then
  -- include: absent
  return absent(field, forward, now)
end
if ARGV[4] and record ~= ARGV[4] then return {ARGV[1], -3} end
redis.call('HDEL', key, field)
settle_without(now, record)
local limit = split(record) and limit_of(record, ARGV[3]) or 0
local live = limit == 0 or now < limit
local reason = #ARGV[2] > 22 and 'revoked' or 'logout' -- audit
if live and not ARGV[4] then audited('ended', reason, owner_in(record), family_of(record) or field, field) end -- audit
return {ARGV[1], live and 1 or 0}
