end

-- What comes after it. Gives {its answer, why the stream could not be written ("": it was, or should not be), the
-- server's time in ms, and each event}. What was done is done, whatever becomes of the stream.
local answer, failed = change(), ''
if not events[1] then return {answer or false, '', ''} end
for _, event in ipairs(stream and events or {}) do
  if failed == '' and event[8] ~= '' then
    local added = redis.pcall('XADD', stream, 'MAXLEN', '~', most_events, '*', 'event', event[2], 'kind', event[1],
      'reason', event[3], 'app', app, 'type', of_type, 'owner', event[4], 'sid', event[5], 'id', event[6],
      'count', event[7], 'actor', actor)
    if type(added) == 'table' then failed = added.err end
  end
end
local time = redis.call('TIME')
return {answer or false, failed, ('%u'):format(time[1] * 1000 + math.floor(time[2] / 1000)), unpack(events)}
