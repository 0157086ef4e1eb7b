-- Deletes a record and its place in the owner's index.
-- KEYS  record
-- ARGV  echo, names, max_age in ms ("0": none)
-- Gives {echo, 1}, or {echo, 0}: not found.
-- include: clock, created, end, record, index

local key = KEYS[1]
local record = redis.call('GET', key)
if not record then return {ARGV[1], 0} end
redis.call('DEL', key)
local head, owner, _, rest = split(record)
if not head then return {ARGV[1], 1} end
local index, member = index_of(key, owner, rest, ARGV[2])
index_remove(index, member)
local limit = end_of(record, ARGV[3])
return {ARGV[1], (limit == 0 or now_us() < limit * 1000) and 1 or 0}
