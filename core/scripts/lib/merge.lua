-- An object's text with members set and deleted. ARGV has pairs from `first` on: a member's name with its
-- quotes, its new value's text ("" deletes the member).
--
-- Fields are cut out and put together as texts. They are never decoded: Redis' cjson would turn [] into
-- {} and round integers. The text has one spelling, without white space, so equal names are equal texts.
local function merge(data, first)
  -- A field that is named nowhere in the text is new: then what is there stays in one piece, and a
  -- large object need not be taken apart.
  local changes, members, at = {}, {}, #data
  for i = first, #ARGV, 2 do
    changes[ARGV[i]] = ARGV[i + 1]
    if data:find(ARGV[i] .. ':', 1, true) then at = 2 end
  end
  if at > 2 then members[1] = data:sub(2, -2) end
  while data:byte(at) == 34 do
    local colon = string_end(data, at) + 1
    local name = data:sub(at, colon - 1)
    local last = value_end(data, colon + 1)
    local value = changes[name]
    if value == nil then
      members[#members + 1] = data:sub(at, last)
    elseif value ~= '' then
      members[#members + 1] = name .. ':' .. value
    end
    changes[name] = nil
    at = last + 2
  end
  for i = first, #ARGV, 2 do
    local value = changes[ARGV[i]]
    if value and value ~= '' then members[#members + 1] = ARGV[i] .. ':' .. value end
  end
  return '{' .. table.concat(members, ',') .. '}'
end
