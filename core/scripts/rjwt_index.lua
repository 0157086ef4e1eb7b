-- Puts sessions that Node wrote into the index of their user.
-- KEYS  names that have a session's form
-- Gives how many were not in an index. A user whose index is another program's value is passed over: all
-- that goes by that index fails, and says so.
-- include: get, decode, session, clock, index

local now = now_us()
local indexes, added = {}, 0

local function listed(index)
  local suffixes = indexes[index]
  if suffixes == nil then
    local members = redis.pcall('ZRANGE', index, 0, -1)
    if members.err and not members.err:find('WRONGTYPE', 1, true) then redis.call('ZRANGE', index, 0, -1) end
    suffixes = not members.err and {}
    for _, member in ipairs(members) do suffixes[member:sub(17)] = true end
    indexes[index] = suffixes
  end
  return suffixes
end

for _, session in ipairs(KEYS) do
  local id, suffix = session:match('^([^:]*):(.*)$')
  if session_at(session) then
    local index = 'rjwt-sessions/' .. id
    local suffixes = listed(index)
    if suffixes and not suffixes[suffix] then
      suffixes[suffix] = true
      local left = redis.call('PTTL', session)
      index_put(index, '0000000000000000' .. suffix, left >= 0 and math.floor(now / 1000) + left or 0)
      added = added + 1
    end
  end
end
return added
