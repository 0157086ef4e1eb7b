-- Ends a token of the Node package's form, by its key.
-- KEYS  record; id, the owner's set
-- ARGV  key, the prefix with its colon
-- Gives {key, 1}: it was live, {key, 0}: there is none, {key, -1}: what is there is no token, {key, -2,
-- keys}: it wants these, too.
-- include: declared, get, decode, json_text, json_member, node_token

local base = ARGV[2]
local record = get(KEYS[1])
if not record then return {ARGV[1], 0} end
local token = token_of(record)
if token and token.key ~= ARGV[1] then return {ARGV[1], -1} end
local id = token and token.id
if type(id) == 'string' then
  has(base .. 'id:' .. id)
  has(set_of(base, token, record))
  if wanted[3] then return wanted end
  if get(base .. 'id:' .. id) == ARGV[1] then
    remove_token(base, id, ARGV[1], token, record)
    audited('ended', 'revoked', owner_of(token, record), id, id) -- audit
    return {ARGV[1], 1}
  end
end
redis.call('DEL', KEYS[1])
local named = type(id) == 'string' and id or '' -- audit
audited('ended', 'revoked', token and owner_of(token, record) or '', named, named) -- audit
return {ARGV[1], 1}
