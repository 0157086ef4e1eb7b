-- Reads an owner's live records, the newest first.
-- KEYS  the owner's hash
-- ARGV  echo, max_age in ms ("0": none), how many at most ("0": all), the id behind which they begin ("":
--       at the newest)
-- Gives {echo, field, record, its end in ms (0: never), field, …}, {echo, 0}: that field is not live.
-- include: clock, digits, split, record, hash, end, live

local live = live_of(now_ms(), ARGV[2])
for _, one in ipairs(live) do one.made = split(one.record) and number_at(one.record, 1, 9) or 0 end

-- By bytes: a server compares texts as its locale does.
local function is_before(a, b)
  for i = 1, math.min(#a, #b) do
    if a:byte(i) ~= b:byte(i) then return a:byte(i) < b:byte(i) end
  end
  return #a < #b
end
table.sort(live, function(a, b)
  if a.made ~= b.made then return a.made > b.made end
  return is_before(a.field, b.field)
end)

local first = 1
if ARGV[4] ~= '' then
  while live[first] and live[first].field ~= ARGV[4] and family_of(live[first].record) ~= ARGV[4] do
    first = first + 1
  end
  if not live[first] then return {ARGV[1], 0} end
  first = first + 1
end
local last = ARGV[3] == '0' and #live or math.min(#live, first + ARGV[3] - 1)
local reply = {ARGV[1]}
for i = first, last do
  reply[#reply + 1] = live[i].field
  reply[#reply + 1] = live[i].record
  reply[#reply + 1] = live[i].ends
end
return reply
