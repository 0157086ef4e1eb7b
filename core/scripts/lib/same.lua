-- The parts of an object's or an array's text: the values' texts, by name or number; and how many there are.
local function parts_of(text)
  local parts, count, at = {}, 0, 2
  while at < #text do
    local first = text:byte() == 123 and string_end(text, at) + 2 or at
    local last = value_end(text, first)
    count = count + 1
    parts[first > at and text:sub(at, first - 2) or count] = text:sub(first, last)
    at = last + 2
  end
  return parts, count
end

-- Do two texts of JSON say the same? Objects do in any order, and numbers by their value: not every
-- language knows 1 from 1.0.
local function is_same(a, b)
  if a == b then return true end
  if a:find('^[%d-]') and b:find('^[%d-]') then return tonumber(a) == tonumber(b) end
  if a:byte() ~= b:byte() or not a:find('^[{[]') then return false end
  local parts, count = parts_of(a)
  local others, other_count = parts_of(b)
  if count ~= other_count then return false end
  for key, part in pairs(parts) do
    if not others[key] or not is_same(part, others[key]) then return false end
  end
  return true
end
