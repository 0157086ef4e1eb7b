-- Reads every live record that an owner's index lists; forgets members without a record.
-- KEYS  index
-- ARGV  echo, base (the prefix with its colon), tag
-- Gives {echo, member, record, remaining ms (-1: no expiry), member, record, …}.
-- include: member

local reply = {ARGV[1]}
for _, member in ipairs(redis.call('ZRANGE', KEYS[1], 0, -1)) do
  local key = key_of(ARGV[2], ARGV[3], member)
  local record = redis.call('GET', key)
  if record then
    reply[#reply + 1] = member
    reply[#reply + 1] = record
    reply[#reply + 1] = redis.call('PTTL', key)
  else
    redis.call('ZREM', KEYS[1], member)
  end
end
return reply
