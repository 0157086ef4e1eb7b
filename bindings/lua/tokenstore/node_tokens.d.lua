---@meta tokenstore.node_tokens

-- Types of tokenstore.Tokenstore for LuaLS (lua-language-server). Never loaded. tests/lua/test_types.lua
-- compares it with what the module has.

---A token of the Node package tokenstore; further stored members are included.
---@class tokenstore.NodeToken
---@field owner_id string
---@field attrs tokenstore.Data
---@field key string the secret
---@field id string public: the key cannot be derived from it

---@class tokenstore.TokenstoreOptions: tokenstore.ClientOptions
---@field redis? string|tokenstore.Client
---@field prefix? string prefix of the keys in Redis (default "token"); on a cluster it needs a hash tag: "{token}"
---@field size? integer characters of a key, 8 … 256 (default 24)
---@field hash_size? integer bytes of randomness in a hash, 8 … 64 (default 16)
---@field max_data_size? integer bytes of the attrs as JSON, and of a hashed value (default 65536)
---@field wait_replicas? integer a change counts as done when so many replicas have it (default 0); else "not_replicated"
---@field wait_fsync? boolean … when it is on the disk of the primary, and of wait_replicas replicas (Redis 7.2)
---@field wait_timeout? number seconds to wait for that (default 1)

---@class tokenstore.NodeAddArgs
---@field owner_id tokenstore.Name 1 … 1024 bytes of UTF-8 without NUL, as is key
---@field attrs? tokenstore.Data
---@field key? string this instead of a random one; `size` characters
---@field duration? number seconds, 1 … 315360000; none: no expiry

---@class tokenstore.NodeIdArgs
---@field id? tokenstore.Name nil is not found

---@class tokenstore.NodeDeleteArgs: tokenstore.NodeIdArgs
---@field wait_replicas? integer at least so many replicas, if the store has fewer

---@class tokenstore.NodeKeyArgs
---@field key? string nil is not found

---@class tokenstore.NodeDeleteKeyArgs: tokenstore.NodeKeyArgs
---@field wait_replicas? integer at least so many replicas, if the store has fewer

---@class tokenstore.NodeSetArgs
---@field id? tokenstore.Name nil is not found
---@field attrs tokenstore.Data

---@class tokenstore.NodeOwnerArgs
---@field owner_id tokenstore.Name

---@class tokenstore.NodeMakeHashArgs
---@field value string any bytes
---@field ttl? number seconds (default 3600)

---@class tokenstore.NodeHashArgs
---@field hash? string nil is not found

---@class tokenstore.NodeResetArgs
---@field timeout? number seconds; instead of the client's

---Tokens in the format of the Node package tokenstore, so that both can share a database.
---@class tokenstore.Tokenstore
---@field client tokenstore.Client
---@overload fun(redis?: string|tokenstore.Client, options?: tokenstore.TokenstoreOptions): tokenstore.Tokenstore?, string?, tokenstore.Code?
---@overload fun(options: tokenstore.TokenstoreOptions): tokenstore.Tokenstore?, string?, tokenstore.Code?
local Tokenstore = {}

---Creates a token. Its key is the secret, its id is public.
---@param args tokenstore.NodeAddArgs
---@return tokenstore.NodeToken?
---@return string? message
---@return tokenstore.Code? code
function Tokenstore:add(args) end

---Finds a token by its id; nil if there is none. Two round trips.
---@param args tokenstore.NodeIdArgs
---@return tokenstore.NodeToken?
---@return string? message
---@return tokenstore.Code? code
function Tokenstore:get(args) end

---Finds a token by its key; nil if there is none. One round trip.
---@param args tokenstore.NodeKeyArgs
---@return tokenstore.NodeToken?
---@return string? message
---@return tokenstore.Code? code
function Tokenstore:get_key(args) end

---Replaces the attrs; everything else stored with the token, and its expiry, are unchanged. False if there
---is none.
---@param args tokenstore.NodeSetArgs
---@return boolean?
---@return string? message
---@return tokenstore.Code? code
function Tokenstore:set(args) end

---Ends a token by its id. True when it was live.
---@param args tokenstore.NodeDeleteArgs
---@return boolean?
---@return string? message
---@return tokenstore.Code? code
function Tokenstore:delete(args) end

---Ends a token by its key. True when it was live.
---@param args tokenstore.NodeDeleteKeyArgs
---@return boolean?
---@return string? message
---@return tokenstore.Code? code
function Tokenstore:delete_key(args) end

---The owner's live tokens, with their keys, in no order. Three round trips. Ids without a token are dropped.
---Unreadable records are skipped, with a warning to the logger; if there is nothing else, "data".
---@param args tokenstore.NodeOwnerArgs
---@return tokenstore.NodeToken[]?
---@return string? message
---@return tokenstore.Code? code
function Tokenstore:list(args) end

---Stores a value under a random name, for a link in a mail for instance. Returns the name.
---@param args tokenstore.NodeMakeHashArgs
---@return string?
---@return string? message
---@return tokenstore.Code? code
function Tokenstore:make_hash(args) end

---The value; nil if there is none.
---@param args tokenstore.NodeHashArgs
---@return string?
---@return string? message
---@return tokenstore.Code? code
function Tokenstore:get_hash(args) end

---The value, once: of racing callers exactly one gets it.
---@param args tokenstore.NodeHashArgs
---@return string?
---@return string? message
---@return tokenstore.Code? code
function Tokenstore:take_hash(args) end

---Ends a hash. True when it was live.
---@param args tokenstore.NodeHashArgs
---@return boolean?
---@return string? message
---@return tokenstore.Code? code
function Tokenstore:del_hash(args) end

---Removes every token and every hash of this prefix, by SCAN; how many tokens there were. A large database
---needs a longer timeout than the client's. If it fails midway, call it again.
---@param args? tokenstore.NodeResetArgs
---@return integer?
---@return string? message
---@return tokenstore.Code? code
function Tokenstore:reset(args) end

---This store, for what `actor` does, as events of the client's audit say. It shares everything, and need not be
---closed.
---@param actor string a user, an administrator, a job
---@return tokenstore.Tokenstore
function Tokenstore:acting(actor) end

---Closes the client, unless it was passed in. May be called twice.
function Tokenstore:close() end

Tokenstore.del = Tokenstore.delete
Tokenstore.del_key = Tokenstore.delete_key
Tokenstore.set_attrs = Tokenstore.set
Tokenstore.setAttrs = Tokenstore.set
Tokenstore.getKey = Tokenstore.get_key
Tokenstore.delKey = Tokenstore.delete_key
Tokenstore.deleteKey = Tokenstore.delete_key
Tokenstore.makeHash = Tokenstore.make_hash
Tokenstore.getHash = Tokenstore.get_hash
Tokenstore.takeHash = Tokenstore.take_hash
Tokenstore.delHash = Tokenstore.del_hash
Tokenstore.quit = Tokenstore.close

return Tokenstore
