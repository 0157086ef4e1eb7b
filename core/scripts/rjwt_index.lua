-- Puts a user's sessions that Node wrote into their index.
-- KEYS  index, names that have the form of this user's sessions
-- Gives how many were not in the index. One that is another program's value is passed over: all that goes by
-- it fails, and says so.
-- include: get, decode, session, clock, index

local index, listed, added = KEYS[1], {}, 0
local members = redis.pcall('ZRANGE', index, 0, -1)
if members.err then
  if not members.err:find('WRONGTYPE', 1, true) then redis.call('ZRANGE', index, 0, -1) end
  return 0
end
for _, member in ipairs(members) do listed[member:sub(17)] = true end
local now = now_us()
for i = 2, #KEYS do
  local suffix = KEYS[i]:match(':(.*)$')
  if not listed[suffix] and session_at(KEYS[i]) then
    listed[suffix] = true
    local left = redis.call('PTTL', KEYS[i])
    index_put(index, '0000000000000000' .. suffix, left >= 0 and math.floor(now / 1000) + left or 0)
    added = added + 1
  end
end
return added
