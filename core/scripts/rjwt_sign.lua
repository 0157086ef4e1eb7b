-- Stores a session and ends those of the user that are too many.
-- KEYS  session ("<id>:<suffix>"), index
-- ARGV  value, ttl in ms ("0": none), most sessions of the user ("0": any number), "1": its suffix is
--       random; then suffixes of sessions that Node may have written
-- Gives {session}.
-- include: clock, index, rjwt

local session, index = KEYS[1], KEYS[2]
local id, suffix = session:match('^([^:]*):(.*)$')
local most = tonumber(ARGV[3])
local held = redis.call('GET', session)
-- Nobody else draws this suffix: it is the same request, sent again.
if held and held == ARGV[1] and ARGV[4] == '1' then return {session} end
if held then drop_suffix(index, suffix) end

local now = now_us()
redis.call('ZREMRANGEBYSCORE', index, '-inf', '(' .. math.floor(now / 1000000) - 1)
if most > 0 then
  local live, seen = {}, {[suffix] = true}
  local function add(other, member)
    if seen[other] then return end
    seen[other] = true
    if redis.call('EXISTS', id .. ':' .. other) == 1 then
      live[#live + 1] = {key = id .. ':' .. other, member = member, made = member and member:sub(1, 16) or ''}
    elseif member then
      redis.call('ZREM', index, member)
    end
  end
  for _, member in ipairs(redis.call('ZRANGE', index, 0, -1)) do add(member:sub(17), member) end
  for i = 5, #ARGV do add(ARGV[i]) end
  table.sort(live, function(a, b) return a.made < b.made end)
  for i = 1, #live + 1 - most do
    redis.call('DEL', live[i].key)
    if live[i].member then redis.call('ZREM', index, live[i].member) end
  end
else
  -- Sessions that ended by another hand are still listed. Of three anywhere in the list, the dead are
  -- dropped: so they stay fewer than the living, and signing costs the same.
  local count = redis.call('ZCARD', index)
  for i = 1, math.min(3, count) do
    local at = (now + i * 7919) % count
    local member = redis.call('ZRANGE', index, at, at)[1]
    if member and redis.call('EXISTS', id .. ':' .. member:sub(17)) == 0 then
      redis.call('ZREM', index, member)
    end
  end
end

local expires = 0
if ARGV[2] == '0' then
  redis.call('SET', session, ARGV[1])
else
  redis.call('SET', session, ARGV[1], 'PX', ARGV[2])
  expires = math.floor(now / 1000) + ARGV[2]
end
index_put(index, string.format('%016.0f', now) .. suffix, expires)
return {session}
