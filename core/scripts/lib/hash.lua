-- The hash of an owner: its fields end by themselves, or have their end in the record where the server cannot
-- do that. Both may stand side by side in a hash that has seen an upgrade.
--
-- The first argument ends with "0" where the client knows that the server cannot; the answer begins with it,
-- and with what is known now.
local key = KEYS[1]
local ends_fields = ARGV[1]:byte(5) ~= 48 and not redis.pcall('HPTTL', key, 'FIELDS', 1, '').err
ARGV[1] = ARGV[1]:sub(1, 4) .. (ends_fields and '1' or '0')

-- The record in `field` and when it ends, in ms since 1970 (0: never); nil where there is none, or where it
-- has ended.
local function find(field, now)
  local record = redis.call('HGET', key, field)
  if not record then return nil end
  local ends = stamped_end(record)
  if ends > 0 then
    if ends <= now then return nil end
  elseif not lasts(record) and split(record) then
    -- A user who may not ask this must not change the record either: its end would be lost.
    ends = math.max(0, redis.call('HPEXPIRETIME', key, 'FIELDS', 1, field)[1])
  end
  return record, ends
end

local function put(field, record, ends)
  if ends == 0 then
    redis.call('HSET', key, field, with_end(record, 'p')) -- which takes the field's own end away, too
  elseif ends_fields then
    redis.call('HSET', key, field, with_end(record, ''))
    redis.call('HPEXPIREAT', key, ('%u'):format(ends), 'FIELDS', 1, field)
  else
    redis.call('HSET', key, field, with_end(record, time_mark(101, ends)))
  end
end

-- Moves the end of a record. A server without memory for more lets this by: it is no more, or it comes after
-- a write that needs none, behind which a script may go on.
local function move(field, record, ends)
  if ends_fields and split(record) and stamped_end(record) == 0 and not lasts(record) then
    redis.call('HPEXPIREAT', key, ('%u'):format(ends), 'FIELDS', 1, field)
  else
    redis.call('PERSIST', key)
    put(field, record, ends)
  end
end

-- Drops what has ended, and gives the hash its end, that of its last field: it has `left` ms now. `ends` is
-- that of what was written, 0 for never, nil for nothing. Of many fields a few are looked at: each write
-- drops more than it adds. But a hash from before an upgrade is turned over whole, so that its own end cannot
-- take what lives longer.
local function sweep(now, ends, left)
  local size = redis.call('HLEN', key)
  local all = ends_fields or size <= 32
  local fields = all and redis.call('HGETALL', key) or redis.call('HRANDFIELD', key, 8, 'WITHVALUES')
  local last, lasts = ends or 0, ends == 0
  for i = 1, #fields, 2 do
    local stamp = stamped_end(fields[i + 1])
    if stamp == 0 then
      lasts = true
    elseif stamp <= now then
      redis.call('HDEL', key, fields[i])
    elseif ends_fields then
      put(fields[i], fields[i + 1], stamp)
    else
      last = math.max(last, stamp)
    end
  end
  if ends_fields then
    redis.call('PERSIST', key)
  elseif lasts then
    if left >= 0 then redis.call('PERSIST', key) end
  elseif all or left >= 0 and now + left < last then
    redis.call('PEXPIREAT', key, ('%u'):format(last))
  end
end

-- After a change.
local function settle(now, ends)
  local left = redis.call('PTTL', key)
  if left ~= -2 and not (ends_fields and left == -1) then sweep(now, ends, left) end
end
