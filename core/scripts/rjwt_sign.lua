-- Stores a session and ends those of the user that are too many.
-- KEYS  session ("<id>:<suffix>"), index; where there is a most: the others, and those that Node may have
-- written
-- ARGV  value, ttl in ms ("0": none)
--       and where wanted: most sessions of the user ("0": any number), "1": its suffix was chosen by
--       somebody
-- Gives the session; {session, 1, members of the index}: some of these may have ended by another hand;
-- nothing: what is under its key is another program's; {session, -2, keys}: it wants these, too.
--
-- As in create.lua, there are few words and few calls, numbers are made texts, and what is needed seldom
-- stands inside its condition.

local call, session, index, ttl = redis.call, KEYS[1], KEYS[2], ARGV[2]
local suffix = session:sub(-11)
local listed = call('ZCARD', index) -- first: it fails where the index is another program's
local time = call('TIME')
local capped = ARGV[3] and ARGV[3] ~= '0'
local members = {}
if capped and listed > 0 then
  -- include: declared, rjwt
  wanted[1] = session
  call('ZREMRANGEBYSCORE', index, '-inf', ('(%u'):format(time[1] - 1))
  members = members_of(index, session:sub(1, -13), has)
  if wanted[3] then return wanted end
end
local made
if ttl == '0' then
  made = call('SET', session, ARGV[1], 'NX')
else
  made = call('SET', session, ARGV[1], 'PX', ttl, 'NX')
end
local value_of -- a session
if capped or not made then
  -- include: get, decode, session
  value_of = session_at
end
if not made then
  local value = value_of(session)
  -- Nobody else draws this suffix: it is the same request, sent again.
  if ARGV[4] ~= '1' and value == ARGV[1] then
    audited('created', '', session:sub(1, -13), session, session, 1, true) -- audit
    return session
  end
  if ARGV[4] ~= '1' or not value then return false end
  for _, member in ipairs(call('ZRANGE', index, 0, -1)) do
    if member:sub(17) == suffix then call('ZREM', index, member) end
  end
  listed = call('ZCARD', index)
  if ttl == '0' then
    call('SET', session, ARGV[1])
  else
    call('SET', session, ARGV[1], 'PX', ttl)
  end
end

audited('created', '', session:sub(1, -13), session, session) -- audit
local us = time[1] * 1000000 + time[2]
local member = ('%010u%06u'):format(time[1], time[2]) .. suffix
local second = ttl ~= '0' and math.ceil((us / 1000 + ttl) / 1000)

if capped then
  -- include: index
  local id, live, seen = session:sub(1, -12), {}, {[session] = true}
  local function add(other, entry)
    if seen[other] then return end
    seen[other] = true
    if value_of(other) then
      live[#live + 1] = {key = other, entry = entry, made = entry and entry:sub(1, 16) or ''}
    elseif entry then
      call('ZREM', index, entry)
    end
  end
  for _, entry in ipairs(members) do add(id .. entry:sub(17), entry) end
  for i = 3, #KEYS do add(KEYS[i]) end
  table.sort(live, function(a, b) return a.made < b.made end)
  for i = 1, #live + 1 - tonumber(ARGV[3]) do
    call('DEL', live[i].key)
    audited('ended', 'too_many', session:sub(1, -13), live[i].key, live[i].key) -- audit
    if live[i].entry then call('ZREM', index, live[i].entry) end
  end
  index_put(index, member, second and second * 1000 or 0)
  return session
end

local remains = listed > 0 and call('PTTL', index) or -2 -- -1: it lists a session without expiry
if not second then
  call('ZADD', index, '+inf', member)
  if remains >= 0 then call('PERSIST', index) end
else
  call('ZADD', index, ('%u'):format(second), member)
  if remains ~= -1 and us / 1000 + remains < second * 1000 then
    call('EXPIREAT', index, ('%u'):format(second + 1))
    if remains ~= -2 then call('ZREMRANGEBYSCORE', index, '-inf', ('(%u'):format(time[1] - 1)) end
  end
end
-- Sessions that ended by another hand are still listed. At one of eight logins, some anywhere in the list are
-- looked at: so the dead stay fewer than the living.
if listed > 8 and listed % 8 == 0 then
  local place = us % math.max(1, listed - 23)
  return {session, 1, unpack(call('ZRANGE', index, place, place + 23))}
end
return session
