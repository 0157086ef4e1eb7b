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
