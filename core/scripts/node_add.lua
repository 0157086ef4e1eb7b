-- Stores a new token of the Node package's form: record, id, and the id in the owner's set, at once.
-- KEYS  record, id, the owner's set
-- ARGV  id, key, record, duration in ms ("0": none)
-- Gives {id, 1}, {id, 1, ids of the owner}: some of these may be dead, {id, 0}: the key is in use.

local held = redis.call('GET', KEYS[1])
-- The id is random: this very record is there when the request was sent again.
if held == ARGV[3] then audited('created', '', KEYS[3]:match(':tokens:(.*)$'), ARGV[1], ARGV[1], 1, true) end -- audit
if held then return {ARGV[1], held == ARGV[3] and 1 or 0} end

local size = redis.call('SCARD', KEYS[3]) -- first: it fails where the set is another program's
redis.call('SET', KEYS[1], ARGV[3])
redis.call('SET', KEYS[2], ARGV[2])
if ARGV[4] ~= '0' then
  redis.call('PEXPIRE', KEYS[1], ARGV[4])
  redis.call('PEXPIRE', KEYS[2], ARGV[4])
end
redis.call('SADD', KEYS[3], ARGV[1])
audited('created', '', KEYS[3]:match(':tokens:(.*)$'), ARGV[1], ARGV[1]) -- audit
-- An owner whose tokens expire leaves dead ids. At one of eight adds, some members are looked at: so the dead
-- stay fewer than the living.
if size > 0 and size % 8 == 0 then return {ARGV[1], 1, unpack(redis.call('SRANDMEMBER', KEYS[3], 24))} end
return {ARGV[1], 1}
