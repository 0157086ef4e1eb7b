-- Takes a token out that its audience did not accept, unless it was renewed meanwhile.
-- KEYS  tokens (the HASH that the Node package reads too), our own tokens, why asking brings nothing
-- ARGV  token, audience (the field in the first; '' where it is not there), its field in the second
-- Gives 1, or 0: another one is stored, or none.
-- In the first HASH stands the token, in the second <its end>:<the token>.
-- include: get

local function holds(key, field)
  local stored = redis.call('HGET', key, field)
  return stored and (stored == ARGV[1] or stored:match('^%d+:(.*)$') == ARGV[1])
end

local shared = ARGV[2] ~= '' and holds(KEYS[1], ARGV[2])
local own = holds(KEYS[2], ARGV[3])
if shared then redis.call('HDEL', KEYS[1], ARGV[2]) end
if own then redis.call('HDEL', KEYS[2], ARGV[3]) end
if get(KEYS[3]) then redis.call('DEL', KEYS[3]) end
return (shared or own) and 1 or 0
