-- The live records of the hash: {field, record, ends}. Of what is no record, its field and text.
local function live_of(now, max_age)
  local all, live, fields = redis.call('HGETALL', key), {}, {}
  for i = 1, #all, 2 do fields[#fields + 1] = all[i] end
  local own_ends = {}
  for first = 1, #fields > 0 and can_end_fields() and #fields or 0, 1000 do -- Lua's stack bounds unpack
    local last = math.min(first + 999, #fields)
    local part = redis.call('HPEXPIRETIME', key, 'FIELDS', last - first + 1, unpack(fields, first, last))
    for i = 1, #part do own_ends[first + i - 1] = part[i] end
  end
  for i = 1, #fields do
    local record = all[2 * i]
    local good = split(record) ~= nil
    local stamp = good and stamped_end(record) or 0
    local ends = stamp > 0 and stamp or math.max(0, own_ends[i] or 0)
    if good then ends = earlier(ends, limit_of(record, max_age)) end
    if ends == 0 or ends > now then live[#live + 1] = {field = fields[i], record = record, ends = ends} end
  end
  return live
end
