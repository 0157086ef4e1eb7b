-- A user's sessions: the members of their index are sixteen digits of when the session was made, in
-- microseconds since 1970 (zeros: nobody knows), and what its key has behind "<id>:".

-- The index no longer has a session of this suffix.
local function drop_suffix(index, suffix)
  for _, member in ipairs(redis.call('ZRANGE', index, 0, -1)) do
    if member:sub(17) == suffix then redis.call('ZREM', index, member) end
  end
end
