-- The field of "=" and an id: that of the live record with this id, or of the one that a token with this id has
-- become by rotations.
local function field_of(name, now)
  local id = name:sub(2)
  if find(id, now) then return id end
  local all = redis.call('HGETALL', key)
  for i = 1, #all, 2 do
    if split(all[i + 1]) and family_of(all[i + 1]) == id and find(all[i], now) then return all[i] end
  end
  return id
end
