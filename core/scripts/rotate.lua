-- Moves a live record to a new field: same data and created, the old token dead.
-- KEYS  the hash of the old token; and that of the new one, if it is another
-- ARGV  echo, old field, new field, duration in ms ("0": what remains), max_age in ms ("0": none); where more
--       than this is wanted: for how long in ms the old token finds the new one ("0": not at all), what it
--       finds then, for how long at most in ms the old token is to be known as rotated ("0": not at all), the
--       owner ("": it stays), most live tokens of the owner ("0": no cap), what happens at it, most bytes of
--       data; then changes, as merge takes them. What is not wanted may be left out at the end
-- Gives {echo, record, its end in ms (0: never)}, {echo, -1}: the data would be too large, {echo, -2}: not a
-- record, {echo, -3}: the owner has too many tokens, {echo, -4}: another owner has it; or as absent says: not
-- found.
--
-- Where the new field is the old one, the token has been rotated already, and only its data is to be changed.
-- Of a token that moves to an owner's hash nothing stays: who had it before must not find what follows.
-- include: clock, digits, stamp, split, record, hash, absent, settle, end, successor

local old, new, more = ARGV[2], ARGV[3], #ARGV > 5
local us = now_us()
local now = math.floor(us / 1000)
local record, ends = find(old, now)
if not record then
  -- The new field is random: if it is there, this is the same request, sent again.
  local forward = ends
  key = KEYS[2] or KEYS[1]
  record, ends = find(new, now)
  if record then
    audited('rotated', '', owner_in(record), family_of(record), new, 1, true) -- audit
    return {ARGV[1], record, ends}
  end
  key = KEYS[1]
  return absent(old, forward, now)
end
local names, data = split(record)
if not names then return {ARGV[1], -2} end
local limit = limit_of(record, ARGV[5])
if limit > 0 and limit <= now then
  redis.call('HDEL', key, old)
  return {ARGV[1], 0}
end
local object = record:sub(data)
if #ARGV > 12 then
  -- include: json_text, merge
  object = merge(object, 13)
  if #object > tonumber(ARGV[12]) then return {ARGV[1], -1} end
end
local made, family, owner = successor_of(record, names, data, old, ARGV[9] or '', object, us)
if not made then return {ARGV[1], -4} end
if new == old then
  record = record:sub(1, data - 1) .. object
  put(old, record, ends)
  return {ARGV[1], record, earlier(ends, limit)}
end
if ARGV[4] ~= '0' then ends = now + ARGV[4] end
ends = earlier(ends, limit_of(made, ARGV[5]))
if KEYS[2] then
  key = KEYS[2]
  if ARGV[10] ~= '0' then
    -- include: cap
    if not make_room(now, tonumber(ARGV[10]), ARGV[11], ARGV[5]) then
      audited('refused', 'too_many', owner_in(made), family, old) -- audit
      return {ARGV[1], -3}
    end
  end
  redis.call('HDEL', KEYS[1], old)
else
  -- A server without memory allows HDEL, and behind it the other writes, too. Where a forward is to take the
  -- old record's place, it deletes nothing: an empty hash would lose its end.
  local grace = more and ARGV[6] ~= '0'
  redis.call('HDEL', key, grace and '' or old)
  if more then
    local head = record:sub(1, 9) .. old:sub(1, 4) .. 'r' .. family
    if grace then put(old, head .. ARGV[7], earlier(now + ARGV[6], ends)) end
    if ARGV[8] ~= '0' then put(tombstone_of(old), head .. owner, earlier(now + ARGV[8], ends)) end
  end
end
put(new, made, ends)
settle(now, ends, more and 8)
audited('rotated', owner_in(made) ~= owner_in(record) and 'bound' or '', owner_in(made), family, new) -- audit
return {ARGV[1], made, ends}
