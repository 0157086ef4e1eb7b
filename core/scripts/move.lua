-- Takes a token over from the key of another program, which is deleted: all of it, or nothing.
-- KEYS  record, index, the other program's key, moved
-- ARGV  echo, the record's text from the owner on, index member, the other key's value as it was read, "1"
--       where the token is a random one
-- Gives {echo, outcome}, outcome as core/include/tokenstore/move.h numbers them.
--
-- `moved` is a ZSET of what was moved in the last ten minutes, by the second: redis-tokens' update reads a
-- key and writes it in a second command. When the move came in between, the key is back, without an
-- expiry, or with one that a refresh gave it then. It must make no second token, nor bring one back that
-- has ended here since. But a token that somebody chose may have been made once more: that has an expiry.
-- include: clock, record, stamp, index

local record, index, source, moved = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local digest = record:sub(-28)
local owner = ARGV[2]:sub(1, ARGV[2]:find('"', 2, true))
local mark = digest .. owner
local lately = redis.call('ZSCORE', moved, mark)

local value = redis.pcall('GET', source)
if not value then return {ARGV[1], lately and 1 or 0} end
if value ~= ARGV[4] then return {ARGV[1], 3} end -- a table, where it is no string any more
local left = redis.call('PTTL', source)
if left == 0 then return {ARGV[1], 0} end -- its last millisecond

local now = now_us()
local expires = left == -1 and 0 or math.floor(now / 1000) + left
local present = redis.call('GET', record)
if lately and not present and (left == -1 or ARGV[5] == '1') then
  redis.call('DEL', source)
  return {ARGV[1], 0}
end
if present then
  local head, present_owner = split(present)
  if not lately or present_owner ~= owner then return {ARGV[1], 4} end
  redis.call('SET', record, head .. ARGV[2], 'KEEPTTL')
  if left ~= -1 then
    redis.call('PEXPIREAT', record, expires)
    index_put(index, ARGV[3], expires)
  end
  redis.call('DEL', source)
  return {ARGV[1], 2}
end

local text = '["' .. stamp_of(now) .. digest:sub(1, 4) .. '",' .. ARGV[2]
if left == -1 then
  redis.call('SET', record, text)
else
  redis.call('SET', record, text, 'PX', left)
end
index_put(index, ARGV[3], expires)
redis.call('DEL', source)

local second = math.floor(now / 1000000)
redis.call('ZADD', moved, second, mark)
redis.call('ZREMRANGEBYSCORE', moved, '-inf', second - 600)
redis.call('EXPIREAT', moved, second + 601)
return {ARGV[1], 1}
