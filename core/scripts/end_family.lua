-- Deletes the record of a family, and the forwards that lead to it. Their tombstones stay.
-- KEYS  the owner's hash
-- ARGV  echo, the family
-- Gives {echo, how many records there were}.
-- include: clock, digits, record, hash

local family, now, all, count = ARGV[2], math.floor(now_us() / 1000), redis.call('HGETALL', key), 0
for i = 1, #all, 2 do
  local field, text = all[i], all[i + 1]
  local is_record = split(text) and (family_of(text) or field) == family
  if is_record then count = count + 1 end
  if is_record or family_left(text) == family and field:byte(22) ~= 126 then
    redis.call('HDEL', key, field)
    settle_without(now, text)
  end
end
return {ARGV[1], count}
