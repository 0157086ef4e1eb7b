-- The parts of a record's key and text, by their places (docs/stored-format.md):
--   <prefix>:{tag}:<28 characters of digest>
--   ["<9 of created><4 of check>","<owner>",{<data>}]   or   …,{<data>},"<tag of the owner>"]
-- An owner's text holds no '"' but the two around it.

-- The head up to the owner, the owner, the data, what follows the data; nil where this is no record.
local function split(record)
  local quote = record:sub(1, 2) == '["' and record:find('"', 19, true)
  if not quote then return nil end
  local last = record:sub(-2) == '}]' and -2 or -8
  return record:sub(1, 17), record:sub(18, quote), record:sub(quote + 2, last), record:sub(last + 1)
end

-- The key of the index that lists the record at `key`, and its member there: its digest, behind its
-- tag where that is not the owner's. `names` is what the index key has before the owner.
local function index_of(key, owner, rest, names)
  local tag, member = key:sub(-33, -31), key:sub(-28)
  local owner_tag = #rest > 1 and rest:sub(3, 5) or tag
  if owner_tag ~= tag then member = tag .. member end
  return key:sub(1, -35) .. '{' .. owner_tag .. '}:o:' .. names .. owner, member
end
