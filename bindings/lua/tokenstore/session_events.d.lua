---@meta tokenstore.session_events

-- Types of tokenstore.session_events for LuaLS (lua-language-server). Never loaded.

---An event. A session has ended: `id` and `rjwt` are there. Or nobody listened for a while, and ends between
---`lost_at` and `restored_at` may not have been told.
---@class tokenstore.SessionEvent
---@field kind "expired"|"del"|"gap"
---@field id? string whose session it was
---@field rjwt? string which one: its key in Redis
---@field lost_at? number seconds since the epoch
---@field restored_at? number seconds since the epoch

---Listens to the ends of sessions. `for event in events do` runs until `close`, and raises failures.
---@class tokenstore.SessionEvents
---@field closed boolean
---@operator call(): tokenstore.SessionEvent?
local SessionEvents = {}

---Waits for the next event; nil and nothing else when there was none.
---@param timeout? number seconds; none: for ever; 0: what is there already
---@return tokenstore.SessionEvent?
---@return string? message
---@return tokenstore.Code? code
function SessionEvents:next(timeout) end

---Lets poll call `callback(event)` for every event of a kind.
---@param kind "expired"|"del"|"gap"
---@param callback fun(event: tokenstore.SessionEvent)
function SessionEvents:on(kind, callback) end

---Waits as `next` does, and calls the callbacks for all events that are there; how many there were.
---@param timeout? number seconds
---@return integer?
---@return string? message
---@return tokenstore.Code? code
function SessionEvents:poll(timeout) end

---Ends the connection. Twice is fine.
function SessionEvents:close() end

return SessionEvents
