---@meta tokenstore.session_events

-- Types of tokenstore.session_events for LuaLS (lua-language-server). Never loaded.

---An event: a session has ended (`id` and `rjwt`), or the connection was lost for a while, and events
---between `lost_at` and `restored_at` may be missing.
---@class tokenstore.SessionEvent
---@field kind "expired"|"del"|"gap"
---@field id? string the user
---@field rjwt? string the session's key in Redis
---@field lost_at? number seconds since the epoch
---@field restored_at? number seconds since the epoch

---Listens to session events. `for event in events do` runs until `close`, and raises failures.
---@class tokenstore.SessionEvents
---@field closed boolean
---@operator call(): tokenstore.SessionEvent?
local SessionEvents = {}

---Waits for the next event; only nil if there was none.
---@param timeout? number seconds; none: for ever; 0: what is there already
---@return tokenstore.SessionEvent?
---@return string? message
---@return tokenstore.Code? code
function SessionEvents:next(timeout) end

---Makes poll call `callback(event)` for every event of a kind.
---@param kind "expired"|"del"|"gap"
---@param callback fun(event: tokenstore.SessionEvent)
function SessionEvents:on(kind, callback) end

---Waits like `next`, and calls the callbacks for all events that have arrived; how many there were.
---@param timeout? number seconds
---@return integer?
---@return string? message
---@return tokenstore.Code? code
function SessionEvents:poll(timeout) end

---Closes the connection. May be called twice.
function SessionEvents:close() end

return SessionEvents
