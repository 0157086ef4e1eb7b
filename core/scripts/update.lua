-- Sets and deletes top-level fields of a live record's data; the expiry stays as it is.
-- KEYS  record
-- ARGV  echo, most bytes of data, then pairs: a field's name with its quotes, its new value's text
--       ("" deletes the field)
-- Gives {echo, record}, {echo, 0}: not found, {echo, -1}: the data would be too large,
-- {echo, -2}: not a record.
--
-- Fields are cut out and put together as texts. They are never decoded: Redis' cjson would turn [] into
-- {} and round integers. The text has one spelling, without white space, so equal names are equal texts.
-- include: record

local function string_end(text, at)
  local last = at
  repeat
    last = text:find('"', last + 1, true)
    local slash = last - 1
    while text:byte(slash) == 92 do slash = slash - 1 end
  until (last - slash) % 2 == 1
  return last
end

-- The end of an object or array: where its brackets balance, those in strings passed over.
local function nested_end(text, at)
  local depth = 0
  while true do
    local c = text:byte(at)
    if c == 34 then
      at = string_end(text, at)
    elseif c == 123 or c == 91 then
      depth = depth + 1
    else
      depth = depth - 1
    end
    if depth == 0 then return at end
    at = text:find('["%[%]{}]', at + 1)
  end
end

local function value_end(text, at)
  local c = text:byte(at)
  if c == 34 then return string_end(text, at) end
  if c == 123 or c == 91 then return nested_end(text, at) end
  return text:find('[,}]', at) - 1
end

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

local changes, order = {}, {}
for i = 3, #ARGV, 2 do
  changes[ARGV[i]] = ARGV[i + 1]
  order[#order + 1] = ARGV[i]
end
data = merge(data, changes, order)
if #data > tonumber(ARGV[2]) then return {ARGV[1], -1} end
record = head .. owner .. ',' .. data .. rest
redis.call('SET', KEYS[1], record, 'KEEPTTL')
return {ARGV[1], record}
