-- Puts sessions that Node wrote into the index of their user.
-- KEYS  names that have a session's form
-- Gives how many were not in an index.
--
-- A name of that form may be anything: a session is what says its own name. Its value is only read.
-- include: clock, index

local now = now_us()
local indexes, added = {}, 0

local function listed(index)
  local suffixes = indexes[index]
  if not suffixes then
    suffixes = {}
    for _, member in ipairs(redis.call('ZRANGE', index, 0, -1)) do suffixes[member:sub(17)] = true end
    indexes[index] = suffixes
  end
  return suffixes
end

for _, session in ipairs(KEYS) do
  local id, suffix = session:match('^([^:]*):(.*)$')
  local value = redis.pcall('GET', session)
  local ok, stored = pcall(cjson.decode, type(value) == 'string' and value or '')
  if ok and type(stored) == 'table' and stored.rjwt == session then
    local index = 'rjwt-sessions/' .. id
    local suffixes = listed(index)
    if not suffixes[suffix] then
      suffixes[suffix] = true
      local left = redis.call('PTTL', session)
      index_put(index, '0000000000000000' .. suffix, left >= 0 and math.floor(now / 1000) + left or 0)
      added = added + 1
    end
  end
end
return added
