-- Of the audited form of a script (core/src/audit.c), what comes before it.
-- KEYS  the stream, first, if the events are to be written here
-- ARGV  last: most entries of the stream ("0": it is not written here), the events' names, app, type,
--       the owner if the caller named one, the actor
local actor, named_owner = table.remove(ARGV), table.remove(ARGV)
local of_type, app = table.remove(ARGV), table.remove(ARGV)
local event_names, most_events = table.remove(ARGV), table.remove(ARGV)
local stream = most_events ~= '0' and table.remove(KEYS, 1)
local events = {}

-- `told`: the caller is told only. It was written before, or may be asked for without end.
local function audited(kind, reason, owner, sid, id, count, told)
  if kind == 'ended' then reason = event_names:match('why=(%w+)') or reason end
  local name = event_names:match(kind .. '=([%w_]+)')
  events[#events + 1] = {kind, name, reason, owner, sid, id, tostring(count or 1), told and '' or '1'}
end

local escaped = {b = '\b', f = '\f', n = '\n', r = '\r', t = '\t'}

-- The owner in a record, or in what a rotation left; '' for none.
local function owner_in(text)
  local first = text:find('["{]')
  if not first or text:byte(first) == 123 then return '' end
  local owner = text:sub(first, text:find('"', first + 1, true))
  return (owner:sub(2, -2):gsub('\\(.)(%x?%x?%x?%x?)', function(c, hex)
    if c == 'u' then return string.char((tonumber(hex, 16) or 63) % 256) end -- it is a control character, or a quote
    return (escaped[c] or c) .. hex
  end))
end

local function change()
