-- Drops ids of the Node package's form that have no token, or whose key was given to another.
-- KEYS  the owner's set, ids, records
-- ARGV  echo, the prefix with its colon, then the ids
-- Gives {echo}.
--
-- An id whose record is not among KEYS stays.
-- include: declared, get, decode, json_text, json_member, node_token

for i = 3, #ARGV do
  local id_key = ARGV[2] .. 'id:' .. ARGV[i]
  local key = get(id_key)
  if not key or has(ARGV[2] .. 'key:' .. key) then
    local record = key and get(ARGV[2] .. 'key:' .. key)
    local token = record and token_of(record)
    if not record or (token and token.id ~= ARGV[i]) then
      -- It is done for a reader, which a server that lets nobody write must not stop.
      redis.pcall('SREM', KEYS[1], ARGV[i])
      if key then redis.pcall('DEL', id_key) end
    end
  end
end
return {ARGV[1]}
