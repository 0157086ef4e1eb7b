-- Makes room for one more record where an owner may have `most`: the oldest go, or the longest unused.
-- False: there is none, and none is to be made.
local function make_room(now, most, when_full, max_age)
  if redis.call('HLEN', key) < most then return true end
  local all, live = redis.call('HGETALL', key), {}
  for i = 1, #all, 2 do
    local record = all[i + 1]
    if split(record) then
      local stamp, made = stamped_end(record), number_at(record, 1, 9) / 1000
      if stamp > 0 and stamp <= now or max_age ~= '0' and made + max_age <= now then
        redis.call('HDEL', key, all[i])
      else
        live[#live + 1] = {field = all[i], used = when_full == 'idle' and seen_at(record) or made}
        live[#live].record = record -- audit
      end
    end
  end
  if #live >= most and when_full == 'refuse' then return false end
  table.sort(live, function(a, b) return a.used < b.used end)
  for i = 1, #live + 1 - most do
    local field = live[i].field
    redis.call('HDEL', key, field)
    local record = live[i].record -- audit
    audited('ended', 'too_many', owner_in(record), family_of(record) or field, field) -- audit
  end
  return true
end
