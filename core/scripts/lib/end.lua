-- When a max_age (in ms as a text; "0": none) ends a record, in ms since 1970, however long it was to live.
-- The records of a store that was given one later have lived without it. 0: no max_age.
local function limit_of(record, max_age)
  if max_age == '0' then return 0 end
  return math.floor(number_at(record, 1, 9) / 1000) + max_age
end

-- The earlier of two ends, of which 0 is none.
local function earlier(a, b)
  if a == 0 or b == 0 then return a + b end
  return math.min(a, b)
end
