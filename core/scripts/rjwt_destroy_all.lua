-- Ends all sessions of a user.
-- KEYS  index
-- ARGV  id; then suffixes of sessions that Node may have written
-- Gives {id, how many were live}.
-- include: rjwt_written

local id, ended = ARGV[1], 0
for _, member in ipairs(redis.call('ZRANGE', KEYS[1], 0, -1)) do
  ended = ended + redis.call('DEL', id .. ':' .. member:sub(17))
end
for i = 2, #ARGV do
  local key = id .. ':' .. ARGV[i]
  if is_session(key) then ended = ended + redis.call('DEL', key) end
end
redis.call('DEL', KEYS[1])
return {id, ended}
