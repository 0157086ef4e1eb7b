-- Deletes a record and its place in the owner's index.
-- KEYS  record
-- ARGV  echo, names
-- Gives {echo, 1}, or {echo, 0}: not found.
-- include: record, index

local key = KEYS[1]
local record = redis.call('GET', key)
if not record then return {ARGV[1], 0} end
redis.call('DEL', key)
local head, owner, _, rest = split(record)
if head then
  local index, member = index_of(key, owner, rest, ARGV[2])
  index_remove(index, member)
end
return {ARGV[1], 1}
