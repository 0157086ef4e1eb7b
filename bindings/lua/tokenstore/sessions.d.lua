---@meta tokenstore.sessions

-- Types of tokenstore.Sessions for LuaLS (lua-language-server). Never loaded. tests/lua/test_types.lua compares it
-- with what the module has.

---@class tokenstore.SessionCreateArgs
---@field app tokenstore.Name
---@field owner_id? tokenstore.Name nil: an anonymous session, in no listing
---@field data? tokenstore.Data
---@field duration? number seconds; none: no expiry
---@field idle? number seconds: it ends if it is not used for so long, and after duration at the latest
---@field request? tokenstore.Request who asked for it

---@class tokenstore.SessionArgs
---@field app tokenstore.Name
---@field token? string nil (a missing cookie) is not found

---@class tokenstore.SessionKillArgs: tokenstore.SessionArgs
---@field wait_replicas? integer at least so many replicas, if the store has fewer

---@class tokenstore.SessionGetArgs: tokenstore.SessionArgs
---@field refresh? number|true seconds: it lives at least this long from now; one that lives longer, or has no expiry, is unchanged. true: its own idle time
---@field expiry? boolean true: fill in expires_at
---@field fresh? boolean true: ask the server, whatever the near cache has

---@class tokenstore.SessionGetManyArgs
---@field app tokenstore.Name
---@field tokens string[]
---@field fresh? boolean as in `get`

---@class tokenstore.SessionRefreshArgs: tokenstore.SessionArgs
---@field duration number seconds

---@class tokenstore.SessionUpdateArgs: tokenstore.SessionArgs
---@field data? tokenstore.Data fields to set; tokenstore.null deletes one
---@field unset? string[] further fields to delete
---@field keep_null? boolean tokenstore.null is stored instead
---@field replace? boolean `data` becomes the whole data, exactly
---@field expect? tokenstore.Data what fields must be now (tokenstore.unset: absent), or nothing is changed: "conflict"
---@field refresh? number|true slides the expiry, as in `get`

---@class tokenstore.SessionRotateArgs: tokenstore.SessionArgs
---@field duration? number seconds; none: the remaining time is kept
---@field grace? number seconds in which the old token still finds the session; none, or 0: it is invalid at once
---@field owner_id? tokenstore.Name whose an anonymous session becomes; a session of another user: "data"
---@field data? tokenstore.Data fields to set, as by update

---@class tokenstore.SessionOwnerArgs
---@field app tokenstore.Name
---@field owner_id tokenstore.Name

---@class tokenstore.SessionKillAllArgs: tokenstore.SessionOwnerArgs
---@field keep? string a token or an id of this user that stays; nil, or one that is not live: none does
---@field wait_replicas? integer at least so many replicas, if the store has fewer

---@class tokenstore.SessionListArgs: tokenstore.SessionOwnerArgs
---@field limit? integer the maximum number (default all)
---@field after? string the id of the previous page's last one; if it has ended, an error, "data"

---@class tokenstore.SessionIdArgs: tokenstore.SessionOwnerArgs
---@field id? tokenstore.Name nil is not found

---@class tokenstore.SessionKillByIdArgs: tokenstore.SessionIdArgs
---@field wait_replicas? integer at least so many replicas, if the store has fewer

---@class tokenstore.SessionUpdateByIdArgs: tokenstore.SessionIdArgs
---@field data? tokenstore.Data fields to set; tokenstore.null deletes one
---@field unset? string[] further fields to delete
---@field keep_null? boolean tokenstore.null is stored instead
---@field replace? boolean `data` becomes the whole data, exactly
---@field expect? tokenstore.Data what fields must be now (tokenstore.unset: absent), or nothing is changed: "conflict"
---@field refresh? number|true slides the expiry, as in `get`

---@class tokenstore.SessionUpdateAllArgs: tokenstore.SessionOwnerArgs
---@field data tokenstore.Data fields to set; tokenstore.null deletes one

---Login sessions: tokens of type "session".
---@class tokenstore.Sessions
---@field client tokenstore.Client
---@overload fun(redis?: string|tokenstore.Client, options?: tokenstore.SessionsOptions): tokenstore.Sessions?, string?, tokenstore.Code?
---@overload fun(options: tokenstore.SessionsOptions): tokenstore.Sessions?, string?, tokenstore.Code?
local Sessions = {}

---Starts a session; returns the token for the user.
---@param args tokenstore.SessionCreateArgs
---@return string?
---@return string? message
---@return tokenstore.Code? code
function Sessions:create(args) end

---Finds a session; nil if there is none. One round trip.
---@param args tokenstore.SessionGetArgs
---@return tokenstore.Session?
---@return string? message
---@return tokenstore.Code? code
function Sessions:get(args) end

---Finds many at once: a list in the order asked, with false where there is none.
---@param args tokenstore.SessionGetManyArgs
---@return (tokenstore.Session|false)[]?
---@return string? message
---@return tokenstore.Code? code
function Sessions:get_many(args) end

---Finds a session by the id of a listing: without the token, with expires_at. Nil if there is none.
---@param args tokenstore.SessionIdArgs
---@return tokenstore.Session?
---@return string? message
---@return tokenstore.Code? code
function Sessions:get_by_id(args) end

---Lets the session expire `duration` from now, earlier or later than before. False if there is none.
---@param args tokenstore.SessionRefreshArgs
---@return boolean?
---@return string? message
---@return tokenstore.Code? code
function Sessions:refresh(args) end

---Sets fields of the session's data. True if the session was found. The rest is as in RedisTokens.update.
---@param args tokenstore.SessionUpdateArgs
---@return boolean?
---@return string? message
---@return tokenstore.Code? code
function Sessions:update(args) end

---As `update`, for the session with this id of a listing.
---@param args tokenstore.SessionUpdateByIdArgs
---@return boolean?
---@return string? message
---@return tokenstore.Code? code
function Sessions:update_by_id(args) end

---Sets fields in the data of all live sessions of this user, in one step; how many there are.
---@param args tokenstore.SessionUpdateAllArgs
---@return integer?
---@return string? message
---@return tokenstore.Code? code
function Sessions:update_all(args) end

---Finds the session and ends it: exactly one caller gets it, all others nil.
---@param args tokenstore.SessionArgs
---@return tokenstore.Session?
---@return string? message
---@return tokenstore.Code? code
function Sessions:take(args) end

---Ends the session. True if it was live.
---@param args tokenstore.SessionKillArgs
---@return boolean?
---@return string? message
---@return tokenstore.Code? code
function Sessions:kill(args) end

---Ends all sessions of this user, but `keep`. True if there were any.
---@param args tokenstore.SessionKillAllArgs
---@return boolean?
---@return string? message
---@return tokenstore.Code? code
function Sessions:kill_all(args) end

---Ends the session with this id of a listing. True if it was live.
---@param args tokenstore.SessionKillByIdArgs
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

---The user's live sessions, newest first, without the tokens, with expires_at: all, or a page. Unreadable
---records are skipped, with a warning to the logger; if there is nothing else, "data".
---@param args tokenstore.SessionListArgs
---@return tokenstore.Session[]?
---@return string? message
---@return tokenstore.Code? code
function Sessions:list(args) end

---Gives the session a new token; the old one is invalid at once. Returns the new token, nil if there is
---none.
---@param args tokenstore.SessionRotateArgs
---@return string?
---@return string? message
---@return tokenstore.Code? code
function Sessions:rotate(args) end

---This store, for what `actor` does, as events of the client's audit say. It shares everything, and need not be
---closed.
---@param actor string a user, an administrator, a job
---@return tokenstore.Sessions
function Sessions:acting(actor) end

---Closes the client, unless it was passed in. May be called twice.
function Sessions:close() end

Sessions.getMany = Sessions.get_many
Sessions.killAll = Sessions.kill_all
Sessions.killById = Sessions.kill_by_id
Sessions.getById = Sessions.get_by_id
Sessions.updateById = Sessions.update_by_id
Sessions.updateAll = Sessions.update_all

return Sessions
