-- Where the names begin, and where the data does; nil where this is no record.
local function split(record)
  local names = #record > 14 and record:find('["{]', 14)
  local data = names
  while data and record:byte(data) == 34 do
    data = record:find('"', data + 1, true)
    data = data and data + 1
  end
  if not data or record:byte(data) ~= 123 then return nil end
  return names, data
end
