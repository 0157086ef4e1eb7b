-- Sets and deletes top-level fields of the data of all live records; their ends stay.
-- KEYS  the owner's hash
-- ARGV  echo, max_age in ms ("0": none), most bytes of data, then the changes, as merge takes them
-- Gives {echo, how many records were live, how many could not be read, the field of the first of those};
-- {echo, -1, field}: its data would be too large, and nothing was changed.
-- include: clock, digits, split, record, hash, end, json_text, merge

-- Is this an object from end to end? Another program may have cut it off anywhere.
local function is_whole(data)
  local good, last = pcall(nested_end, data, 1)
  return good and last == #data
end

local now = now_ms()
local all, changed, unread, first = redis.call('HGETALL', key), {}, 0, ''
for i = 1, #all, 2 do
  local record, names, data = all[i + 1], split(all[i + 1])
  if data and is_whole(record:sub(data)) and (record:byte(14) ~= 101 or names > 21) then
    local found, ends = find(all[i], now)
    local limit = limit_of(record, ARGV[2])
    if found and (limit == 0 or now < limit) then
      local text = merge(record:sub(data), 4)
      if #text > tonumber(ARGV[3]) then return {ARGV[1], -1, all[i]} end
      text = record:sub(1, data - 1) .. text
      changed[#changed + 1] = {field = all[i], before = record, record = text, ends = ends}
    end
  elseif data or not family_left(record) then
    if unread == 0 then first = all[i] end
    unread = unread + 1
  end
end
for _, one in ipairs(changed) do
  if one.record ~= one.before then put(one.field, one.record, one.ends) end
end
return {ARGV[1], #changed, unread, first}
