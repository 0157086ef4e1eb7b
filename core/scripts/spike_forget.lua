-- Takes a token out that its audience did not accept, unless it was renewed meanwhile.
-- KEYS  tokens (the HASH that the Node package reads too), our own tokens
-- ARGV  token, audience (the field in the first; '' where it is not there), its field in the second
-- Gives 1, or 0: another one is stored, or none.
-- What is stored is the token, or <its end>:<the token> where it does not tell its end itself.

local function forget(key, field)
  local stored = redis.call('HGET', key, field)
  if not stored or (stored ~= ARGV[1] and stored:match('^%d+:(.*)$') ~= ARGV[1]) then return 0 end
  return redis.call('HDEL', key, field)
end

local shared = ARGV[2] ~= '' and forget(KEYS[1], ARGV[2]) or 0
return math.max(shared, forget(KEYS[2], ARGV[3]))
