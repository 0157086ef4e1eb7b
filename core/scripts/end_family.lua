-- Deletes the record of a family. What its rotations left stays: it leads nowhere, and says so.
-- KEYS  the owner's hash
-- ARGV  echo, the family
-- Gives {echo, how many records there were}.
-- include: clock, digits, split, record, hash, settle

local family, now, all, count = ARGV[2], now_ms(), redis.call('HGETALL', key), 0
for i = 1, #all, 2 do
  local field, text = all[i], all[i + 1]
  if split(text) and (family_of(text) or field) == family then
    redis.call('HDEL', key, field)
    settle_without(now, text)
    audited('reused', '', owner_in(text), family, '') -- audit
    audited('ended', 'reuse', owner_in(text), family, field) -- audit
    count = count + 1
  end
end
if count == 0 then audited('reused', '', '', family, '', 1, true) end -- audit
return {ARGV[1], count}
