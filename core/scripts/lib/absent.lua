-- Where the tombstone of a token is.
local function tombstone_of(field)
  return field:sub(1, 21) .. '~'
end

-- The answer where `field` has no live record: {echo, 0}; of a token that was rotated {echo, -5, its
-- forward}, and when that has ended {echo, -6, its tombstone}.
local function absent(field, forward, now)
  if forward then return {ARGV[1], -5, forward} end
  local _, tombstone = find(tombstone_of(field), now)
  if tombstone then return {ARGV[1], -6, tombstone} end
  return {ARGV[1], 0}
end
