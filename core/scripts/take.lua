-- Gives a live record and deletes it: of many callers one gets it.
-- KEYS  the owner's hash
-- ARGV  echo, field, max_age in ms ("0": none)
-- Gives {echo, record, its end in ms (0: never)}, {echo, -2}: not a record, or as absent says: not found.
-- include: clock, digits, split, record, hash, settle, end

local now = now_ms()
local field = ARGV[2]
local record, ends = find(field, now)
if not record then
  -- include: absent
  return absent(field, ends, now)
end
if not split(record) then return {ARGV[1], -2} end
redis.call('HDEL', key, field)
settle_without(now, record)
ends = earlier(ends, limit_of(record, ARGV[3]))
if ends > 0 and ends <= now then return {ARGV[1], 0} end
audited('ended', 'taken', owner_in(record), family_of(record) or field, field) -- audit
return {ARGV[1], record, ends}
