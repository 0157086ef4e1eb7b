-- Tokenstore: tokens in the format of the Node package tokenstore, so that both can share a database.
--
--     local store = tokenstore.Tokenstore("redis://localhost:6379")
--     local token = assert(store:add{ owner_id = "bob", attrs = { role = "admin" }, duration = 3600 })
--     local found = store:get_key{ key = token.key }
--
-- Options: redis, prefix, size, hash_size, max_data_size, and those of Client. A token is a table
-- { owner_id, attrs, key, id }: the key is the secret, the id is public. Further stored members are
-- included.

local core = require "tokenstore.core"
local options = require "tokenstore.options"
local store = require "tokenstore.store"

local ops = core.operations.Tokenstore

local Tokenstore = store.class("tokenstore.Tokenstore", { redis = true },
  options.kinds "Tokenstore", core.tokenstore)

-- add{ owner_id, attrs, key, duration }: a new token. `key` is stored instead of a random one.
function Tokenstore:add(args)
  return self._run(self._handle, ops.add(self._store, args))
end

-- get{ id }: the token or nil.
function Tokenstore:get(args)
  return self._run(self._handle, ops.get(self._store, args))
end

-- get_key{ key }: the token or nil.
function Tokenstore:get_key(args)
  return self._run(self._handle, ops.get_key(self._store, args))
end

-- set{ id, attrs }: replaces the attrs; everything else stored with the token, and its expiry, are
-- unchanged. False if there is none.
function Tokenstore:set(args)
  return self._run(self._handle, ops.set(self._store, args))
end

-- delete{ id }: true if it was live.
function Tokenstore:delete(args)
  return self._run(self._handle, ops.delete(self._store, args))
end

-- delete_key{ key }: true if it was live.
function Tokenstore:delete_key(args)
  return self._run(self._handle, ops.delete_key(self._store, args))
end

-- list{ owner_id }: the owner's live tokens, with their keys, in no order. Unreadable records are skipped,
-- with a warning; if there is nothing else, "data".
function Tokenstore:list(args)
  return self._run(self._handle, ops.list(self._store, args))
end

-- make_hash{ value, ttl }: stores a value under a random name, which it returns. ttl: 3600 seconds.
function Tokenstore:make_hash(args)
  return self._run(self._handle, ops.make_hash(self._store, args))
end

-- get_hash{ hash }: the value or nil.
function Tokenstore:get_hash(args)
  return self._run(self._handle, ops.get_hash(self._store, args))
end

-- take_hash{ hash }: the value or nil, once: of racing callers exactly one gets it.
function Tokenstore:take_hash(args)
  return self._run(self._handle, ops.take_hash(self._store, args))
end

-- del_hash{ hash }: true if it was live.
function Tokenstore:del_hash(args)
  return self._run(self._handle, ops.del_hash(self._store, args))
end

-- reset(), reset{ timeout }: removes every token and every hash of this prefix, by SCAN; how many tokens
-- there were. A large database needs a longer timeout than the client's.
function Tokenstore:reset(args)
  return self._run(self._handle, ops.reset(self._store, args or {}))
end

-- The names of the Node package, also with underscores.
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
