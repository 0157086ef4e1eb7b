-- Stores a new token of the Node package's form: record, id, and the id in the owner's set, at once.
-- KEYS  record, id, the owner's set
-- ARGV  id, key, record, duration in ms ("0": none), the prefix with its colon
-- Gives {id, 1}, {id, 0}: the key is in use.

local base = ARGV[5]
local held = redis.call('GET', KEYS[1])
-- The id is random: this very record is there when the request was sent again.
if held then return {ARGV[1], held == ARGV[3] and 1 or 0} end

-- An owner whose tokens expire leaves dead ids. Of three members, those without an id are dropped: so
-- the dead stay fewer than the living, and no add is slow.
for _, id in ipairs(redis.call('SRANDMEMBER', KEYS[3], 3)) do
  if redis.call('EXISTS', base .. 'id:' .. id) == 0 then redis.call('SREM', KEYS[3], id) end
end
redis.call('SET', KEYS[1], ARGV[3])
redis.call('SET', KEYS[2], ARGV[2])
if ARGV[4] ~= '0' then
  redis.call('PEXPIRE', KEYS[1], ARGV[4])
  redis.call('PEXPIRE', KEYS[2], ARGV[4])
end
redis.call('SADD', KEYS[3], ARGV[1])
return {ARGV[1], 1}
