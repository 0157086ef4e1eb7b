-- Numbers as a record has them: base64url digits, most significant first. They are calculated: to look each
-- up in a text is one more call.
local function digit_at(place, value)
  local digit = value / place % 64
  digit = digit - digit % 1
  if digit < 26 then return digit + 65 end
  if digit < 52 then return digit + 71 end
  if digit < 62 then return digit - 4 end
  return digit < 63 and 45 or 95
end

local function number_at(text, first, last)
  local value = 0
  for i = first, last do
    local c = text:byte(i)
    if c >= 97 then value = value * 64 + (c == 95 and 63 or c - 71)
    elseif c == 95 then value = value * 64 + 63
    elseif c >= 65 then value = value * 64 + c - 65
    elseif c >= 48 then value = value * 64 + c + 4
    else value = value * 64 + 62 end
  end
  return value
end
