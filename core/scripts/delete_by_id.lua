-- Deletes a record that an owner's index lists; the record itself says whose it is.
-- KEYS  record, index
-- ARGV  echo, names, max_age in ms ("0": none)
-- Gives {echo, 1}, or {echo, 0}: not found, or another owner's.
-- include: clock, created, end, record, index

local key, index = KEYS[1], KEYS[2]
local record = redis.call('GET', key)
if not record then return {ARGV[1], 0} end
local head, owner, _, rest = split(record)
if not head then return {ARGV[1], 0} end
local own_index, member = index_of(key, owner, rest, ARGV[2])
if own_index ~= index then return {ARGV[1], 0} end
redis.call('DEL', key)
index_remove(index, member)
local limit = end_of(record, ARGV[3])
return {ARGV[1], (limit == 0 or now_us() < limit * 1000) and 1 or 0}
