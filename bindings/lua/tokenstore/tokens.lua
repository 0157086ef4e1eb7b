-- RedisTokens: opaque tokens with an owner and data.
--
--     local tokens = tokenstore.RedisTokens{ redis = "redis://localhost:6379", prefix = "shop" }
--
-- Options: redis, prefix, token_size, token_encoding, pepper, max_age, touch_interval, max_per_owner,
-- when_full, max_data_size, and those of Client. Arguments, values and options are explained in
-- tokenstore.d.lua.
--
-- Each method creates an operation in C and passes it to the client's `run`; if that failed, `run` returns
-- its nil, message, code.

local core = require "tokenstore.core"
local near = require "tokenstore.near"
local options = require "tokenstore.options"
local request = require "tokenstore.request"
local store = require "tokenstore.store"

local ops = core.operations.RedisTokens

local RedisTokens = store.class("tokenstore.RedisTokens", { redis = true },
  options.kinds "RedisTokens", core.redis_tokens)

-- create{ app, type, owner, data, duration, custom_token, idle, request }: a new token, its secret in .token.
-- Without an owner it is anonymous. With `idle` it ends if it is not used for so long; a get with refresh =
-- true is a use. `request` is { address, user_agent }; bytes that are not UTF-8 are read as Latin-1.
function RedisTokens:create(args)
  return self._run(self._handle, ops.create(self._store, request.within(args)))
end

-- create_many{ { app = …, … }, … }: a list of tokens, in order; all or none.
function RedisTokens:create_many(list_of_args)
  return self._run(self._handle, ops.create_many(self._store, request.within_each(list_of_args)))
end

-- get{ app, type, token, refresh, expiry }: the token or nil. `refresh` slides its expiry, with true by
-- its own idle time, and never shortens it: a token that lives longer, or has no expiry, is unchanged.
-- `expiry` fills in expires_at.
function RedisTokens:get(args)
  local found = self._near and near.token(self, args)
  if found then
    return found
  end
  return self._run(self._handle, ops.get(self._store, args))
end

-- get_many{ app, type, tokens = { … } }: a list in the given order, with false where there is none.
function RedisTokens:get_many(args)
  return self._run(self._handle, ops.get_many(self._store, args))
end

-- get_by_id{ app, type, owner, id }: a token of a listing, with expires_at and without the secret; or nil.
function RedisTokens:get_by_id(args)
  return self._run(self._handle, ops.get_by_id(self._store, args))
end

-- refresh{ app, type, token, duration }: true if the token now expires `duration` from now, earlier or
-- later than before.
function RedisTokens:refresh(args)
  return self._run(self._handle, ops.refresh(self._store, args))
end

-- update{ app, type, token, data, unset, keep_null, replace, expect, refresh }: sets the fields in data,
-- deletes those that are tokenstore.null and those named in unset; the updated token or nil. The expiry is
-- unchanged without `refresh`. If fields are not as in `expect`, nothing is changed: "conflict".
function RedisTokens:update(args)
  return self._run(self._handle, ops.update(self._store, args))
end

-- update_by_id{ app, type, owner, id, … }: as update, for a token of a listing; without the secret.
function RedisTokens:update_by_id(args)
  return self._run(self._handle, ops.update_by_id(self._store, args))
end

-- update_all{ app, type, owner, data }: sets fields in the data of all live tokens, in one step; how many
-- there are. Unreadable records are skipped, with a warning; if there is nothing else, "data".
function RedisTokens:update_all(args)
  return self._run(self._handle, ops.update_all(self._store, args))
end

-- take{ app, type, token }: the token, which is ended: exactly one caller gets it, all others nil.
function RedisTokens:take(args)
  return self._run(self._handle, ops.take(self._store, args))
end

-- delete{ app, type, token }: true if it was live.
function RedisTokens:delete(args)
  return self._run(self._handle, ops.delete(self._store, args))
end

-- delete_all{ app, type, owner, keep }: how many were live. `keep` is a token or an id of this owner that
-- stays and is not counted; if it is not live, or nil, all are ended.
function RedisTokens:delete_all(args)
  return self._run(self._handle, ops.delete_all(self._store, args))
end

-- delete_by_id{ app, type, owner, id }: ends a token of a listing; true if it was live.
function RedisTokens:delete_by_id(args)
  return self._run(self._handle, ops.delete_by_id(self._store, args))
end

-- count{ app, type, owner }: how many live tokens the owner has.
function RedisTokens:count(args)
  return self._run(self._handle, ops.count(self._store, args))
end

-- list{ app, type, owner, limit, after }: the owner's live tokens, newest first, without secrets. In pages:
-- at most `limit`, following the one whose id is `after`. Unreadable records are skipped, with a warning; if
-- there is nothing else, "data".
function RedisTokens:list(args)
  return self._run(self._handle, ops.list(self._store, args))
end

-- rotate{ app, type, token, duration, grace, owner, data }: a token with a new secret, the same data and sid;
-- the old one is invalid; nil if there is none. For `grace` seconds the old one still finds the new one, and
-- gives the very same when it is rotated again. `owner` makes an anonymous token this owner's; `data` is set
-- as by update.
function RedisTokens:rotate(args)
  return self._run(self._handle, ops.rotate(self._store, args))
end

RedisTokens.createMany = RedisTokens.create_many
RedisTokens.getMany = RedisTokens.get_many
RedisTokens.deleteAll = RedisTokens.delete_all
RedisTokens.deleteById = RedisTokens.delete_by_id
RedisTokens.getById = RedisTokens.get_by_id
RedisTokens.updateById = RedisTokens.update_by_id
RedisTokens.updateAll = RedisTokens.update_all

return RedisTokens
