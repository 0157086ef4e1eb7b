-- The live sessions of a user, the newest first. Those that ended by another hand leave the index, where the
-- server lets us write.
-- KEYS  index
-- ARGV  id; then suffixes of sessions that Node may have written
-- Gives {id, for each: key, value, ttl in seconds (-1: none)}.
-- include: get, decode, session, index

local id, index = ARGV[1], KEYS[1]
local live, seen, dropped = {}, {}, false

local function add(suffix, member)
  if seen[suffix] then return end
  seen[suffix] = true
  local key = id .. ':' .. suffix
  local value = session_at(key)
  if value then
    live[#live + 1] = {key = key, value = value, made = member and member:sub(1, 16) or ''}
  elseif member and redis.pcall('ZREM', index, member) == 1 then
    dropped = true
  end
end

for _, member in ipairs(redis.call('ZRANGE', index, 0, -1)) do add(member:sub(17), member) end
for i = 2, #ARGV do add(ARGV[i]) end
if dropped then index_expire(index) end
table.sort(live, function(a, b) return a.made > b.made or (a.made == b.made and a.key < b.key) end)
local reply = {id}
for _, session in ipairs(live) do
  reply[#reply + 1] = session.key
  reply[#reply + 1] = session.value
  reply[#reply + 1] = redis.call('TTL', session.key)
end
return reply
