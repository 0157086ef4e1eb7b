-- Sets and deletes top-level fields of a live record's data.
-- KEYS  the owner's hash
-- ARGV  echo, field or "=" and an id, max_age in ms ("0": none), most bytes of data; where more than this
--       is wanted, the whole new data ("": it is merged), for how many ms the record is to live at least
--       ("0": its end stays, "-1": as long as it may be unused), how many expectations there are, and these
--       in pairs: a member's name with its quotes, its value's text ("": it is absent); then the changes, as
--       merge takes them
-- Gives {echo, record, its end in ms (0: never) where it was to move, else -1, its field}; {echo, -1}: the
-- data would be too large, {echo, -2}: not a record, {echo, -3, i}: not what pair i expects; or as absent
-- says: not found.
--
-- So ARGV is of odd length only where more is wanted.
-- include: split, json_text, merge

local field, more = ARGV[2], #ARGV % 2 == 1
-- Most changes are no use, and the record says nothing of its end: it keeps what the server has. That takes two
-- commands, and what the others need is not made. Where there is no HSETEX, it is one of the others.
if ARGV[3] == '0' and ARGV[1]:byte(5) ~= 48 and not more then
  local record = redis.call('HGET', KEYS[1], field)
  local at = record and record:byte(14) ~= 101 and select(2, split(record)) -- e
  if at then
    local data = merge(record:sub(at), 5)
    if #data > tonumber(ARGV[4]) then return {ARGV[1], -1} end
    record = record:sub(1, at - 1) .. data
    if redis.pcall('HSETEX', KEYS[1], 'KEEPTTL', 'FIELDS', 1, field, record) == 1 then
      return {ARGV[1]:sub(1, 4) .. 1, record, -1, field}
    end
  end
end

-- include: clock, digits, record, hash, end
local now = now_ms()
if #field > 22 then
  -- include: family
  field = field_of(field, now)
end
local record, ends = find(field, now)
if not record then
  -- include: absent
  return absent(field, ends, now)
end
local _, at = split(record)
if not at then return {ARGV[1], -2} end
local limit = limit_of(record, ARGV[3])
if limit > 0 and now >= limit then return {ARGV[1], 0} end

local data, first, shown = record:sub(at), 5, nil
if more then
  -- include: json_member, same
  first = 8 + 2 * ARGV[7]
  for i = 8, first - 1, 2 do
    local from, to = find_member(data, ARGV[i])
    if not is_same(from and data:sub(from, to) or '', ARGV[i + 1]) then return {ARGV[1], -3, (i - 6) / 2} end
  end
  if ARGV[6] ~= '0' then -- it is a use
    -- include: until, idle
    local use = ARGV[6] == '-1' and idle_of(record) or tonumber(ARGV[6])
    if ends > 0 and use > 0 then
      ends = math.max(ends, earlier(now + use, earlier(limit, until_of(record))))
      record = with_seen(record, now)
      _, at = split(record)
    end
    shown = earlier(ends, limit)
  end
  if ARGV[5] ~= '' then data = ARGV[5] end
end
data = merge(data, first)
if #data > tonumber(ARGV[4]) then return {ARGV[1], -1} end
record = record:sub(1, at - 1) .. data
put(field, record, ends)
if shown then
  -- include: settle
  settle(now, ends)
end
return {ARGV[1], record, shown or -1, field}
