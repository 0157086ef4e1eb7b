-- The key of the record that an index lists as `member`; `base` is the prefix with its colon.
local function key_of(base, owner_tag, member)
  if #member == 28 then return base .. '{' .. owner_tag .. '}:' .. member end
  return base .. '{' .. member:sub(1, 3) .. '}:' .. member:sub(4)
end
