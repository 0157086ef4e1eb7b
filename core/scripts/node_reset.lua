-- Removes what a SCAN found of one prefix, in the Node package's form.
-- KEYS  the names that were found, or that want another go
-- ARGV  the prefix with its colon
-- Gives {the prefix, how many tokens were removed, then the names that want another go}.
--
-- Whole tokens are removed, whichever of their keys was found: where one is not among KEYS, all want another
-- go.
-- Prefixes may nest: "app:id" is a prefix too, and its keys begin like the ids of "app". What could be of
-- such a one is left alone: ids and hashes hold no colon, a record says its key itself, and of sets only
-- those go that read one way.
-- include: declared, get, decode, json_text, json_member, node_token

local base = ARGV[1]
local removed, reply, listed = 0, {base, 0}, {}
local budget = 1000 -- members of sets in one go, so that the server is not held up

local function want(name)
  if not listed[name] then reply[#reply + 1] = name end
  listed[name] = true
end

-- Where the slot is being moved, the server takes a key that is deleted for one that has left, and
-- reading it for an error.
local gone = {}

local function read(name)
  if gone[name] then return nil end
  return get(name)
end

local function drop(name)
  redis.call('DEL', name)
  gone[name] = true
end

local function drop_token(id, key, token, record)
  remove_token(base, id, key, token, record)
  gone[base .. 'id:' .. id], gone[base .. 'key:' .. key] = true, true
  removed = removed + 1
end

-- Are all of these among KEYS?
local function have(...)
  local all = true
  for _, name in ipairs({...}) do all = all and declared[name] end
  if all then return true end
  for _, name in ipairs({...}) do want(name) end
  return false
end

-- False: another go.
local function remove_id(id)
  local id_key = base .. 'id:' .. id
  local key = read(id_key)
  local record_key = key and base .. 'key:' .. key
  if key and not have(id_key, record_key) then return false end
  local record = key and read(record_key)
  local token = record and token_of(record)
  if not record or (token and token.id ~= id) then
    drop(id_key)
    return true
  end
  if token and not have(id_key, record_key, set_of(base, token, record)) then return false end
  drop_token(id, key, token, record)
  return true
end

local function remove_key(name, key, plain)
  local record = read(name)
  local token = record and token_of(record)
  if not plain and not (token and token.key == key) then return end
  local id = token and token.id
  if type(id) == 'string' then
    local id_key = base .. 'id:' .. id
    if not have(name, id_key, set_of(base, token, record)) then return end
    if read(id_key) == key then
      drop_token(id, key, token, record)
      return
    end
  end
  drop(name)
  if record then removed = removed + 1 end
end

-- Some members, the same ones in the next go.
local function some_of(name)
  local page = redis.pcall('SSCAN', name, 0, 'COUNT', budget)
  if page.err then return nil end
  -- A large table may begin with many empty places.
  return #page[2] > 0 and page[2] or redis.call('SRANDMEMBER', name, budget)
end

-- Large sets take several goes.
local function remove_set(name, owner, plain)
  if (':' .. owner):find(':tokens:', 1, true) then return end
  if budget > 0 then
    local ids = some_of(name)
    if not ids then
      if plain then drop(name) end
      return
    end
    budget = budget - #ids
    for _, id in ipairs(ids) do
      if have(base .. 'id:' .. id) and remove_id(id) then redis.call('SREM', name, id) end
    end
  end
  if redis.pcall('EXISTS', name) == 1 then want(name) end -- the same of a set that is empty by now
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
    drop(name)
  end
end
reply[2] = removed
return reply
