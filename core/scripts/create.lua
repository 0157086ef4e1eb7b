-- Makes a record.
-- KEYS  the owner's hash
-- ARGV  echo, field, ttl in ms ("0": none), names and data, and where wanted: most live tokens of the owner
--       ("0": no cap), "1": a custom token, which must not be in use; with a cap: what happens at it
--       ("oldest" or "idle" is deleted, or "refuse"), max_age in ms ("0": none)
-- Gives the record's <created> and the echo; the echo alone: the custom token is in use; "!" and the echo:
-- refused.
--
-- This is the write that users wait for most. So there are few words and few calls, and what is needed seldom
-- stands inside its condition. Numbers go to Redis as texts made by %u: Redis itself prints them with 17
-- digits, which costs as much as a short command.
-- include: clock, digits, stamp, split, record, hash, settle

local field, ttl = ARGV[2], tonumber(ARGV[3])
local us = now_us()
local now = math.floor(us / 1000)
local ends = ttl > 0 and now + ttl or 0
local present = find(field, now)
if present then
  if ARGV[6] == '1' then return ARGV[1] end
  -- A generated token cannot be anybody else's: this is the same request, sent again.
  audited('created', '', owner_in(ARGV[4]), field, field, 1, true) -- audit
  return present:sub(1, 9) .. ARGV[1]
end

local most = ARGV[5] and tonumber(ARGV[5]) or 0
if most > 0 then
  -- include: cap
  if not make_room(now, most, ARGV[7], ARGV[8]) then
    audited('refused', 'too_many', owner_in(ARGV[4]), '', '') -- audit
    return '!' .. ARGV[1]
  end
end

local created = stamp_of(us)
put(field, created .. ARGV[1]:sub(1, 4) .. ARGV[4], ends)
settle(now, ends, 4)
audited('created', '', owner_in(ARGV[4]), field, field) -- audit
return created .. ARGV[1]
