-- Sets and deletes top-level fields of a live record's data; the expiry stays as it is.
-- KEYS  record
-- ARGV  echo, max_age in ms ("0": none), most bytes of data, then pairs: a field's name with its quotes, its
--       new value's text ("" deletes the field)
-- Gives {echo, record}, {echo, 0}: not found, {echo, -1}: the data would be too large,
-- {echo, -2}: not a record.
--
-- Fields are cut out and put together as texts. They are never decoded: Redis' cjson would turn [] into
-- {} and round integers. The text has one spelling, without white space, so equal names are equal texts.
-- include: clock, created, end, record, json_text

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

local record = redis.call('GET', KEYS[1])
if not record then return {ARGV[1], 0} end
local head, owner, data, rest = split(record)
if not head then return {ARGV[1], -2} end
local limit = end_of(record, ARGV[2])
if limit > 0 and now_us() >= limit * 1000 then return {ARGV[1], 0} end

local changes, order = {}, {}
for i = 4, #ARGV, 2 do
  changes[ARGV[i]] = ARGV[i + 1]
  order[#order + 1] = ARGV[i]
end
data = merge(data, changes, order)
if #data > tonumber(ARGV[3]) then return {ARGV[1], -1} end
record = head .. owner .. ',' .. data .. rest
redis.call('SET', KEYS[1], record, 'KEEPTTL')
return {ARGV[1], record}
