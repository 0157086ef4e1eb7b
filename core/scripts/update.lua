-- Sets and deletes top-level fields of a live record's data; the expiry stays as it is.
-- KEYS  the owner's hash
-- ARGV  echo, field, max_age in ms ("0": none), most bytes of data, then pairs: a member's name with its
--       quotes, its new value's text ("" deletes the member)
-- Gives {echo, record}, {echo, 0}: not found, {echo, -1}: the data would be too large,
-- {echo, -2}: not a record.
--
-- Fields are cut out and put together as texts. They are never decoded: Redis' cjson would turn [] into
-- {} and round integers. The text has one spelling, without white space, so equal names are equal texts.
-- include: clock, digits, record, hash, end, json_text

local function merge(data, changes, order)
  -- A field that is named nowhere in the text is new: then what is there stays in one piece, and a
  -- large object need not be taken apart.
  local members, at = {}, #data
  for _, name in ipairs(order) do
    if data:find(name .. ':', 1, true) then at = 2 end
  end
  if at > 2 then members[1] = data:sub(2, -2) end
  while data:byte(at) == 34 do
    local colon = string_end(data, at) + 1
    local name = data:sub(at, colon - 1)
    local last = value_end(data, colon + 1)
    local value = changes[name]
    if value == nil then
      members[#members + 1] = data:sub(at, last)
    elseif value ~= '' then
      members[#members + 1] = name .. ':' .. value
    end
    changes[name] = nil
    at = last + 2
  end
  for _, name in ipairs(order) do
    local value = changes[name]
    if value and value ~= '' then members[#members + 1] = name .. ':' .. value end
  end
  return '{' .. table.concat(members, ',') .. '}'
end

local now = math.floor(now_us() / 1000)
local record, ends = find(ARGV[2], now)
if not record then return {ARGV[1], 0} end
local _, data = split(record)
if not data then return {ARGV[1], -2} end
local limit = limit_of(record, ARGV[3])
if limit > 0 and now >= limit then return {ARGV[1], 0} end

local changes, order = {}, {}
for i = 5, #ARGV, 2 do
  changes[ARGV[i]] = ARGV[i + 1]
  order[#order + 1] = ARGV[i]
end
local merged = merge(record:sub(data), changes, order)
if #merged > tonumber(ARGV[4]) then return {ARGV[1], -1} end
record = record:sub(1, data - 1) .. merged
put(ARGV[2], record, ends)
settle(now, ends)
return {ARGV[1], record}
