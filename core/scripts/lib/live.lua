-- The live records of the hash: {field, record, ends, and stays, its end without max_age}. Of what is no
-- record, its field and text. What rotations left behind goes to `left`, if that is given.
local function live_of(now, max_age, left)
  local all, live, fields, open = redis.call('HGETALL', key), {}, {}, false
  for i = 1, #all, 2 do
    fields[#fields + 1] = all[i]
    open = open or stamped_end(all[i + 1]) == 0 and not lasts(all[i + 1])
  end
  -- Only a server that can end fields has records that say nothing of their end, whatever the client knows.
  local own_ends = {}
  for first = 1, open and #fields or 0, 1000 do -- Lua's stack bounds unpack
    local last = math.min(first + 999, #fields)
    local part = redis.pcall('HPEXPIRETIME', key, 'FIELDS', last - first + 1, unpack(fields, first, last))
    proven = true
    if not learn(not part.err) then break end
    for i = 1, #part do own_ends[first + i - 1] = part[i] == -2 and now or part[i] end -- -2: it ends now
  end
  for i = 1, #fields do
    local record = all[2 * i]
    local good = split(record) ~= nil
    local stamp = good and stamped_end(record) or 0
    local rotated = not good and family_left(record) ~= nil
    if rotated then stamp = stamped_end(record) end
    local stays = stamp > 0 and stamp or math.max(0, own_ends[i] or 0)
    local ends = good and earlier(stays, limit_of(record, max_age)) or stays
    if ends == 0 or ends > now then
      local to = rotated and (left or {}) or live
      to[#to + 1] = {field = fields[i], record = record, ends = ends, stays = stays}
    end
  end
  return live
end
