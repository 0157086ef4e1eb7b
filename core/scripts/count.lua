-- Counts an owner's live tokens.
-- KEYS  the owner's hash
-- ARGV  echo, max_age in ms ("0": none)
-- Gives {echo, how many, how many of them have no end}.
-- include: clock, digits, split, record, hash, end, live

local live, lasting = live_of(now_ms(), ARGV[2]), 0
for _, one in ipairs(live) do
  if one.ends == 0 then lasting = lasting + 1 end
end
return {ARGV[1], #live, lasting}
