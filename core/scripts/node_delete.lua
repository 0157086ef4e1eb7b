-- Ends a token of the Node package's form, by its id.
-- KEYS  id
-- ARGV  id, the prefix with its colon
-- Gives {id, 1}: it was live, {id, 0}: it was not; a dead id is dropped.
-- include: get, decode, json_text, json_member, node_token

local base = ARGV[2]
local key = get(KEYS[1])
if not key then return {ARGV[1], 0} end
local record = get(base .. 'key:' .. key)
local token = record and token_of(record)
if not record or (token and token.id ~= ARGV[1]) then
  -- There is no token, or the key was given to another one since.
  redis.call('DEL', KEYS[1])
  return {ARGV[1], 0}
end
remove_token(base, ARGV[1], key, token, record)
return {ARGV[1], 1}
