-- For how many ms a record may be unused; 0: it does not say.
local function idle_of(record)
  local c = record:byte(14)
  local at = c == 101 and 22 or c == 112 and 15 or 14
  return record:byte(at) == 105 and number_at(record, at + 1, at + 7) or 0
end
