-- The index of a user's sessions: a ZSET of members by the second in which they will be gone.

-- It goes with its last member: a second later, never before.
local function index_expire(index)
  local last = redis.call('ZRANGE', index, -1, -1, 'WITHSCORES')[2]
  if last == 'inf' then
    redis.call('PERSIST', index)
  elseif last then
    redis.call('EXPIREAT', index, ('%u'):format(last + 1))
  end
end

-- Adds or moves a member; `expires` in ms, 0 for never.
local function index_put(index, member, expires)
  redis.call('ZADD', index, expires > 0 and ('%u'):format(math.ceil(expires / 1000)) or '+inf', member)
  index_expire(index)
end
