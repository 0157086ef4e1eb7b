-- Deletes all records of an owner, or all but one.
-- KEYS  the owner's hash
-- ARGV  echo, max_age in ms ("0": none), and what may name the one that stays: fields, or "=" and an id
-- Gives {echo, how many were live and are deleted}; of more than 10 000, how many there were, live or not: to
-- look at each takes a server hundreds of milliseconds, in which all others wait.
--
-- The one that stays is found by its family, so a token that was rotated names it, too, and keeps finding it.
-- include: clock, digits, split, record, hash, settle, end, live, family

local now = now_ms()
if #ARGV == 2 then
  -- Nothing is kept: they are only counted, and others wait meanwhile. A field that the server ends by itself
  -- is not there any more; of the other ends, the first four digits are mostly enough.
  local count = redis.call('HLEN', key)
  if count <= 10000 then
    local all, begins = redis.call('HGETALL', key), {}
    count = 0
    for i = 2, #all, 2 do
      local record = all[i]
      local mark, ends = record:byte(14), 0
      if mark == 101 and #record > 21 then
        local head = record:sub(15, 18)
        ends = begins[head] or number_at(head, 1, 4) * 262144
        begins[head] = ends
        if ends <= now then ends = stamped_end(record) end
        mark = record:byte(22)
      end
      local limit = ARGV[2] ~= '0' and split(record) and limit_of(record, ARGV[2]) or 0
      ends = earlier(ends, limit)
      if (ends == 0 or ends > now) and mark ~= 114 then count = count + 1 end -- r: what a rotation left
    end
  end
  redis.call('UNLINK', key)
  if count > 0 then audited('ended', 'all', named_owner, '', '', count) end -- audit
  return {ARGV[1], count}
end
local left, kept, family = {}, {}, nil
local live = live_of(now, ARGV[2], left)
for i = 3, #ARGV do
  local field = #ARGV[i] > 22 and field_of(ARGV[i], now) or ARGV[i]
  local record, forward = find(field, now)
  family = family or record and (family_of(record) or field) or forward and family_left(forward)
end
for _, one in ipairs(live) do
  if split(one.record) and (family_of(one.record) or one.field) == family then kept[#kept + 1] = one end
end
local count = #live - #kept
for _, one in ipairs(#kept > 0 and left or {}) do
  if family_left(one.record) == family then kept[#kept + 1] = one end
end
redis.call('UNLINK', key)
local last = 0
for _, one in ipairs(kept) do -- they are put back: that is quicker than to delete the others one by one
  put(one.field, one.record, one.stays)
  last = (last < 0 or one.stays == 0) and -1 or math.max(last, one.stays)
end
if known == 0 and last > 0 then expire_after(last) end
local reason = kept[1] and 'others' or 'all' -- audit
if count > 0 then audited('ended', reason, named_owner, kept[1] and family or '', '', count) end -- audit
return {ARGV[1], count}
