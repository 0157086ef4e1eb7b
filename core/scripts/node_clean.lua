-- Drops ids of the Node package's form that have no token, or whose key was given to another.
-- KEYS  the owner's set
-- ARGV  echo, the prefix with its colon, then the ids
-- Gives {echo}.
-- include: node_token

for i = 3, #ARGV do
  local id_key = ARGV[2] .. 'id:' .. ARGV[i]
  local key = redis.call('GET', id_key)
  local record = key and redis.call('GET', ARGV[2] .. 'key:' .. key)
  local token = record and token_of(record)
  if not record or (token and token.id ~= ARGV[i]) then
    redis.call('SREM', KEYS[1], ARGV[i])
    redis.call('DEL', id_key)
  end
end
return {ARGV[1]}
