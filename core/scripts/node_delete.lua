-- Ends a token of the Node package's form, by its id.
-- KEYS  id; record, the owner's set
-- ARGV  id, the prefix with its colon
-- Gives {id, 1}: it was live, {id, 0}: it was not, and a dead id is dropped, {id, -2, keys}: it wants these,
-- too.
-- include: declared, get, decode, json_text, json_member, node_token

local base = ARGV[2]
local key = get(KEYS[1])
if not key then return {ARGV[1], 0} end
if not has(base .. 'key:' .. key) then return wanted end
local record = get(base .. 'key:' .. key)
local token = record and token_of(record)
if not record or (token and token.id ~= ARGV[1]) then
  -- There is no token, or the key was given to another one since.
  redis.call('DEL', KEYS[1])
  return {ARGV[1], 0}
end
if token and not has(set_of(base, token, record)) then return wanted end
remove_token(base, ARGV[1], key, token, record)
audited('ended', 'revoked', token and owner_of(token, record) or '', ARGV[1], ARGV[1]) -- audit
return {ARGV[1], 1}
