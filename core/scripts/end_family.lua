-- Deletes the record of a family, and the forwards that lead to it. Their tombstones stay.
-- KEYS  the owner's hash
-- ARGV  echo, the family
-- Gives {echo, the locator of another hash where the family goes on, or ""}.
-- include: clock, digits, record, hash

local family, now, all, onward = ARGV[2], math.floor(now_us() / 1000), redis.call('HGETALL', key), ''
for i = 1, #all, 2 do
  local field, text = all[i], all[i + 1]
  local rotated = family_left(text) == family
  if rotated then onward = onward_of(text) or onward end
  local is_record = split(text) and (family_of(text) or field) == family
  if is_record or rotated and field:byte(22) ~= 126 then
    redis.call('HDEL', key, field)
    settle_without(now, text)
  end
end
return {ARGV[1], onward}
