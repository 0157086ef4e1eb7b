-- Moves a live record to a new field: same data and created, the old token dead.
-- KEYS  the hash of the old token; and that of the new one, if it is another
-- ARGV  echo, old field, new field, duration in ms ("0": what remains), max_age in ms ("0": none); where
--       more than this is wanted: for how long in ms the old token finds the new one ("0": not at all),
--       what it finds then, for how long at most in ms the old token is to be known as rotated ("0": not at
--       all), the locator of the other hash ("": there is none), the owner ("": it stays), most live tokens
--       of the owner ("0": no cap), what happens at it, most bytes of data; then changes, as merge takes
--       them. What is not wanted may be left out at the end
-- Gives {echo, record, its end in ms (0: never)}, {echo, -1}: the data would be too large, {echo, -2}: not
-- a record, {echo, -3}: the owner has too many tokens, {echo, -4}: another owner has it; or as absent says:
-- not found.
--
-- Where the new field is the old one, the token has been rotated already, and only its data is to be changed.
-- include: clock, digits, record, hash, end, successor

local old, new, more = ARGV[2], ARGV[3], #ARGV > 5
local now = math.floor(now_us() / 1000)
local record, ends = find(old, now)
if not record then
  -- The new field is random: if it is there, this is the same request, sent again.
  local forward = ends
  key = KEYS[2] or KEYS[1]
  record, ends = find(new, now)
  if record then return {ARGV[1], record, ends} end
  key = KEYS[1]
  return absent(old, forward, now)
end
local names, data = split(record)
if not names then return {ARGV[1], -2} end
if ARGV[4] ~= '0' and new ~= old then ends = now + ARGV[4] end
ends = earlier(ends, limit_of(record, ARGV[5]))
if ends > 0 and ends <= now then
  redis.call('HDEL', key, old)
  return {ARGV[1], 0}
end

local object, becomes = record:sub(data), ARGV[10] or ''
if #ARGV > 13 then
  -- include: json_text, merge
  object = merge(object, 14)
  if #object > tonumber(ARGV[13]) then return {ARGV[1], -1} end
end
local made, family, owner = successor_of(record, names, data, old, becomes, object)
if not made then return {ARGV[1], -4} end
if new == old then
  put(old, record:sub(1, data - 1) .. object, ends)
  return {ARGV[1], record:sub(1, data - 1) .. object, ends}
end
if KEYS[2] and ARGV[11] ~= '0' then
  -- include: cap
  key = KEYS[2]
  if not make_room(now, tonumber(ARGV[11]), ARGV[12], ARGV[5]) then return {ARGV[1], -3} end
  key = KEYS[1]
end

redis.call('HDEL', key, old) -- which a server without memory allows; behind it, so it does the others
if more then
  local onward = KEYS[2] and '@' .. ARGV[9] or ''
  local head = record:sub(1, 9) .. old:sub(1, 4) .. 'r' .. family .. onward
  local left = leave(old, head, owner, now, ends, ARGV[6], ARGV[7], ARGV[8])
  if KEYS[2] then
    if left then settle(now, left) end
    key = KEYS[2]
  end
end
put(new, made, ends)
settle(now, ends, more and 8)
return {ARGV[1], made, ends}
