-- A user's sessions: the members of their index are sixteen digits of when the session was made, in
-- microseconds since 1970 (zeros: nobody knows), and what its key has behind "<id>:".

-- The members, after `visit` was called with the key of each session.
local function members_of(index, id, visit)
  local members = redis.call('ZRANGE', index, 0, -1)
  for _, member in ipairs(members) do visit(id .. ':' .. member:sub(17)) end
  return members
end
