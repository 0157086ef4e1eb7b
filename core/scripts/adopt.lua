-- Makes the record of a rotated token where its hash is on another server than the old token's: see
-- core/src/ops/tokens_bind.c.
-- KEYS  the hash of the new token
-- ARGV  echo, old field, new field, the old token's record, its end in ms ("0": never), duration in ms
--       ("0": it keeps that end), max_age in ms ("0": none), the owner, most live tokens of the owner
--       ("0": no cap), what happens at it, most bytes of data; then changes, as merge takes them
-- Gives {echo, record, its end in ms (0: never)}, {echo, -1}: the data would be too large, {echo, -2}: not a
-- record, {echo, -3}: the owner has too many tokens, {echo, -4}: another owner has it.
-- include: clock, digits, stamp, split, record, hash, settle, end, successor, cap, json_text, merge

local us = now_us()
local now = math.floor(us / 1000)
local made, ends = find(ARGV[3], now)
if made then
  audited('rotated', 'bound', owner_in(made), family_of(made), ARGV[3], 1, true) -- audit
  return {ARGV[1], made, ends} -- the same request, sent again
end
local record = ARGV[4]
local names, data = split(record)
if not names then return {ARGV[1], -2} end
local object = merge(record:sub(data), 12)
if #object > tonumber(ARGV[11]) then return {ARGV[1], -1} end
made = successor_of(record, names, data, ARGV[2], ARGV[8], object, us)
if not made then return {ARGV[1], -4} end
ends = earlier(ARGV[6] ~= '0' and now + ARGV[6] or tonumber(ARGV[5]), limit_of(made, ARGV[7]))
if ARGV[9] ~= '0' and not make_room(now, tonumber(ARGV[9]), ARGV[10], ARGV[7]) then
  audited('refused', 'too_many', owner_in(made), family_of(made), ARGV[2]) -- audit
  return {ARGV[1], -3}
end
put(ARGV[3], made, ends)
settle(now, ends, 8)
audited('rotated', 'bound', owner_in(made), family_of(made), ARGV[3]) -- audit
return {ARGV[1], made, ends}
