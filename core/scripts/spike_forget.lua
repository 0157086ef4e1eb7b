-- Takes a token out that its audience did not accept, unless it was renewed meanwhile.
-- KEYS  tokens
-- ARGV  field, token
-- Gives 1, or 0: another one is stored, or none.

if redis.call('HGET', KEYS[1], ARGV[1]) ~= ARGV[2] then return 0 end
return redis.call('HDEL', KEYS[1], ARGV[1])
