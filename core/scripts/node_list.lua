-- The records of some of an owner's ids, in the Node package's form. Dead ids leave the set, where the server
-- lets us write.
-- KEYS  the owner's set
-- ARGV  echo, the prefix with its colon, "1": ids that are dead for sure are dropped, then the ids
-- Gives {echo, for each id: {key, record}, 0: dead, or -1: it has a key, but no record}.
--
-- The Node package stores a new token's id first, then its member in the set, then its record. So a
-- member without an id is dead for sure; an id without a record may be one that is just being added.
-- include: get

local reply = {ARGV[1]}
for i = 4, #ARGV do
  local key = get(ARGV[2] .. 'id:' .. ARGV[i])
  local record = key and get(ARGV[2] .. 'key:' .. key)
  if not key and ARGV[3] == '1' then redis.pcall('SREM', KEYS[1], ARGV[i]) end
  reply[#reply + 1] = record and {key, record} or (key and -1 or 0)
end
return reply
