-- When a record ends however it is used, in ms since 1970; 0: it does not say.
local function until_of(record)
  local c = record:byte(14)
  local at = c == 101 and 22 or c == 112 and 15 or 14
  if record:byte(at) == 105 then at = at + 8 end -- i
  if record:byte(at) ~= 117 then return 0 end
  return math.floor(number_at(record, 1, 9) / 1000) + number_at(record, at + 1, at + 7)
end
