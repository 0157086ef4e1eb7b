-- A time in microseconds since 1970 as a record has it: nine base64url digits. They are reckoned: to look
-- each up in a text is a call, which costs more.
local function stamp_of(us)
  local function digit(place)
    local value = us / place % 64
    value = value - value % 1
    return value < 26 and value + 65 or value < 52 and value + 71 or value < 62 and value - 4
      or value < 63 and 45 or 95
  end
  return string.char(digit(2^48), digit(2^42), digit(2^36), digit(2^30), digit(2^24), digit(2^18), digit(2^12),
    digit(64), digit(1))
end
