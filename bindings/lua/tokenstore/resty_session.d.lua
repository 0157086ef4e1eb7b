---@meta tokenstore.resty_session

-- Types of tokenstore.resty_session for LuaLS (lua-language-server). Never loaded.

---@class tokenstore.resty_session
local resty_session = {}

---@class tokenstore.resty_session.Options: tokenstore.StoreOptions
---@field app? string what the sessions belong to (default "resty-session")
---@field fail_open? boolean true: while Redis cannot be reached, lua-resty-session gets the error (default false: the request ends with 503)

---A storage. Raises an error for a wrong option.
---@param options? tokenstore.resty_session.Options
---@return tokenstore.resty_session.Storage
function resty_session.new(options) end

---The storage of lua-resty-session: `get`, `set` and `delete` are for that.
---@class tokenstore.resty_session.Storage
---@field store tokenstore.RedisTokens
---@field app string
---@field fail_open? boolean
local Storage = {}

---@class tokenstore.resty_session.Listed: tokenstore.Token
---@field name string of the cookie

---@class tokenstore.resty_session.Metadata
---@field audiences string[]
---@field subjects string[]

---@param name string of the cookie
---@param key string
---@return string? value
---@return string? message
function Storage:get(name, key) end

---Stores a new session, or replaces `old_key`, which must be live; a key that this request has found or stored keeps
---its expiry.
---@param name string of the cookie
---@param key string
---@param value string
---@param ttl number seconds, from 1
---@param current_time? number unused: the server's clock counts
---@param old_key? string
---@param stale_ttl? number seconds for which the old key lives at most; less than 1: it ends
---@param metadata? tokenstore.resty_session.Metadata
---@return boolean? stored
---@return string? message
function Storage:set(name, key, value, ttl, current_time, old_key, stale_ttl, metadata) end

---Ends the session, with all its keys.
---@param name string of the cookie
---@param key string
---@return boolean? done true, also if there was none
---@return string? message
function Storage:delete(name, key) end

---The sessions of a subject, newest first, without data.
---@param subject string
---@return tokenstore.resty_session.Listed[]?
---@return string? message
function Storage:list(subject) end

---Ends a session of a listing. True if it was live.
---@param subject string
---@param id string
---@return boolean?
---@return string? message
function Storage:end_one(subject, id) end

---Ends all sessions of a subject, but `keep`. How many keys were live.
---@param subject string
---@param keep? { name: string, key: string }
---@return integer?
---@return string? message
function Storage:end_all(subject, keep) end

return resty_session
