-- What a record becomes by a rotation: its text, its family, its owner; nil where it has another owner
-- than it is to have ("": it keeps its own).
local function successor_of(record, names, data, old, becomes, object)
  local text = record:sub(14, names - 1)
  local family, at = family_of(record)
  if not family then
    family = old
    text = record:sub(14, at - 1) .. 'f' .. old
  end
  local owner = record:byte(names) == 34 and record:sub(names, record:find('"', names + 1, true)) or ''
  local request = record:sub(names + #owner, data - 1)
  if becomes ~= '' and becomes ~= owner then
    if #owner > 2 then return nil end
    owner = becomes
  end
  return record:sub(1, 9) .. ARGV[1]:sub(1, 4) .. text .. owner .. request .. object, family, owner
end

-- Leaves a forward and a tombstone of the old token, each if it is to last. Gives the end of the last;
-- nil: there is none. `head` is what both begin with.
local function leave(old, head, owner, now, ends, grace, forward, window)
  local left
  if grace ~= '0' then
    left = earlier(now + grace, ends)
    put(old, head .. forward, left)
  end
  if window and window ~= '0' then
    left = earlier(now + window, ends)
    put(tombstone_of(old), head .. owner, left)
  end
  return left
end
