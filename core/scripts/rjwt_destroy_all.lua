-- Ends all sessions of a user.
-- KEYS  index; sessions: those it lists, and those that Node may have written
-- ARGV  id
-- Gives {id, how many were live}, {id, -2, keys}: it wants these, too.
-- include: declared, get, decode, session, rjwt

members_of(KEYS[1], ARGV[1], has)
if wanted[3] then return wanted end
local ended = 0
for i = 2, #KEYS do
  if session_at(KEYS[i]) then ended = ended + redis.call('DEL', KEYS[i]) end
end
redis.call('DEL', KEYS[1])
if ended > 0 then audited('ended', 'all', ARGV[1], '', '', ended) end -- audit
return {ARGV[1], ended}
