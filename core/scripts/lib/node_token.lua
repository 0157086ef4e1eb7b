-- A token as the Node package tokenstore stores it (docs/tokenstore.md). It is decoded to be read, and
-- never encoded again.

-- What the record says; nil where it cannot be read.
local function token_of(record)
  local ok, token = pcall(cjson.decode, record)
  return ok and type(token) == 'table' and token or nil
end

-- The owner as it stands in a key: what String(owner_id) is in JavaScript.
local function owner_of(token)
  local owner = token.owner_id
  if owner == nil then return 'undefined' end
  if owner == cjson.null then return 'null' end
  if type(owner) == 'number' and owner % 1 == 0 then return string.format('%.0f', owner) end
  return tostring(owner)
end

-- Removes the record under `key`, and what points at it. `base` is the prefix with its colon. Of a
-- record that cannot be read the owner is unknown: its set keeps a dead id until the next listing.
local function remove_token(base, id, key, token)
  if token then redis.call('SREM', base .. 'tokens:' .. owner_of(token), id) end
  redis.call('DEL', base .. 'id:' .. id, base .. 'key:' .. key)
end
