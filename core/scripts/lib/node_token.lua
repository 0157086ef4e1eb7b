-- A token as the Node package tokenstore stores it (docs/reference/tokenstore.md). It is decoded to be read, and
-- never encoded again.

-- What the record says; nil where it cannot be read.
local function token_of(record)
  local token = decode(record)
  return type(token) == 'table' and token or nil
end

-- The owner as it stands in a key: what String(owner_id) is in JavaScript, which writes a number in JSON
-- by the same rule.
local function owner_of(token, record)
  local owner = token.owner_id
  if owner == nil then return 'undefined' end
  if owner == cjson.null then return 'null' end
  if type(owner) == 'table' then return '[object Object]' end
  if type(owner) ~= 'number' then return tostring(owner) end
  local first, last = find_member(record, '"owner_id"')
  return first and record:sub(first, last) or tostring(owner)
end

-- The set that lists the token.
local function set_of(base, token, record)
  return base .. 'tokens:' .. owner_of(token, record)
end

-- Removes the record under `key`, and what points at it. `base` is the prefix with its colon. Of a
-- record that cannot be read the owner is unknown: its set keeps a dead id until the next listing.
local function remove_token(base, id, key, token, record)
  if token then
    local set = set_of(base, token, record)
    local removed = redis.pcall('SREM', set, id)
    -- No set, but another program's value? Then there is no id to take out.
    if type(removed) == 'table' and not removed.err:find('WRONGTYPE', 1, true) then
      redis.call('SREM', set, id)
    end
  end
  redis.call('DEL', base .. 'id:' .. id, base .. 'key:' .. key)
end
