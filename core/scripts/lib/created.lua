-- When a record was made, in microseconds since 1970: nine base64url digits. Of what is no record, anything.
local function created_of(record)
  local us = 0
  for i = 3, 11 do
    local digits = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_'
    us = us * 64 + (digits:find(record:sub(i, i), 1, true) or 1) - 1
  end
  return us
end
