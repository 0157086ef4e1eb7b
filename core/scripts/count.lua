-- Counts the live records that an owner's index lists.
-- KEYS  index
-- ARGV  echo, base (the prefix with its colon), tag, max_age in ms ("0": none)
-- Gives {echo, how many}.
-- include: clock, created, end, member

local now, live = math.floor(now_us() / 1000), 0
for _, member in ipairs(redis.call('ZRANGE', KEYS[1], 0, -1)) do
  local head = redis.call('GETRANGE', key_of(ARGV[2], ARGV[3], member), 0, 10)
  local limit = #head == 11 and end_of(head, ARGV[4]) or 0
  if head ~= '' and (limit == 0 or limit > now) then live = live + 1 end
end
return {ARGV[1], live}
