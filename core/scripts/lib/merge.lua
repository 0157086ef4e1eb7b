-- An object's text with members set and deleted. ARGV has pairs from `first` on: a member's name with its
-- quotes, its new value's text ("" deletes the member).
--
-- Fields are cut out and put together as texts. They are never decoded: Redis' cjson would turn [] into
-- {} and round integers. The text has one spelling, without white space, so equal names are equal texts.
local function merge(data, first)
  -- What no change names stays in one piece, from `from` on. Where nothing more is to change, the rest is not
  -- taken apart: a field that is named nowhere in the text is new.
  local changes, open, at, from, pieces = {}, 0, 2, 2, {}
  for i = first, #ARGV, 2 do
    local name = ARGV[i]
    if changes[name] == nil and data:find(name .. ':', 1, true) then open = open + 1 end
    changes[name] = ARGV[i + 1]
  end
  while open > 0 and data:byte(at) == 34 do
    local colon = string_end(data, at) + 1
    local name = data:sub(at, colon - 1)
    local last = value_end(data, colon + 1)
    local value = changes[name]
    if value then
      if from < at then pieces[#pieces + 1] = data:sub(from, at - 2) end
      if value ~= '' then pieces[#pieces + 1] = name .. ':' .. value end
      changes[name], from, open = nil, last + 2, open - 1
    end
    at = last + 2
  end
  if from < #data then pieces[#pieces + 1] = data:sub(from, -2) end
  for i = first, #ARGV, 2 do
    local value = changes[ARGV[i]]
    if value and value ~= '' then pieces[#pieces + 1] = ARGV[i] .. ':' .. value end
  end
  return '{' .. table.concat(pieces, ',') .. '}'
end
