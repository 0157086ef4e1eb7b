-- JSON as a text: finds where strings, objects and arrays end, without decoding. The text is known to be
-- JSON already.

local function string_end(text, at)
  local last = at
  repeat
    last = text:find('"', last + 1, true)
    local slash = last - 1
    while text:byte(slash) == 92 do slash = slash - 1 end
  until (last - slash) % 2 == 1
  return last
end

-- The end of an object or array: where its brackets balance, those in strings passed over.
local function nested_end(text, at)
  local depth = 0
  while true do
    local c = text:byte(at)
    if c == 34 then
      at = string_end(text, at)
    elseif c == 123 or c == 91 then
      depth = depth + 1
    else
      depth = depth - 1
    end
    if depth == 0 then return at end
    at = text:find('["%[%]{}]', at + 1)
  end
end

local function value_end(text, at)
  local c = text:byte(at)
  if c == 34 then return string_end(text, at) end
  if c == 123 or c == 91 then return nested_end(text, at) end
  return text:find('[,}%] \t\r\n]', at) - 1
end
