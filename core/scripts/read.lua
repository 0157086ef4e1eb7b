-- Reads a live record.
-- KEYS  the owner's hash
-- ARGV  echo, field or "=" and an id, max_age in ms ("0": none)
-- Gives {echo, record, its end in ms (0: never), its field, its end but for the max_age}, {echo, -2}: not a
-- record; or as absent says: not found.
-- include: clock, digits, split, record, hash, end

local now = now_ms()
local field = ARGV[2]
if #field > 22 then
  -- include: family
  field = field_of(field, now)
end
local record, own = find(field, now)
if not record then
  -- include: absent
  return absent(field, own, now)
end
if not split(record) then return {ARGV[1], -2} end
local ends = earlier(own, limit_of(record, ARGV[3]))
if ends > 0 and ends <= now then return {ARGV[1], 0} end
return {ARGV[1], record, ends, field, own}
