-- The live sessions of a user, the newest first. Those that ended by another hand leave the index, where the
-- server lets us write.
-- KEYS  index; sessions: those it lists, and those that Node may have written
-- ARGV  id
-- Gives {id, for each: key, value, ttl in seconds (-1: none)}, {id, -2, keys}: it wants these, too.
-- include: declared, get, decode, session, index, rjwt

local id, index = ARGV[1], KEYS[1]
local members = members_of(index, id, has)
if wanted[3] then return wanted end
local live, seen, dropped = {}, {}, false

local function add(key, member)
  if seen[key] then return end
  seen[key] = true
  local value = session_at(key)
  if value then
    live[#live + 1] = {key = key, value = value, made = member and member:sub(1, 16) or ''}
  elseif member and redis.pcall('ZREM', index, member) == 1 then
    dropped = true
  end
end

for _, member in ipairs(members) do add(id .. ':' .. member:sub(17), member) end
for i = 2, #KEYS do add(KEYS[i]) end
if dropped then index_expire(index) end
table.sort(live, function(a, b) return a.made > b.made or (a.made == b.made and a.key < b.key) end)
local reply = {id}
for _, session in ipairs(live) do
  reply[#reply + 1] = session.key
  reply[#reply + 1] = session.value
  reply[#reply + 1] = redis.call('TTL', session.key)
end
return reply
