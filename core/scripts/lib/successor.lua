-- What a record becomes by a rotation: its text, its family, its owner; nil where it has another owner than
-- it is to have ("": it keeps its own). With a new owner, it begins now.
local function successor_of(record, names, data, old, becomes, object, us)
  local text = record:sub(14, names - 1)
  local family, at = family_of(record)
  if not family then
    family = old
    text = record:sub(14, at - 1) .. 'f' .. old
  end
  local created = record:sub(1, 9)
  local owner = record:byte(names) == 34 and record:sub(names, record:find('"', names + 1, true)) or ''
  local request = record:sub(names + #owner, data - 1)
  if becomes ~= '' and becomes ~= owner then
    if #owner > 2 then return nil end
    owner, created = becomes, stamp_of(us)
  end
  return created .. ARGV[1]:sub(1, 4) .. text .. owner .. request .. object, family, owner
end
