-- Takes a token over from the key of another program, which is deleted: all of it, or nothing.
-- KEYS  the owner's hash, alias, the other program's key, moved
-- ARGV  echo, field, names and data, the alias's text, the other key's value as it was read, "1" where the
--       token is a random one
-- Gives {echo, outcome}, outcome as core/include/tokenstore/move.h numbers them.
--
-- `moved` is a ZSET of what was moved in the last ten minutes, by the second: redis-tokens' update reads a
-- key and writes it in a second command. When the move came in between, the key is back, without an
-- expiry, or with one that a refresh gave it then. It must make no second token, nor bring one back that
-- has ended here since. But a token that somebody chose may have been made once more: that has an expiry.
-- include: clock, digits, stamp, split, record, hash, settle

local alias, source, moved = KEYS[2], KEYS[3], KEYS[4]
local field, tail = ARGV[2], ARGV[3]
local owner = tail:sub(1, tail:find('"', 2, true))
local mark = field .. owner
local lately = redis.call('ZSCORE', moved, mark)

local value = redis.pcall('GET', source)
if not value then return {ARGV[1], lately and 1 or 0} end
if value ~= ARGV[5] then return {ARGV[1], 3} end -- a table, where it is no string any more
local left = redis.call('PTTL', source)
if left == 0 then return {ARGV[1], 0} end -- its last millisecond

local us = now_us()
local now = math.floor(us / 1000)
local ends = left == -1 and 0 or now + left
local found = redis.call('GET', alias)
if found and found:sub(1, 16) ~= ARGV[4]:sub(1, 16) then return {ARGV[1], 4} end
local present, present_ends = find(field, now)

local function put_alias(until_ms)
  redis.call('SET', alias, ARGV[4])
  if until_ms > 0 then redis.call('PEXPIREAT', alias, ('%u'):format(until_ms + 60000)) end
end

if lately and not present and (left == -1 or ARGV[6] == '1') then
  redis.call('DEL', source)
  return {ARGV[1], 0}
end
if present then
  local names, data = split(present)
  if not lately or not data or present:sub(names, data - 1) ~= owner then return {ARGV[1], 4} end
  if left == -1 then ends = present_ends end
  put(field, present:sub(1, names - 1) .. tail, ends)
  put_alias(ends)
  settle(now, ends)
  redis.call('DEL', source)
  return {ARGV[1], 2}
end

put(field, stamp_of(us) .. ARGV[1]:sub(1, 4) .. tail, ends)
put_alias(ends)
settle(now, ends, 4)
redis.call('DEL', source)

local second = math.floor(now / 1000)
redis.call('ZADD', moved, second, mark)
redis.call('ZREMRANGEBYSCORE', moved, '-inf', second - 600)
redis.call('EXPIREAT', moved, second + 601)
return {ARGV[1], 1}
