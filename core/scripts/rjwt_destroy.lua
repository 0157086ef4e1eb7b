-- Ends a session.
-- KEYS  session ("<id>:<suffix>"), index
-- Gives {session, 1: it was live, 0}.
-- include: index, rjwt

local ended = redis.call('DEL', KEYS[1])
drop_suffix(KEYS[2], KEYS[1]:match(':(.*)$'))
index_expire(KEYS[2])
return {KEYS[1], ended}
