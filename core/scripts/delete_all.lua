-- Deletes all records of an owner, or all but one.
-- KEYS  the owner's hash
-- ARGV  echo, max_age in ms ("0": none), and the fields of which the first that has a live record stays
-- Gives {echo, how many were live and are deleted}.
-- include: clock, digits, record, hash, end, live

local now = math.floor(now_us() / 1000)
local live = #live_of(now, ARGV[2])
local field, kept, ends
for i = 3, #ARGV do
  local record, its_end = find(ARGV[i], now)
  if record and split(record) then
    local limit = limit_of(record, ARGV[2])
    if limit == 0 or now < limit then
      field, kept, ends = ARGV[i], record, its_end
      break
    end
  end
end
redis.call('UNLINK', key)
if kept then -- it is put back: that is quicker than to delete the others one by one
  put(field, kept, ends)
  if known == 0 and ends > 0 then expire_after(ends) end
  live = live - 1
end
return {ARGV[1], live}
