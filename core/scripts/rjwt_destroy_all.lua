-- Ends all sessions of a user.
-- KEYS  index
-- ARGV  id; then suffixes of sessions that Node may have written
-- Gives {id, how many were live}.
-- include: get, decode, session

local id, ended = ARGV[1], 0
local function destroy(suffix)
  local key = id .. ':' .. suffix
  if session_at(key) then ended = ended + redis.call('DEL', key) end
end
for _, member in ipairs(redis.call('ZRANGE', KEYS[1], 0, -1)) do destroy(member:sub(17)) end
for i = 2, #ARGV do destroy(ARGV[i]) end
redis.call('DEL', KEYS[1])
return {id, ended}
