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
