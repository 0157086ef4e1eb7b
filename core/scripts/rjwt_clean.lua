-- Drops sessions that ended by another hand from the index of their user.
-- KEYS  index, sessions
-- ARGV  their members of the index
-- Gives the index.

for i, member in ipairs(ARGV) do
  if redis.call('EXISTS', KEYS[i + 1]) == 0 then redis.call('ZREM', KEYS[1], member) end
end
return KEYS[1]
