-- Ends a token that goes on in another hash, on another server: see core/src/ops/tokens_bind.c.
-- KEYS  the hash of the old token
-- ARGV  echo, old field, its record, the end in ms of the new token ("0": never), the new token's locator
--       and owner; as rotate: for how long the old token finds the new one, what it finds then, for how
--       long it is to be known as rotated
-- Gives {echo, 1}, {echo, 0}: the record has changed, {echo, 2}: it is gone.
-- include: clock, digits, record, hash, end, successor

local old, now = ARGV[2], math.floor(now_us() / 1000)
local record, left = find(old, now)
if not record then
  -- The forward that this request left, before it was sent again?
  return {ARGV[1], left and ARGV[8] ~= '' and left:sub(-#ARGV[8]) == ARGV[8] and 1 or 2}
end
if record ~= ARGV[3] then return {ARGV[1], 0} end
redis.call('HDEL', key, old)
local head = record:sub(1, 9) .. old:sub(1, 4) .. 'r' .. (family_of(record) or old) .. '@' .. ARGV[5]
left = leave(old, head, ARGV[6], now, tonumber(ARGV[4]), ARGV[7], ARGV[8], ARGV[9])
if left then settle(now, left) end
return {ARGV[1], 1}
