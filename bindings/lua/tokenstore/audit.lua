-- Audit: what a client's options on_event and audit_stream do, and how the stream is read. See
-- docs/reference/audit.md. Events have ids and owners, never a token or data.

local core = require "tokenstore.core"
local options = require "tokenstore.options"

local audit = {}

local STREAM_MAX = 100000000
local COUNT_MAX = 100000

-- Checks the options; false: nobody wants to know. Errors point `level` functions up.
function audit.of(on_event, stream_size, level)
  stream_size = stream_size or 0
  if stream_size < 0 or stream_size > STREAM_MAX or stream_size % 1 ~= 0 then
    error(("bad option 'audit_stream' (0 to %d expected: the most entries that it keeps)"):format(STREAM_MAX),
      level + 1)
  end
  return (on_event or stream_size > 0) and { on_event = on_event, stream_size = stream_size }
end

-- What was done is done: a failure here must not reach the caller.
local function warn(write, text)
  local nginx = _G.ngx
  if write then
    write("warning", text)
  elseif nginx and nginx.log then
    nginx.log(nginx.WARN, "tokenstore: ", text)
  end
end

local function tell(wanted, write, actor, events)
  for _, event in ipairs(events) do
    event.count = tonumber(event.count)
    event.actor = actor
    local told, problem = true, nil
    if wanted.on_event then
      told, problem = pcall(wanted.on_event, event)
    end
    if not told then
      warn(write, "on_event failed: " .. tostring(problem))
    end
  end
end

-- `run` that passes on what operations tell. `write` is the logger's function, `actor` who acts; nil: none.
function audit.running(run, wanted, write, actor)
  local function finish(handle, events, ...)
    local failed = events.failed
    if events.writer then
      local written, message = run(handle, events.writer)
      failed = not written and message or failed
    end
    if failed then
      warn(write, "the change was made, but not written to the audit stream: " .. failed)
    end
    tell(wanted, write, actor, events)
    return ...
  end
  return function(handle, operation, message, code)
    if not operation then
      return operation, message, code
    end
    local events = {}
    local good
    good, message, code = core.audit(operation, actor, wanted.stream_size, events)
    if not good then
      return nil, message, code
    end
    return finish(handle, events, run(handle, operation))
  end
end

-- ---- reading -----------------------------------------------------------------------------------------

local FIELDS = { event = "name" }
for _, name in ipairs { "kind", "reason", "app", "type", "owner", "sid", "id", "count", "actor" } do
  FIELDS[name] = name
end

local function event_of(entry)
  local event = { entry = entry[1], at = (tonumber(entry[1]:match "^%d+") or 0) / 1000 }
  local words = entry[2]
  for i = 1, #words, 2 do
    local name = FIELDS[words[i]]
    if name and words[i + 1] ~= "" then
      event[name] = words[i + 1]
    end
  end
  event.count = tonumber(event.count) or 1
  return event
end

-- The range behind or before an entry: XRANGE and XREVRANGE exclude no end before Redis 6.2.
local function beside(entry, reverse)
  local ms, number = entry:match "^(%d+)%-(%d+)$"
  if not ms then
    return nil
  end
  if not reverse then
    return ("%s-%.0f"):format(ms, tonumber(number) + 1)
  elseif tonumber(number) > 0 then
    return ("%s-%.0f"):format(ms, tonumber(number) - 1)
  end
  return ("%.0f"):format(math.max(0, tonumber(ms) - 1))
end

local PAGE = { prefix = "string", after = "string", count = "number", reverse = "boolean" }

-- A page of the stream: a list of events, or nil, message, code.
function audit.read(client, given)
  local args = options.check(given, PAGE, "argument", 2)
  local count, reverse = args.count or 100, args.reverse
  local from = reverse and "+" or "-"
  if count < 1 or count > COUNT_MAX or count % 1 ~= 0 then
    return nil, ("count must be 1 to %d"):format(COUNT_MAX), "data"
  elseif args.after then
    from = beside(args.after, reverse)
    if not from then
      return nil, "after must be the entry of an event that was read", "data"
    end
  end
  local reply, message, code = client:execute(reverse and "XREVRANGE" or "XRANGE",
    (args.prefix or "ts") .. ":audit", from, reverse and "-" or "+", "COUNT", ("%d"):format(count))
  if not reply then
    return nil, message, code
  end
  for i, entry in ipairs(reply) do
    reply[i] = event_of(entry)
  end
  return reply
end

return audit
