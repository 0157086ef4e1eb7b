-- Stores an access token for all processes, and gives the lock back.
-- KEYS  tokens (the HASH that the Node package reads too), our own tokens, lock
-- ARGV  token, how long it is good in ms, lock owner, its field in our own HASH, audience (the field in
--       the shared one; '' where it is not to be there), who we are, the claim's field, the claim (who we
--       are, the token's last 32 characters, when it ends), what stands in our own HASH
-- Gives 1.
-- Where another server or client has its token in the shared field, ours goes into our own HASH. A field of
-- the shared one ends by itself where the server has that, and its HASH never does: others' tokens may live
-- longer.
-- include: get

local held = get(KEYS[3])
local ttl = tonumber(ARGV[2])

local function taken()
  local claim = redis.call('HGET', KEYS[2], ARGV[7])
  local token = redis.call('HGET', KEYS[1], ARGV[5])
  return claim and token and claim:sub(1, #ARGV[6]) ~= ARGV[6] and
    claim:sub(#ARGV[6] + 1, #ARGV[6] + 32) == token:sub(-32)
end

local function put_own(field, value)
  redis.call('HSET', KEYS[2], field, value)
  if redis.call('PTTL', KEYS[2]) < ttl then redis.call('PEXPIRE', KEYS[2], ttl) end
end

if ARGV[5] ~= '' and not taken() then
  redis.call('HSET', KEYS[1], ARGV[5], ARGV[1])
  redis.pcall('HPEXPIRE', KEYS[1], ttl, 'FIELDS', 1, ARGV[5])
  put_own(ARGV[7], ARGV[8])
else
  put_own(ARGV[4], ARGV[9])
end
if held == ARGV[3] then redis.call('DEL', KEYS[3]) end
return 1
