-- Ends a session.
-- KEYS  session ("<id>:<suffix>"), index
-- Gives {session, 1: it was live, 0}.
-- include: index, rjwt

local session, index = KEYS[1], KEYS[2]
local suffix = session:match(':(.*)$')
local members = redis.call('ZRANGE', index, 0, -1)
if #members == 1 and members[1]:sub(17) == suffix then
  return {session, redis.call('DEL', session, index) - 1} -- the only one: the index goes too
end
local ended = redis.call('DEL', session)
for _, member in ipairs(members) do
  if member:sub(17) == suffix then
    redis.call('ZREM', index, member)
    index_expire(index)
  end
end
return {session, ended}
