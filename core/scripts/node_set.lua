-- Sets the attrs of a token of the Node package's form; all else in it, and its expiry, stay.
-- KEYS  id; record
-- ARGV  id, the prefix with its colon, the new attrs' text
-- Gives {id, 1}, {id, 0}: not found, {id, -1}: what is stored cannot be read, {id, -2, keys}: it wants these,
-- too.
--
-- The record is cut and put together as text: Redis' cjson would turn [] into {} and round integers.
-- include: declared, get, decode, json_text, json_member, node_token

local function with_attrs(record, token, attrs)
  local first, last = find_member(record, '"attrs"')
  if first then return record:sub(1, first - 1) .. attrs .. record:sub(last + 1) end
  -- A token that was added without any, unless the name is spelt with escapes.
  if token.attrs ~= nil then return nil end
  local close = record:find('}[ \t\r\n]*$')
  return record:sub(1, close - 1) .. ',"attrs":' .. attrs .. record:sub(close)
end

local key = get(KEYS[1])
if not key then return {ARGV[1], 0} end
local name = ARGV[2] .. 'key:' .. key
if not has(name) then return wanted end
local record = get(name)
if not record then return {ARGV[1], 0} end
local token = token_of(record)
if not token then return {ARGV[1], -1} end
if token.id ~= ARGV[1] then return {ARGV[1], 0} end -- the key was given to another token since
if token.key ~= key then return {ARGV[1], -1} end
record = with_attrs(record, token, ARGV[3])
if not record then return {ARGV[1], -1} end
redis.call('SET', name, record, 'KEEPTTL')
return {ARGV[1], 1}
