---@meta tokenstore.redis_jwt

-- Types of tokenstore.RedisJWT for LuaLS (lua-language-server). Never loaded. tests/lua/test_types.lua
-- compares it with what the module has.

---@class tokenstore.RedisJWTOptions: tokenstore.ClientOptions
---@field redis? string|tokenstore.Client
---@field host? string instead of redis: a host, or the path of a unix socket
---@field port? integer (default 6379)
---@field auth? string the server's password
---@field maxretries? integer the Node package's; ignored, since `timeout` limits retries
---@field secret string|tokenstore.jwt.Key|tokenstore.jwt.Key[] at least 32 bytes, or keys: the first signs, all verify
---@field algorithm? string used for signing, and the only one accepted (default "HS256")
---@field multiple? boolean false: a user has one session, and signing ends the others; true: any number
---@field max_sessions? integer at most this many instead: signing ends the oldest beyond it
---@field node_writers? boolean the Node package signs into the same database: find its sessions by SCAN
---@field kea? boolean enable session events on the server (CONFIG SET), for events, on and poll
---@field max_data_size? integer bytes of the data as JSON (default 65536)
---@field max_size? integer bytes of a token (default 8192)
---@field wait_replicas? integer a change counts as done when so many replicas have it (default 0); else "not_replicated"
---@field wait_fsync? boolean … when it is on the disk of the primary, and of wait_replicas replicas (Redis 7.2)
---@field wait_timeout? number seconds to wait for that (default 1)

---The contents of a token and its session.
---@class tokenstore.RedisJWTSession
---@field id string the user
---@field rjwt string the session's key in Redis
---@field ttl integer seconds; -1: no expiry
---@field iat? number
---@field dataToken? tokenstore.Data
---@field dataSession? tokenstore.Data

---@class tokenstore.RedisJWTSignArgs
---@field id tokenstore.Name 1 … 1024 bytes of UTF-8 without NUL and ":"
---@field ttl? number|string seconds, or a text such as "15 minutes"; none: no expiry
---@field data_token? tokenstore.Data in the token, readable by every holder
---@field data_session? tokenstore.Data stays in Redis

---The client. Text that is not UTF-8 is read as Latin-1; a list, as from ngx.req.get_headers, is joined.
---@class tokenstore.RedisJWTRequest
---@field address? string
---@field user_agent? string|string[]

---@class tokenstore.RedisJWTCreateArgs
---@field id tokenstore.Name
---@field data? tokenstore.Data the session's
---@field ttl? number|string
---@field request? tokenstore.RedisJWTRequest kept in the session's data as `request`

---@class tokenstore.RedisJWTVerifyArgs
---@field token? any anything but a string is not valid
---@field value_session? boolean dataSession too

---@class tokenstore.RedisJWTIdArgs
---@field id tokenstore.Name

---@class tokenstore.RedisJWTDestroyMultipleArgs: tokenstore.RedisJWTIdArgs
---@field wait_replicas? integer at least so many replicas, if the store has fewer

---@class tokenstore.RedisJWTKeyArgs
---@field rjwt? string nil is not found

---@class tokenstore.RedisJWTDestroyArgs: tokenstore.RedisJWTKeyArgs
---@field wait_replicas? integer at least so many replicas, if the store has fewer

---@class tokenstore.RedisJWTReindexArgs
---@field timeout? number seconds; instead of the client's

---The client holds a JWT, Redis its session: the token is valid while the session is live.
---@class tokenstore.RedisJWT
---@field client tokenstore.Client
---@overload fun(options: tokenstore.RedisJWTOptions): tokenstore.RedisJWT?, string?, tokenstore.Code?
---@overload fun(redis: string|tokenstore.Client, options: tokenstore.RedisJWTOptions): tokenstore.RedisJWT?, string?, tokenstore.Code?
local RedisJWT = {}

---Starts a session of the user and returns its token. On a server that evicts keys, the user's other
---sessions are found by SCAN if there are at most 100 000 keys; with more, some may be missed. The logger
---gets a warning in both cases.
---@param args tokenstore.RedisJWTSignArgs
---@return string?
---@return string? message
---@return tokenstore.Code? code
function RedisJWT:sign(args) end

---sign with `data` as the session's data, plus the client.
---@param args tokenstore.RedisJWTCreateArgs
---@return string?
---@return string? message
---@return tokenstore.Code? code
function RedisJWT:create(args) end

---The contents of a valid token and its session; "invalid_token" for any other.
---@param args tokenstore.RedisJWTVerifyArgs
---@return tokenstore.RedisJWTSession?
---@return string? message
---@return tokenstore.Code? code
function RedisJWT:verify(args) end

---The user's live sessions, newest first.
---@param args tokenstore.RedisJWTIdArgs
---@return tokenstore.RedisJWTSession[]?
---@return string? message
---@return tokenstore.Code? code
function RedisJWT:list(args) end

---Ends the session; true if it was live.
---@param args tokenstore.RedisJWTDestroyArgs
---@return boolean?
---@return string? message
---@return tokenstore.Code? code
function RedisJWT:destroy(args) end

---Ends all sessions of the user; how many were live. On a server that evicts keys it finds them by SCAN
---over all keys, and the logger gets a warning.
---@param args tokenstore.RedisJWTDestroyMultipleArgs
---@return integer?
---@return string? message
---@return tokenstore.Code? code
function RedisJWT:destroy_multiple(args) end

---Adds sessions that the Node package wrote to their user's index; how many. O(all keys).
---@param args? tokenstore.RedisJWTReindexArgs
---@return integer?
---@return string? message
---@return tokenstore.Code? code
function RedisJWT:reindex(args) end

---@class tokenstore.RedisJWTEventsArgs
---@field keepalive? number seconds of silence before a PING checks the connection (default 15)

---Listens to session events from now on.
---@param args? tokenstore.RedisJWTEventsArgs
---@return tokenstore.SessionEvents?
---@return string? message
---@return tokenstore.Code? code
function RedisJWT:events(args) end

---Makes poll call `callback(event)` when a session ends.
---@param kind "expired"|"del"|"gap"
---@param callback fun(event: tokenstore.SessionEvent)
---@return boolean?
---@return string? message
---@return tokenstore.Code? code
function RedisJWT:on(kind, callback) end

---Waits for an event and calls the callbacks for all that have arrived; how many there were.
---@param timeout? number seconds; none: for ever
---@return integer?
---@return string? message
---@return tokenstore.Code? code
function RedisJWT:poll(timeout) end

---The raw client.
---@return tokenstore.Client
function RedisJWT:exec() end

---The Node package's helpers.
---@return tokenstore.RedisJWTCalls
function RedisJWT:call() end

---This store, for what `actor` does, as events of the client's audit say. It shares everything, and need not be
---closed.
---@param actor string a user, an administrator, a job
---@return tokenstore.RedisJWT
function RedisJWT:acting(actor) end

---Closes the client, unless it was passed in. May be called twice.
function RedisJWT:close() end

RedisJWT.destroyMultiple = RedisJWT.destroy_multiple

---The helpers of redis-jwt's call(), with plain arguments. A key is "<id>:<11 letters or digits>"; a
---pattern is the user's id, literally.
---@class tokenstore.RedisJWTCalls
---@field ping fun(self): string?, string?, tokenstore.Code?
---@field create fun(self, key: string, value: string, ttl?: number|string): boolean?, string?, tokenstore.Code?
---@field exists fun(self, key: string?): boolean?, string?, tokenstore.Code?
---@field ttl fun(self, key: string?): integer?, string?, tokenstore.Code?
---@field get_value_by_key fun(self, key: string?): string?, string?, tokenstore.Code?
---@field get_values_by_pattern fun(self, pattern: tokenstore.Name): string[]?, string?, tokenstore.Code?
---@field get_count_by_pattern fun(self, pattern: tokenstore.Name): integer?, string?, tokenstore.Code?
---@field get_info fun(self, section?: string): string|integer|nil, string?, tokenstore.Code?
---@field destroy fun(self, key: string?): boolean?, string?, tokenstore.Code?
---@field destroy_multiple fun(self, id: tokenstore.Name): integer?, string?, tokenstore.Code?

return RedisJWT
