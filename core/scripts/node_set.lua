-- Sets the attrs of a token of the Node package's form; all else in it, and its expiry, stay.
-- KEYS  id
-- ARGV  id, the prefix with its colon, the new attrs' text
-- Gives {id, 1}, {id, 0}: not found, {id, -1}: what is stored cannot be read.
--
-- The record is cut and put together as text: Redis' cjson would turn [] into {} and round integers.
-- include: node_token, json_text

-- The text's place of the value named `name` (with its quotes), nil where there is none.
local function find_value(text, name)
  local at = text:find('"', 1, true)
  while at do
    local last = string_end(text, at)
    local first = text:find('[^: \t\r\n]', last + 1)
    local found = text:sub(at, last) == name
    last = value_end(text, first)
    if found then return first, last end
    at = text:find('"', last + 1, true)
  end
end

local function with_attrs(record, token, attrs)
  local first, last = find_value(record, '"attrs"')
  if first then return record:sub(1, first - 1) .. attrs .. record:sub(last + 1) end
  -- A token that was added without any, unless the name is spelt with escapes.
  if token.attrs ~= nil then return nil end
  local close = record:find('}[ \t\r\n]*$')
  return record:sub(1, close - 1) .. ',"attrs":' .. attrs .. record:sub(close)
end

local key = redis.call('GET', KEYS[1])
local name = key and ARGV[2] .. 'key:' .. key
local record = key and redis.call('GET', name)
if not record then return {ARGV[1], 0} end
local token = token_of(record)
if not token then return {ARGV[1], -1} end
if token.id ~= ARGV[1] then return {ARGV[1], 0} end -- the key was given to another token since
record = with_attrs(record, token, ARGV[3])
if not record then return {ARGV[1], -1} end
redis.call('SET', name, record, 'KEEPTTL')
return {ARGV[1], 1}
