-- Makes a record and lists it in its owner's index.
-- KEYS  record, index
-- ARGV  echo, the record's text from the owner on, ttl in ms ("0": none), most per owner ("0": no cap),
--       the record's member in the index, the owner's tag, "custom" or "" (a generated token)
-- Gives {echo, created in microseconds}, or {echo, -1}: a custom token that is in use.
--
-- This is the write that users wait for most: what is needed seldom stands inside its condition, so
-- that nothing is paid for it.
-- include: clock

local call, index, ttl, cap = redis.call, KEYS[2], ARGV[3], ARGV[4]
local created = now_us()

local digits, us = '', created
for _ = 1, 9 do
  local digit = us % 64
  digits = ('ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_'):sub(digit + 1, digit + 1)
    .. digits
  us = (us - digit) / 64
end
local record = '["' .. digits .. ARGV[1] .. '",' .. ARGV[2]

local made
if ttl ~= '0' then
  made = call('SET', KEYS[1], record, 'PX', ttl, 'NX')
else
  made = call('SET', KEYS[1], record, 'NX')
end
if not made then
  if ARGV[7] == 'custom' then return {ARGV[1], -1} end
  -- A generated token cannot be anybody else's: this is the same request, sent again.
  -- include: created
  return {ARGV[1], created_of(call('GET', KEYS[1]))}
end

-- The index outlives its last record by up to two seconds, and is never the first to go.
local left = call('PTTL', index) -- -2: there is none yet, -1: it lists a record without expiry
if ttl == '0' then
  call('ZADD', index, '+inf', ARGV[5])
  if left >= 0 then call('PERSIST', index) end
else
  local second = math.ceil((created / 1000 + ttl) / 1000)
  call('ZADD', index, second, ARGV[5])
  if left ~= -1 and created / 1000 + left < second * 1000 then
    call('EXPIREAT', index, second + 1)
  end
end
if left ~= -2 then
  -- Forgets the expired, but for a second's grace: a record lives through its last millisecond.
  call('ZREMRANGEBYSCORE', index, '-inf', '(' .. math.floor(created / 1000000) - 1)
end

if cap ~= '0' and call('ZCARD', index) > tonumber(cap) then
  -- include: created, member, index
  local live = {}
  for _, member in ipairs(call('ZRANGE', index, 0, -1)) do
    local key = key_of(KEYS[1]:sub(1, -35), ARGV[6], member)
    local other = call('GET', key)
    if not other then
      call('ZREM', index, member)
    elseif member ~= ARGV[5] then
      live[#live + 1] = {key = key, member = member, created = created_of(other)}
    end
  end
  table.sort(live, function(a, b) return a.created < b.created end)
  for i = 1, #live + 1 - tonumber(cap) do
    call('DEL', live[i].key)
    call('ZREM', index, live[i].member)
  end
  index_expire(index)
end
return {ARGV[1], created}
