-- Ends a token of the Node package's form, by its id.
-- KEYS  id
-- ARGV  id, the prefix with its colon
-- Gives {id, 1}: it was live, {id, 0}: it was not; a dead id is dropped.
-- include: node_token

local base = ARGV[2]
local key = redis.call('GET', KEYS[1])
local record = key and redis.call('GET', base .. 'key:' .. key)
if not record then
  redis.call('DEL', KEYS[1])
  return {ARGV[1], 0}
end
local token = token_of(record)
if token and token.id ~= ARGV[1] then
  -- The key was given to another token since.
  redis.call('DEL', KEYS[1])
  return {ARGV[1], 0}
end
remove_token(base, ARGV[1], key, token)
return {ARGV[1], 1}
