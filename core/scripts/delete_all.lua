-- Deletes every record that an owner's index lists, and the index.
-- KEYS  index
-- ARGV  echo, base (the prefix with its colon), tag
-- Gives {echo, how many were live}.
-- include: member

local keys, live = {}, 0
for i, member in ipairs(redis.call('ZRANGE', KEYS[1], 0, -1)) do
  keys[i] = key_of(ARGV[2], ARGV[3], member)
end
for first = 1, #keys, 1000 do -- Lua's stack bounds unpack
  live = live + redis.call('DEL', unpack(keys, first, math.min(first + 999, #keys)))
end
redis.call('DEL', KEYS[1])
return {ARGV[1], live}
