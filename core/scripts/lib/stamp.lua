-- A time in microseconds since 1970 as a record begins with it: nine digits.
local function stamp_of(us)
  return string.char(digit_at(2^48, us), digit_at(2^42, us), digit_at(2^36, us), digit_at(2^30, us),
    digit_at(2^24, us), digit_at(2^18, us), digit_at(2^12, us), digit_at(64, us), digit_at(1, us))
end
