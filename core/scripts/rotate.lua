-- Moves a live record to a new field: same owner, data and created, the old token dead.
-- KEYS  the owner's hash
-- ARGV  echo, old field, new field, duration in ms ("0": what remains), max_age in ms ("0": none)
-- Gives {echo, record, its end in ms (0: never)}, {echo, 0}: not found, {echo, -2}: not a record.
-- include: clock, digits, record, hash, end

local old, new = ARGV[2], ARGV[3]
local now = math.floor(now_us() / 1000)
local record, ends = find(old, now)
if not record then
  -- The new field is random: if it is there, this is the same request, sent again.
  record, ends = find(new, now)
  if not record then return {ARGV[1], 0} end
  return {ARGV[1], record, ends}
end
if not split(record) then return {ARGV[1], -2} end
if ARGV[4] ~= '0' then ends = now + ARGV[4] end
ends = earlier(ends, limit_of(record, ARGV[5]))
redis.call('HDEL', key, old)
if ends > 0 and ends <= now then return {ARGV[1], 0} end
record = with_family(record:sub(1, 9) .. ARGV[1]:sub(1, 4) .. record:sub(14), old)
put(new, record, ends)
settle(now, ends)
return {ARGV[1], record, ends}
