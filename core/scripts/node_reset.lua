-- Removes what a SCAN found of one prefix, in the Node package's form.
-- KEYS  the names that were found
-- ARGV  the prefix with its colon
-- Gives {the prefix, how many tokens were removed, then the names that want another go}.
--
-- Whole tokens are removed, whichever of their keys was found. Prefixes may nest: "app:id" is a prefix
-- too, and its keys begin like the ids of "app". What could be of such a one is left alone: ids and
-- hashes hold no colon, a record says its key itself, and of sets only those go that read one way.
-- include: get, decode, json_text, json_member, node_token

local base = ARGV[1]
local removed, again = 0, {}
local budget = 1000 -- members of sets in one go, so that the server is not held up

local function remove_id(id)
  local key = get(base .. 'id:' .. id)
  local record = key and get(base .. 'key:' .. key)
  local token = record and token_of(record)
  if record and (not token or token.id == id) then
    remove_token(base, id, key, token, record)
    removed = removed + 1
  else
    redis.call('DEL', base .. 'id:' .. id)
  end
end

local function remove_key(name, key, plain)
  local record = get(name)
  local token = record and token_of(record)
  if not plain and not (token and token.key == key) then return end
  local id = token and token.id
  if type(id) == 'string' and get(base .. 'id:' .. id) == key then
    remove_token(base, id, key, token, record)
  else
    redis.call('DEL', name)
  end
  if record then removed = removed + 1 end
end

-- Large sets take several goes.
local function remove_set(name, owner, plain)
  if (':' .. owner):find(':tokens:', 1, true) then return end
  local ids = redis.pcall('SRANDMEMBER', name, budget)
  if ids.err then
    if plain then redis.call('DEL', name) end
    return
  end
  budget = budget - #ids
  for _, id in ipairs(ids) do
    remove_id(id)
    redis.call('SREM', name, id)
  end
  if redis.call('EXISTS', name) == 1 then again[#again + 1] = name end
end

for _, name in ipairs(KEYS) do
  local kind, rest = name:sub(#base + 1):match('^(%l+):(.*)$')
  local plain = not rest:find(':', 1, true)
  if kind == 'key' then
    remove_key(name, rest, plain)
  elseif kind == 'tokens' then
    remove_set(name, rest, plain)
  elseif kind == 'id' and plain then
    remove_id(rest)
  elseif kind == 'hash' and plain then
    redis.call('DEL', name)
  end
end
return {base, removed, unpack(again)}
