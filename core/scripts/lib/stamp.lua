-- A time in microseconds since 1970 as a record has it: nine base64url digits. They are reckoned: to look
-- each up in a text is one more call.
local function digit_at(place, us)
  local value = us / place % 64
  value = value - value % 1
  if value < 26 then return value + 65 end
  if value < 52 then return value + 71 end
  if value < 62 then return value - 4 end
  return value < 63 and 45 or 95
end
local function stamp_of(us)
  return string.char(digit_at(2^48, us), digit_at(2^42, us), digit_at(2^36, us), digit_at(2^30, us),
    digit_at(2^24, us), digit_at(2^18, us), digit_at(2^12, us), digit_at(64, us), digit_at(1, us))
end
