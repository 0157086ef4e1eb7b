-- Reads live records that an owner's index lists, the newest first; forgets members without a record, where
-- the server lets us write.
-- KEYS  index
-- ARGV  echo, base (the prefix with its colon), tag, max_age in ms ("0": none), how many at most ("0": all),
--       the member behind which they begin ("": at the newest)
-- Gives {echo, member, record, its expiry in ms (0: none), member, …}, {echo, 0}: that member is not live.
-- include: clock, created, end, member

local now = math.floor(now_us() / 1000)
local live = {}
for _, member in ipairs(redis.call('ZRANGE', KEYS[1], 0, -1)) do
  local key = key_of(ARGV[2], ARGV[3], member)
  local head = redis.call('GETRANGE', key, 0, 10) -- as much as tells when it was made
  local limit = #head == 11 and end_of(head, ARGV[4]) or 0
  if head == '' then
    redis.pcall('ZREM', KEYS[1], member)
  elseif limit == 0 or limit > now then
    local made = #head == 11 and created_of(head) or 0
    live[#live + 1] = {key = key, member = member, made = made, limit = limit}
  end
end

-- By bytes: a server compares texts as its locale does.
local function is_before(a, b)
  for i = 1, math.min(#a, #b) do
    if a:byte(i) ~= b:byte(i) then return a:byte(i) < b:byte(i) end
  end
  return #a < #b
end
table.sort(live, function(a, b)
  if a.made ~= b.made then return a.made > b.made end
  return is_before(a.member, b.member)
end)

local first = 1
if ARGV[6] ~= '' then
  while live[first] and live[first].member ~= ARGV[6] do first = first + 1 end
  if not live[first] then return {ARGV[1], 0} end
  first = first + 1
end
local last = ARGV[5] == '0' and #live or math.min(#live, first + ARGV[5] - 1)
local reply = {ARGV[1]}
for i = first, last do
  local left = redis.call('PTTL', live[i].key)
  reply[#reply + 1] = live[i].member
  reply[#reply + 1] = redis.call('GET', live[i].key)
  reply[#reply + 1] = earlier(left >= 0 and now + left or 0, live[i].limit)
end
return reply
