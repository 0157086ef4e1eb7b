-- Makes a record and lists it in its owner's index.
-- KEYS  record, index
-- ARGV  echo, the record's text from the owner on, ttl in ms (0: none), most per owner (0: no cap),
--       "custom" or "" (a generated token)
-- Gives {echo, created in microseconds}, or {echo, -1}: a custom token that is in use.
-- include: clock, record, index

local function digits_of(us)
  local text = ''
  for _ = 1, 9 do
    local digit = us % 64
    text = DIGITS:sub(digit + 1, digit + 1) .. text
    us = (us - digit) / 64
  end
  return text
end

-- Deletes the oldest records beyond `cap`, never the one just made; forgets members without a record.
local function evict(index, base, owner_tag, made, cap)
  local live = {}
  for _, member in ipairs(redis.call('ZRANGE', index, 0, -1)) do
    local key = key_of(base, owner_tag, member)
    local record = redis.call('GET', key)
    if not record then
      redis.call('ZREM', index, member)
    elseif member ~= made then
      live[#live + 1] = {key = key, member = member, created = created_of(record)}
    end
  end
  table.sort(live, function(a, b) return a.created < b.created end)
  for i = 1, #live + 1 - cap do
    redis.call('DEL', live[i].key)
    redis.call('ZREM', index, live[i].member)
  end
  index_expire(index)
end

local record_key, index = KEYS[1], KEYS[2]
local ttl, cap = tonumber(ARGV[3]), tonumber(ARGV[4])
local created = now_us()
local record = '["' .. digits_of(created) .. ARGV[1] .. '",' .. ARGV[2]
local made
if ttl > 0 then
  made = redis.call('SET', record_key, record, 'PX', ttl, 'NX')
else
  made = redis.call('SET', record_key, record, 'NX')
end
if not made then
  if ARGV[5] == 'custom' then return {ARGV[1], -1} end
  -- A generated token cannot be anybody else's: this is the same request, sent again.
  return {ARGV[1], created_of(redis.call('GET', record_key))}
end

local base = key_base(record_key)
local owner_tag = index:sub(#base + 2, #base + 4)
local member = member_of(record_key, owner_tag)
local now = math.floor(created / 1000)
index_put(index, member, ttl > 0 and now + ttl or 0, now)
if cap > 0 and redis.call('ZCARD', index) > cap then evict(index, base, owner_tag, member, cap) end
return {ARGV[1], created}
