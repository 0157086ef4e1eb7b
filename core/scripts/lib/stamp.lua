-- A time in microseconds since 1970 as a record has it: nine base64url digits.
local function stamp_of(us)
  local text = ''
  for _ = 1, 9 do
    local digit = us % 64
    text = ('ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_'):sub(digit + 1, digit + 1)
      .. text
    us = (us - digit) / 64
  end
  return text
end
