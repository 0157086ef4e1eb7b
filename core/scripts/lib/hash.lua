-- The hash of an owner: its fields end by themselves, or have their end in the record where the server cannot
-- do that. Both may stand side by side in a hash that has seen an upgrade.
--
-- The first argument ends with what the client knows of the server: "0" it cannot, "1" it could, "2"
-- nothing. The answer begins with that argument, and what the script has learned in it.
local key = KEYS[1]
local known = ARGV[1]:byte(5) - 48 -- 0, 1 or 2, also what was learned

local function learn(can)
  known = can and 1 or 0
  ARGV[1] = ARGV[1]:sub(1, 4) .. known
  return can
end

-- Can the server end a field? "1" of the client is no proof: the server may have been replaced.
local proven = known == 0
local function can_end_fields()
  if not proven then
    proven = true
    learn(not redis.pcall('HPTTL', key, 'FIELDS', 1, '').err)
  end
  return known == 1
end

-- The record in `field` and when it ends, in ms since 1970 (0: never); nil where there is none, or where it
-- has ended; nil and the text where a rotation left something.
local function find(field, now)
  local record = redis.call('HGET', key, field)
  if not record then return nil end
  local ends = stamped_end(record)
  if ends > 0 and ends <= now then return nil end
  if family_left(record) then return nil, record end
  if ends == 0 and not lasts(record) and split(record) then
    -- A user who may not ask this must not change the record either: its end would be lost.
    ends = redis.call('HPEXPIRETIME', key, 'FIELDS', 1, field)[1]
    proven = learn(true)
    if ends == -2 then return nil end -- in the millisecond in which it ends, HGET still finds it
    ends = math.max(0, ends)
  end
  return record, ends
end

-- Where the tombstone of a token is.
local function tombstone_of(field)
  return field:sub(1, 21) .. '~'
end

-- The answer where `field` has no live record: {echo, 0}; of a token that was rotated {echo, -5, its
-- forward}, and when that has ended {echo, -6, its tombstone}.
local function absent(field, forward, now)
  if forward then return {ARGV[1], -5, forward} end
  local _, tombstone = find(tombstone_of(field), now)
  if tombstone then return {ARGV[1], -6, tombstone} end
  return {ARGV[1], 0}
end

-- Writes a record with its end.
local function put(field, record, ends)
  if ends == 0 then
    redis.call('HSET', key, field, with_end(record, 'p')) -- which takes the field's own end away, too
    return
  end
  local at = ('%u'):format(ends)
  if known > 0 then
    -- Redis 8.0, Valkey 9: one command.
    local set = redis.pcall('HSETEX', key, 'PXAT', at, 'FIELDS', 1, field, with_end(record, ''))
    if type(set) == 'number' then
      proven = learn(true)
      return
    end
  end
  if known > 0 and can_end_fields() then
    redis.call('HSET', key, field, with_end(record, ''))
    redis.call('HPEXPIREAT', key, at, 'FIELDS', 1, field)
  else
    redis.call('HSET', key, field, with_end(record, time_mark(101, ends)))
  end
end

-- Moves the end of a record. A server without memory for more lets this by: it is no more, or it comes after
-- a write that needs none, behind which a script may go on.
local function move(field, record, ends)
  if known > 0 and split(record) and stamped_end(record) == 0 and not lasts(record) then
    -- find has asked for its end.
    redis.call('HPEXPIREAT', key, ('%u'):format(ends), 'FIELDS', 1, field)
  else
    redis.call('HDEL', key, '') -- there is no such field
    put(field, record, ends)
  end
end

-- The hash ends a second after its last record: then not every write has to move its end. `now`, and the
-- time that PTTL counts from, may differ by some milliseconds; hence the 10 below.
local function expire_after(last)
  redis.call('PEXPIREAT', key, ('%u'):format(last + 1000))
end

-- Looks through the hash, of many fields at some: drops what has ended, and gives the hash the end of its
-- last field. One from before an upgrade is turned over whole.
local function sweep(now, size, ends)
  local native = can_end_fields()
  local all = native or size <= 32
  local fields = all and redis.call('HGETALL', key) or redis.call('HRANDFIELD', key, 32, 'WITHVALUES')
  local last, lasting = ends or 0, ends == 0
  for i = 1, #fields, 2 do
    local stamp = stamped_end(fields[i + 1])
    if stamp == 0 then
      lasting = true
    elseif stamp <= now then
      redis.call('HDEL', key, fields[i])
    elseif native then
      put(fields[i], fields[i + 1], stamp)
    else
      last = math.max(last, stamp)
    end
  end
  if native or lasting then
    redis.call('PERSIST', key)
    return
  end
  -- Of a hash without an end that was not seen whole, one that was not seen may never end.
  local left = redis.call('PTTL', key)
  if all or left >= 0 and now + left < last + 10 then expire_after(last) end
end

-- After a record was written that ends at `ends`, 0 for never: the hash must not end before it. Of fields
-- that are added, one in `every` is a reason to look for what has ended; so is a hash without an end, if that
-- may have been for a record that is gone.
local function settle(now, ends, every)
  local left = redis.call('PTTL', key)
  if known > 0 and can_end_fields() then
    if left >= 0 then sweep(now, 0, ends) end -- from before an upgrade
    return
  end
  local size = redis.call('HLEN', key)
  if every and size % every == 0 or left == -1 and ends > 0 and size > 1 and size <= 32 then
    sweep(now, size, ends)
  elseif ends == 0 then
    if left >= 0 then redis.call('PERSIST', key) end
  elseif left >= 0 and now + left < ends + 10 or size == 1 then
    expire_after(ends)
  end
end

-- After a record was deleted: the hash may have lived for it alone.
local function settle_without(now, record)
  local size = known == 0 and lasts(record) and redis.call('HLEN', key) or 0
  if size > 0 then sweep(now, size) end
end
