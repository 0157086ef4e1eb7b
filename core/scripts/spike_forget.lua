-- Takes a token out that its audience did not accept, unless it was renewed meanwhile.
-- KEYS  tokens
-- ARGV  field, token
-- Gives 1, or 0: another one is stored, or none.
-- What is stored is the token, or <its end>:<the token> where it does not tell its end itself.

local stored = redis.call('HGET', KEYS[1], ARGV[1])
if not stored or (stored ~= ARGV[2] and stored:match('^%d+:(.*)$') ~= ARGV[2]) then return 0 end
return redis.call('HDEL', KEYS[1], ARGV[1])
