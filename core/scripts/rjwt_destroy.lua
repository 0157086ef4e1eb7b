-- Ends a session.
-- KEYS  session ("<id>:<suffix>"), index
-- Gives {session, 1: it was live, 0}.
-- include: get, decode, session, index

local session, index = KEYS[1], KEYS[2]
local suffix = session:match(':(.*)$')
local members = redis.call('ZRANGE', index, 0, -1)
local ended = session_at(session) and redis.call('DEL', session) or 0
for _, member in ipairs(members) do
  if member:sub(17) == suffix then
    redis.call('ZREM', index, member)
    index_expire(index)
  end
end
if ended > 0 then audited('ended', 'revoked', session:sub(1, -13), session, session) end -- audit
return {session, ended}
