-- The parts of a record's key and text, by their places (docs/stored-format.md):
--   <prefix>:{tag}:<28 characters of digest>
--   ["<9 of created><4 of check>","<owner>",{<data>}]   or   …,{<data>},"<tag of the owner>"]
-- An owner's text holds no '"' but the two around it.
local DIGITS = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_'

local function key_base(key) return key:sub(1, -35) end
local function key_tag(key) return key:sub(-33, -31) end
local function key_digest(key) return key:sub(-28) end

-- What an owner's index lists for a record: its digest, behind its tag where that is not the owner's.
local function member_of(key, owner_tag)
  if key_tag(key) == owner_tag then return key_digest(key) end
  return key_tag(key) .. key_digest(key)
end

-- And back.
local function key_of(base, owner_tag, member)
  if #member == 28 then return base .. '{' .. owner_tag .. '}:' .. member end
  return base .. '{' .. member:sub(1, 3) .. '}:' .. member:sub(4)
end

-- Microseconds since 1970.
local function created_of(record)
  local us = 0
  for i = 3, 11 do us = us * 64 + DIGITS:find(record:sub(i, i), 1, true) - 1 end
  return us
end

-- head (up to the owner), owner, data, what follows the data; nil where this is no record.
local function split(record)
  local quote = record:sub(1, 2) == '["' and record:find('"', 19, true)
  if not quote then return nil end
  local last = record:sub(-2) == '}]' and -2 or -8
  return record:sub(1, 17), record:sub(18, quote), record:sub(quote + 2, last), record:sub(last + 1)
end

-- The key of the index that lists the record at `key`, and its member there. `names` is what the
-- index key has before the owner.
local function index_of(key, owner, rest, names)
  local owner_tag = #rest > 1 and rest:sub(3, 5) or key_tag(key)
  return key_base(key) .. '{' .. owner_tag .. '}:o:' .. names .. owner, member_of(key, owner_tag)
end
