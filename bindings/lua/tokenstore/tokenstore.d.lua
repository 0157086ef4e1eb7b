---@meta tokenstore

-- Types of the public API for LuaLS (lua-language-server). Never loaded. tests/lua/test_types.lua
-- compares it with what the module has.

---The third result of a failed call.
---@alias tokenstore.Code
---| "configuration"   # invalid options or URL
---| "connection"      # no usable connection
---| "timeout"         # the deadline passed
---| "outcome_unknown" # sent, but no reply was received: it may or may not have happened
---| "server"          # Redis answered with an error
---| "data"            # an argument breaks a limit, or the stored data is not valid
---| "conflict"        # the stored data is not as expected: nothing was changed
---| "not_replicated"  # done, but fewer replicas have it than were asked for; a fourth result has replicas, how many have it, and result, what was made: a token or session, a boolean or a number
---| "reused_token"    # the token was rotated before: what followed from it was ended; a fourth result has its owner and sid
---| "limit"           # the reply is larger than max_reply_size: the message says what to do
---| "spike"           # could not obtain an access token: the message says what was tried
---| "spike_auth"      # the authorization server rejected the client or the request
---| "closed"          # the client is closed
---| "memory"          # out of memory

---A name: a string, or a whole number, which is converted to text (docs/reference/lua.md).
---@alias tokenstore.Name string|integer

---Data may contain: strings (UTF-8, no NUL), finite numbers, booleans, `tokenstore.null`, and tables, lists
---(1..n) or with string keys alone; at most 32 deep. An empty table is an object unless `tokenstore.array`
---marked it.
---@alias tokenstore.Data table<string, any>

---@class tokenstore.Null

---@class tokenstore.Unset

---Who asked for a token; 256 bytes are kept of each.
---@class tokenstore.Request
---@field address? string
---@field user_agent? string

---A token of RedisTokens. `tostring` shows its id, never its secret or data.
---@class tokenstore.Token
---@field app string
---@field type string
---@field owner? string nil: it is anonymous
---@field data tokenstore.Data
---@field token? string the secret; nil in a listing
---@field id string public: the token cannot be derived from it
---@field created_at number seconds since the epoch, by the server's clock
---@field expires_at? number seconds since the epoch; nil without expiry, or if not requested
---@field sid string public: as id, but rotations keep it
---@field idle? number seconds after which it ends unused
---@field seen_at? number seconds since the epoch: its last use that was written (touch_interval)
---@field request? tokenstore.Request of its creation
---@field superseded? true the token that found it was rotated, and its grace lasts

---A session of Sessions. `tostring` shows its id, never its secret or data.
---@class tokenstore.Session
---@field app string
---@field owner_id? string nil: it is anonymous
---@field data tokenstore.Data
---@field token? string the secret; nil in a listing
---@field id string public: the token cannot be derived from it
---@field created_at number seconds since the epoch, by the server's clock
---@field expires_at? number seconds since the epoch; nil without expiry, or if not requested
---@field sid string public: as id, but rotations keep it
---@field idle? number seconds after which it ends unused
---@field seen_at? number seconds since the epoch: its last use that was written (touch_interval)
---@field request? tokenstore.Request of its creation
---@field superseded? true the token that found it was rotated, and its grace lasts

---An error reply among other replies. `tostring` returns the message.
---@class tokenstore.ReplyError
---@field message string
---@field code "server"|"limit"

---@class tokenstore.ClientOptions
---@field redis? string URL; without it $TOKENSTORE_URL, else redis://localhost:6379
---@field connect_timeout? number seconds for one attempt to connect (default 2)
---@field timeout? number seconds, one deadline for a whole operation, retries included (default 5)
---@field max_connection_age? number seconds before a connection is replaced, less up to a fifth at random (default 300); 0: never
---@field near_cache? integer so many records are kept in memory until the server says that they changed (default 0: none)
---@field near_cache_staleness? number seconds; when it is not certain for so long that the server tells of changes, it is asked (default 2)
---@field near_cache_tracking? "broadcast"|"keys" of which changes the server tells: of all keys with the stores' prefixes (default), or of those that were read
---@field pool_size? integer the maximum number of connections (default 16)
---@field client_name? string as CLIENT LIST shows it
---@field max_reply_size? integer memory for one reply in bytes; a larger one is an error, "limit" (default 64
--- MiB)
---@field db? integer the database number
---@field ca? string TLS: file with the CA certificates; without it the system's
---@field cert? string TLS: file with the client certificate
---@field key? string TLS: file with its key
---@field server_name? string TLS: the name to verify instead of the host
---@field sentinel_user? string the user at the Sentinels
---@field sentinel_password? string the password at the Sentinels
---@field address_map? string|table<string, string> clusters and Sentinels behind NAT: from addresses that nodes announce to where they are reached, { ["10.0.0.5:7000"] = "localhost:17000" }
---@field server? string embedded: the binary to start
---@field logger? tokenstore.Logger receives log lines, such as retries; in nginx without one: nginx's error
--- log
---@field on_event? fun(event: tokenstore.AuditEvent) called with what stores create, rotate and end
---@field audit_stream? integer about so many of these events are kept in the stream `<prefix>:audit` (default 0: none)
---@field credentials? fun(): string, string user and password, for each new connection, instead of the URL's

---@class tokenstore.StoreOptions: tokenstore.ClientOptions
---@field redis? string|tokenstore.Client
---@field prefix? string prefix of the keys in Redis (default "ts")
---@field token_size? integer bytes of randomness, 16 … 256 (default 32)
---@field token_encoding? "base64url"|"base64"|"hex"
---@field pepper? string|string[] 16 … 64 bytes that key the digests; all stores that share tokens need it. A list, of at most 8: the first makes tokens, each finds them
---@field max_age? number seconds; no token lives longer than this after its creation
---@field touch_interval? number seconds; get with refresh writes at most once in this time (default: the lesser of 60 and a tenth of the duration; 0: every time)
---@field max_per_owner? integer live tokens of one app, type and owner
---@field when_full? "oldest"|"idle"|"refuse" what create does beyond it: ends the oldest (the default), ends the longest unused, or fails with "limit"
---@field reuse? "ignore"|"revoke" what happens where a token is presented that was rotated, after its grace: it is not found (the default); or all that became of it is ended, and "reused_token"
---@field reuse_window? number seconds after a rotation in which reuse is known (default a day)
---@field max_data_size? integer bytes of the data as JSON (default 65536)
---@field wait_replicas? integer a change counts as done when so many replicas have it (default 0); else "not_replicated"
---@field wait_fsync? boolean … when it is on the disk of the primary, and of wait_replicas replicas (Redis 7.2)
---@field wait_timeout? number seconds to wait for that (default 1)

---@class tokenstore.SessionsOptions: tokenstore.StoreOptions
---@field connection_string? string|tokenstore.Client another name for redis

---@class tokenstore.CallOptions
---@field raise_errors? boolean false: error replies are in the list (default true)
---@field key? string on a cluster: go to the node that has this key
---@field node? string on a cluster: go to this one, "host:port"; not with key
---@field timeout? number seconds; instead of the client's

---A pool of connections to one server, for any number of stores. Close it with `close`, or leave it to
---`<close>` (5.4) or the garbage collector.
---@class tokenstore.Client
---@field url string the server's URL, without user, password and options
---@field closed boolean
---@overload fun(redis?: string, options?: tokenstore.ClientOptions): tokenstore.Client?, string?, tokenstore.Code?
---@overload fun(options: tokenstore.ClientOptions): tokenstore.Client?, string?, tokenstore.Code?
local Client = {}

---Runs one command, once; strings are sent unchanged, numbers as text. Returns the reply: a string, an
---integer or a list; nil for Redis' nil, which is false within a list. Options may stand last: on a cluster it
---goes to the node that has its first key, or that has `key`, or to `node`.
---@param ... string|number|tokenstore.CallOptions the options without `raise_errors`
---@return any reply
---@return string? message
---@return tokenstore.Code? code
function Client:execute(...) end

---Runs one command on every primary of a cluster, on all at the same time; on one server there is one entry. The
---message of a failure names the node. Commands that are known to read, or that may be made twice, are sent again
---where a replica takes over. Only `timeout` of the options may stand last.
---@param ... string|number|tokenstore.CallOptions
---@return table<string, any>? replies by "host:port"; false for nil
---@return string? message
---@return tokenstore.Code? code
function Client:for_each_primary(...) end

---Runs several commands in one round trip. All are sent and answered; then the first error reply
---makes the whole a failure, unless `raise_errors = false`. On a cluster each goes to the node that has its
---first key, one without a key with the command before it, and from MULTI to EXEC all go together; with `key`
---all go to its node, with `node` to that.
---@param commands (string|number)[][]
---@param call_options? tokenstore.CallOptions
---@return any[]? replies
---@return string? message
---@return tokenstore.Code? code
function Client:pipeline(commands, call_options) end

---True if the server answers and has accepted the login, even if the ACL does not allow PING.
---@param args? tokenstore.CallOptions only `timeout`
---@return true?
---@return string? message
---@return tokenstore.Code? code
function Client:ping(args) end

---What is in the audit stream of the stores with this prefix.
---@param args? tokenstore.AuditPage
---@return tokenstore.AuditEvent[]?
---@return string? message
---@return tokenstore.Code? code
function Client:audit_events(args) end

---@class tokenstore.NearCacheStats
---@field hits integer tokens that were found in memory
---@field misses integer tokens that were asked for
---@field invalidations integer records that a change dropped
---@field evictions integer records that others displaced
---@field flushes integer connections lost, and orders to drop all
---@field entries integer now
---@field bytes integer now
---@field alive boolean does it answer now?
---@field oldest_proof number so many seconds ago the server was last known to tell of changes

---What the near cache of this process does; nil without `near_cache`.
---@return tokenstore.NearCacheStats?
function Client:near_cache_stats() end

---@class tokenstore.OperationStats
---@field store string the class; of execute and the like "Client"
---@field operation string the method
---@field outcomes table<string, integer> how many ended so: ok, not_found, or a tokenstore.Code
---@field durations integer[] how many took no longer than each bound, and longer than the one before
---@field took number seconds, of all together
---@field tries integer one more for each than it waited to try again
---@field trips integer questions to the server
---@field sent integer bytes of commands
---@field received integer bytes of the texts in answers

---What operations have cost since this was called first, by operation; in nginx those of this worker.
---@return tokenstore.OperationStats[]
function Client:operation_stats() end

---@class tokenstore.PoolStats
---@field limit integer so many connections there may be
---@field opened integer so many were opened
---@field idle? integer not in nginx, as the following
---@field used? integer
---@field waiting? integer callers that wait for one
---@field timeouts? integer callers that waited until their deadline

---The connections.
---@return tokenstore.PoolStats
function Client:pool_stats() end

---Closes the connections and stops an embedded server. May be called twice.
function Client:close() end
Client.auditEvents = Client.audit_events
Client.nearCacheStats = Client.near_cache_stats
Client.operationStats = Client.operation_stats
Client.poolStats = Client.pool_stats
Client.forEachPrimary = Client.for_each_primary

---@class tokenstore.CreateArgs
---@field app tokenstore.Name 1 … 1024 bytes without NUL, as are type, owner and custom_token
---@field type tokenstore.Name
---@field owner? tokenstore.Name nil: an anonymous token, in no listing
---@field data? tokenstore.Data
---@field duration? number seconds, 1 … 315360000; none: no expiry
---@field custom_token? string this instead of a random one
---@field idle? number seconds: it ends if it is not used for so long, and after duration at the latest
---@field request? tokenstore.Request who asked for it

---@class tokenstore.TokenArgs
---@field app tokenstore.Name
---@field type tokenstore.Name
---@field token? string nil (a missing cookie) is not found

---@class tokenstore.DeleteArgs: tokenstore.TokenArgs
---@field wait_replicas? integer at least so many replicas, if the store has fewer

---@class tokenstore.GetArgs: tokenstore.TokenArgs
---@field refresh? number|true seconds: it lives at least this long from now; one that lives longer, or has no expiry, is unchanged. true: its own idle time
---@field expiry? boolean true: fill in expires_at
---@field fresh? boolean true: ask the server, whatever the near cache has

---@class tokenstore.GetManyArgs
---@field app tokenstore.Name
---@field type tokenstore.Name
---@field tokens string[]
---@field fresh? boolean as in `get`

---@class tokenstore.RefreshArgs: tokenstore.TokenArgs
---@field duration number seconds

---@class tokenstore.UpdateArgs: tokenstore.TokenArgs
---@field data? tokenstore.Data fields to set; tokenstore.null deletes one
---@field unset? string[] further fields to delete
---@field keep_null? boolean tokenstore.null is stored instead
---@field replace? boolean `data` becomes the whole data, exactly
---@field expect? tokenstore.Data what fields must be now (tokenstore.unset: absent), or nothing is changed: "conflict"
---@field refresh? number|true slides the expiry, as in `get`

---@class tokenstore.RotateArgs: tokenstore.TokenArgs
---@field duration? number seconds; none: the remaining time is kept
---@field grace? number seconds in which the old token still finds the new one; none, or 0: it is invalid at once
---@field owner? tokenstore.Name whose an anonymous token becomes, without a grace; a token of another owner: "data"
---@field data? tokenstore.Data fields to set, as by update

---@class tokenstore.OwnerArgs
---@field app tokenstore.Name
---@field type tokenstore.Name
---@field owner tokenstore.Name

---@class tokenstore.DeleteAllArgs: tokenstore.OwnerArgs
---@field keep? string a token or an id of this owner that stays; nil, or one that is not live: none does
---@field wait_replicas? integer at least so many replicas, if the store has fewer

---@class tokenstore.ListArgs: tokenstore.OwnerArgs
---@field limit? integer the maximum number (default all)
---@field after? string the id of the previous page's last one; if it has ended, an error, "data"

---@class tokenstore.IdArgs: tokenstore.OwnerArgs
---@field id? tokenstore.Name nil is not found

---@class tokenstore.DeleteByIdArgs: tokenstore.IdArgs
---@field wait_replicas? integer at least so many replicas, if the store has fewer

---@class tokenstore.UpdateByIdArgs: tokenstore.IdArgs
---@field data? tokenstore.Data fields to set; tokenstore.null deletes one
---@field unset? string[] further fields to delete
---@field keep_null? boolean tokenstore.null is stored instead
---@field replace? boolean `data` becomes the whole data, exactly
---@field expect? tokenstore.Data what fields must be now (tokenstore.unset: absent), or nothing is changed: "conflict"
---@field refresh? number|true slides the expiry, as in `get`

---@class tokenstore.UpdateAllArgs: tokenstore.OwnerArgs
---@field data tokenstore.Data fields to set; tokenstore.null deletes one

---Opaque tokens with an owner and data.
---@class tokenstore.RedisTokens
---@field client tokenstore.Client
---@overload fun(redis?: string|tokenstore.Client, options?: tokenstore.StoreOptions): tokenstore.RedisTokens?, string?, tokenstore.Code?
---@overload fun(options: tokenstore.StoreOptions): tokenstore.RedisTokens?, string?, tokenstore.Code?
local RedisTokens = {}

---Creates a token; its secret is in `.token` of the result, and nowhere else.
---@param args tokenstore.CreateArgs
---@return tokenstore.Token?
---@return string? message
---@return tokenstore.Code? code
function RedisTokens:create(args) end

---Creates many at once, in order; all or none.
---@param list_of_args tokenstore.CreateArgs[]
---@return tokenstore.Token[]?
---@return string? message
---@return tokenstore.Code? code
function RedisTokens:create_many(list_of_args) end

---Finds a token; nil if there is none. One round trip. One that was rotated finds the new one while its grace
---lasts (`superseded`), as with all calls that take a token; after it nil, or "reused_token" (`reuse`).
---@param args tokenstore.GetArgs
---@return tokenstore.Token?
---@return string? message
---@return tokenstore.Code? code
function RedisTokens:get(args) end

---Finds many at once: a list in the given order, with false where there is none.
---@param args tokenstore.GetManyArgs
---@return (tokenstore.Token|false)[]?
---@return string? message
---@return tokenstore.Code? code
function RedisTokens:get_many(args) end

---Finds a token by the id of a listing: without the secret, with expires_at. Nil if there is none.
---@param args tokenstore.IdArgs
---@return tokenstore.Token?
---@return string? message
---@return tokenstore.Code? code
function RedisTokens:get_by_id(args) end

---Lets the token expire `duration` from now, earlier or later than before. False if there is none.
---@param args tokenstore.RefreshArgs
---@return boolean?
---@return string? message
---@return tokenstore.Code? code
function RedisTokens:refresh(args) end

---Sets fields of the data and returns the token with all of them; nil if there is none. The expiry is
---unchanged, unless `refresh` is given. With `expect`, only if these fields are as expected: else "conflict".
---@param args tokenstore.UpdateArgs
---@return tokenstore.Token?
---@return string? message
---@return tokenstore.Code? code
function RedisTokens:update(args) end

---As `update`, for the token with this id of a listing. The result is without the secret.
---@param args tokenstore.UpdateByIdArgs
---@return tokenstore.Token?
---@return string? message
---@return tokenstore.Code? code
function RedisTokens:update_by_id(args) end

---Sets fields in the data of all live tokens of this owner, in one step; how many there are. Unreadable records are
---skipped, with a warning to the logger; if there is nothing else, "data".
---@param args tokenstore.UpdateAllArgs
---@return integer?
---@return string? message
---@return tokenstore.Code? code
function RedisTokens:update_all(args) end

---Finds the token and ends it: exactly one caller gets it, all others nil.
---@param args tokenstore.TokenArgs
---@return tokenstore.Token?
---@return string? message
---@return tokenstore.Code? code
function RedisTokens:take(args) end

---Ends the token. True if it was live.
---@param args tokenstore.DeleteArgs
---@return boolean?
---@return string? message
---@return tokenstore.Code? code
function RedisTokens:delete(args) end

---Ends all tokens of this owner, but `keep`; how many were live.
---@param args tokenstore.DeleteAllArgs
---@return integer?
---@return string? message
---@return tokenstore.Code? code
function RedisTokens:delete_all(args) end

---Ends the token with this id of a listing. True if it was live.
---@param args tokenstore.DeleteByIdArgs
---@return boolean?
---@return string? message
---@return tokenstore.Code? code
function RedisTokens:delete_by_id(args) end

---How many live tokens this owner has.
---@param args tokenstore.OwnerArgs
---@return integer?
---@return string? message
---@return tokenstore.Code? code
function RedisTokens:count(args) end

---The owner's live tokens, newest first, without the secrets, with expires_at: all, or a page. Unreadable
---records are skipped, with a warning to the logger; if there is nothing else, "data".
---@param args tokenstore.ListArgs
---@return tokenstore.Token[]?
---@return string? message
---@return tokenstore.Code? code
function RedisTokens:list(args) end

---Replaces the secret: a token with the same data and sid; the old secret is invalid at once. Nil if there is none. With
---`grace`, the old token still finds the new one, and gives the very same when it is rotated again.
---@param args tokenstore.RotateArgs
---@return tokenstore.Token?
---@return string? message
---@return tokenstore.Code? code
function RedisTokens:rotate(args) end

---This store, for what `actor` does, as events of the client's audit say. It shares everything, and need not be
---closed.
---@param actor string a user, an administrator, a job
---@return tokenstore.RedisTokens
function RedisTokens:acting(actor) end

---Closes the client, unless it was passed in. May be called twice.
function RedisTokens:close() end

RedisTokens.createMany = RedisTokens.create_many
RedisTokens.getMany = RedisTokens.get_many
RedisTokens.deleteAll = RedisTokens.delete_all
RedisTokens.deleteById = RedisTokens.delete_by_id
RedisTokens.getById = RedisTokens.get_by_id
RedisTokens.updateById = RedisTokens.update_by_id
RedisTokens.updateAll = RedisTokens.update_all


---@class tokenstore
local tokenstore = {}

tokenstore.Client = Client
tokenstore.RedisTokens = RedisTokens
tokenstore.Sessions = require "tokenstore.sessions"
tokenstore.SpotsSessions = tokenstore.Sessions
tokenstore.Spike = require("tokenstore.spike").Spike
tokenstore.Tokenstore = require "tokenstore.node_tokens"
tokenstore.RedisJWT = require "tokenstore.redis_jwt"
tokenstore.RedisJwt = tokenstore.RedisJWT

---A callable that returns an access token, from the options of spike-get-token. One message lists all
---errors.
---@param options tokenstore.TokenCreatorOptions
---@return tokenstore.TokenCreator?
---@return string? message
---@return tokenstore.Code? code
function tokenstore.get_token_creator(options) end

tokenstore.getTokenCreator = tokenstore.get_token_creator

---Signed JSON Web Tokens: see jwt.d.lua.
---@type tokenstore.jwt
tokenstore.jwt = require "tokenstore.jwt"

---Name and version, as "tokenstore 0.1.0".
---@type string
tokenstore._VERSION = nil

---JSON's null: in data that was read, and in `update` to delete a field.
---@type tokenstore.Null
tokenstore.null = nil

---A field that is not there: in `update`'s `expect`. In its `data` it leaves the field unchanged.
---@type tokenstore.Unset
tokenstore.unset = nil

---Marks a table, or a new one, as an array, so that it remains one when it is empty.
---@generic T
---@param t? T[]
---@return T[]
function tokenstore.array(t) end

return tokenstore
