-- Ends all sessions of a user.
-- KEYS  index
-- ARGV  id; then suffixes of sessions that Node may have written
-- Gives {id, how many were live}.

local id, ended = ARGV[1], 0
for _, member in ipairs(redis.call('ZRANGE', KEYS[1], 0, -1)) do
  ended = ended + redis.call('DEL', id .. ':' .. member:sub(17))
end
for i = 2, #ARGV do ended = ended + redis.call('DEL', id .. ':' .. ARGV[i]) end
redis.call('DEL', KEYS[1])
return {id, ended}
