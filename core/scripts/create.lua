-- Makes a record and lists it in its owner's index.
-- KEYS  record, index
-- ARGV  the record's text from the owner on, ttl in ms ("0": none)
--       and where wanted: most live records of the owner ("0": no cap), a custom token's index member
-- Gives the record's <created><check>; the <check> alone: the custom token is in use.
--
-- This is the write that users wait for most. So there are few words and few calls, and what is
-- needed seldom stands inside its condition. Numbers go to Redis as texts made by %u: Redis itself prints
-- them with 17 digits, which costs as much as a short command.
-- include: stamp

local call, index, ttl = redis.call, KEYS[2], ARGV[2]
local digest = KEYS[1]:sub(-28)
local check = digest:sub(1, 4)
local member = ARGV[4] or digest
local time = call('TIME')
local us = time[1] * 1000000 + time[2]
local head = stamp_of(us) .. check
local record = '["' .. head .. '",' .. ARGV[1]

local made
if ttl == '0' then
  made = call('SET', KEYS[1], record, 'NX')
else
  made = call('SET', KEYS[1], record, 'PX', ttl, 'NX')
end
if not made then
  if ARGV[4] then return check end
  -- A generated token cannot be anybody else's: this is the same request, sent again.
  return call('GET', KEYS[1]):sub(3, 15)
end

-- The index goes after its last record: up to two seconds later, never before.
local remains = call('PTTL', index) -- -2: there is none yet, -1: it lists a record without expiry
if ttl == '0' then
  call('ZADD', index, '+inf', member)
  if remains >= 0 then call('PERSIST', index) end
else
  local second = math.ceil((us / 1000 + ttl) / 1000)
  call('ZADD', index, ('%u'):format(second), member)
  if remains ~= -1 and us / 1000 + remains < second * 1000 then
    call('EXPIREAT', index, ('%u'):format(second + 1))
    if remains ~= -2 then
      -- Forget the expired, but for a second's grace: a record lives through its last millisecond.
      call('ZREMRANGEBYSCORE', index, '-inf', ('(%u'):format(time[1] - 1))
    end
  end
end

if ARGV[3] and ARGV[3] ~= '0' and call('ZCARD', index) > tonumber(ARGV[3]) then
  -- include: created, member, index
  local base, owner_tag = KEYS[1]:sub(1, -35), index:sub(#KEYS[1] - 32, #KEYS[1] - 30)
  local live = {}
  for _, other in ipairs(call('ZRANGE', index, 0, -1)) do
    local key = key_of(base, owner_tag, other)
    local text = call('GET', key)
    if not text then
      call('ZREM', index, other)
    elseif other ~= member then
      live[#live + 1] = {key = key, member = other, created = created_of(text)}
    end
  end
  table.sort(live, function(a, b) return a.created < b.created end)
  for i = 1, #live + 1 - tonumber(ARGV[3]) do
    call('DEL', live[i].key)
    call('ZREM', index, live[i].member)
  end
  index_expire(index)
end
return head
