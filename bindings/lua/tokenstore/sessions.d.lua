---@meta tokenstore.sessions

-- Types of tokenstore.Sessions for LuaLS (lua-language-server). Never loaded. tests/lua/test_types.lua compares it
-- with what the module has.

---@class tokenstore.SessionCreateArgs
---@field app tokenstore.Name
---@field owner_id tokenstore.Name
---@field data? tokenstore.Data
---@field duration? number seconds; none: no expiry

---@class tokenstore.SessionArgs
---@field app tokenstore.Name
---@field token? string nil, as of a cookie that is not there, is not found

---@class tokenstore.SessionGetArgs: tokenstore.SessionArgs
---@field refresh? number seconds: it lives so long from now at least; one that lives longer, or for good, stays as it is
---@field expiry? boolean true: ask for expires_at

---@class tokenstore.SessionRefreshArgs: tokenstore.SessionArgs
---@field duration number seconds

---@class tokenstore.SessionUpdateArgs: tokenstore.SessionArgs
---@field data tokenstore.Data fields to set; tokenstore.null deletes one

---@class tokenstore.SessionRotateArgs: tokenstore.SessionArgs
---@field duration? number seconds; none: the remaining time stays

---@class tokenstore.SessionOwnerArgs
---@field app tokenstore.Name
---@field owner_id tokenstore.Name

---@class tokenstore.SessionListArgs: tokenstore.SessionOwnerArgs
---@field limit? integer at most so many (default all)
---@field after? string the id of the last one of the page before; that it has ended is an error, "data"

---@class tokenstore.SessionIdArgs: tokenstore.SessionOwnerArgs
---@field id? tokenstore.Name nil is not found

---Login sessions: tokens of type "session" in other words.
---@class tokenstore.Sessions
---@field client tokenstore.Client
---@overload fun(redis?: string|tokenstore.Client, options?: tokenstore.SessionsOptions): tokenstore.Sessions?, string?, tokenstore.Code?
---@overload fun(options: tokenstore.SessionsOptions): tokenstore.Sessions?, string?, tokenstore.Code?
local Sessions = {}

---Begins a session; the token to hand to the user.
---@param args tokenstore.SessionCreateArgs
---@return string?
---@return string? message
---@return tokenstore.Code? code
function Sessions:create(args) end

---Finds a session; nil when there is none. One round trip.
---@param args tokenstore.SessionGetArgs
---@return tokenstore.Session?
---@return string? message
---@return tokenstore.Code? code
function Sessions:get(args) end

---Lets the session expire `duration` from now, sooner or later than before. False when there is none.
---@param args tokenstore.SessionRefreshArgs
---@return boolean?
---@return string? message
---@return tokenstore.Code? code
function Sessions:refresh(args) end

---Sets fields of the session's data. True when the session was found. The expiry stays as it is.
---@param args tokenstore.SessionUpdateArgs
---@return boolean?
---@return string? message
---@return tokenstore.Code? code
function Sessions:update(args) end

---Ends the session. True when it was live.
---@param args tokenstore.SessionArgs
---@return boolean?
---@return string? message
---@return tokenstore.Code? code
function Sessions:kill(args) end

---Ends all sessions of this user. True when there was any.
---@param args tokenstore.SessionOwnerArgs
---@return boolean?
---@return string? message
---@return tokenstore.Code? code
function Sessions:kill_all(args) end

---Ends the session that a listing showed with this id. True when it was live.
---@param args tokenstore.SessionIdArgs
---@return boolean?
---@return string? message
---@return tokenstore.Code? code
function Sessions:kill_by_id(args) end

---How many live sessions this user has.
---@param args tokenstore.SessionOwnerArgs
---@return integer?
---@return string? message
---@return tokenstore.Code? code
function Sessions:count(args) end

---The user's live sessions, newest first, without the tokens, with expires_at: all, or a page. A record that cannot be
---read is left out, with a warning to the logger; where there is nothing else, "data".
---@param args tokenstore.SessionListArgs
---@return tokenstore.Session[]?
---@return string? message
---@return tokenstore.Code? code
function Sessions:list(args) end

---Gives the session a new token; the old one is dead at once. The new token, nil when there is none.
---@param args tokenstore.SessionRotateArgs
---@return string?
---@return string? message
---@return tokenstore.Code? code
function Sessions:rotate(args) end

---Closes the client, unless it was passed in. Twice is fine.
function Sessions:close() end

Sessions.killAll = Sessions.kill_all
Sessions.killById = Sessions.kill_by_id

return Sessions
