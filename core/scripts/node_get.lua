-- Finds a token of the Node package's form by its id.
-- KEYS  id
-- ARGV  id, the prefix with its colon
-- Gives {id, key, record}, {id}: not found.
-- include: get

local key = get(KEYS[1])
local record = key and get(ARGV[2] .. 'key:' .. key)
if not record then return {ARGV[1]} end
return {ARGV[1], key, record}
