-- When a max_age (in ms as a text; "0": none) ends a record, in ms since 1970, however long it was to live.
-- The records of a store that was given one later have lived without it. 0: no max_age.
local function end_of(record, max_age)
  if max_age == '0' then return 0 end
  return math.floor(created_of(record) / 1000) + max_age
end

-- When a record ends that was to live until `expires` (0: for good), and no longer than until `limit` (0:
-- there is none).
local function earlier(expires, limit)
  if limit == 0 then return expires end
  return expires > 0 and math.min(expires, limit) or limit
end
