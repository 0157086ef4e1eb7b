-- Sessions: login sessions of an application's users; RedisTokens with the vocabulary of sessions.
--
--     local sessions = tokenstore.Sessions("redis://localhost:6379")
--     local token = assert(sessions:create{ app = "web", owner_id = "bob", duration = 3600 })
--     local session = sessions:get{ app = "web", token = token, refresh = 3600 }
--
-- Options are those of RedisTokens; `redis` may be called connection_string. A session is a token of type
-- "session": with the same prefix and pepper, both classes see the same sessions.

local core = require "tokenstore.core"
local near = require "tokenstore.near"
local options = require "tokenstore.options"
local request = require "tokenstore.request"
local store = require "tokenstore.store"

local ops = core.operations.Sessions
local REDIS_NAMES = { redis = true, connection_string = true }

local Sessions = store.class("tokenstore.Sessions", REDIS_NAMES, options.kinds "Sessions", core.sessions)

-- The token of a session, and what comes with a failure.
local function secret_of(session, ...)
  if session then
    return session.token
  end
  return session, ...
end

-- Whether a session was found, or any was ended; and what comes with a failure.
local function is_there(found, message, ...)
  if message then
    return nil, message, ...
  end
  return found ~= nil and found ~= 0
end

-- create{ app, owner_id, data, duration, idle, request }: the token for the user.
function Sessions:create(args)
  return secret_of(self._run(self._handle, ops.create(self._store, request.within(args))))
end

-- get{ app, token, refresh, expiry }: the session or nil.
function Sessions:get(args)
  local found = self._near and near.session(self, args)
  if found then
    return found
  end
  return self._run(self._handle, ops.get(self._store, args))
end

-- get_many{ app, tokens = { … } }: a list in the order asked, with false where there is none.
function Sessions:get_many(args)
  return self._run(self._handle, ops.get_many(self._store, args))
end

-- get_by_id{ app, owner_id, id }: a session of a listing, with expires_at and without the token; or nil.
function Sessions:get_by_id(args)
  return self._run(self._handle, ops.get_by_id(self._store, args))
end

-- refresh{ app, token, duration }: true if the session now expires `duration` from now.
function Sessions:refresh(args)
  return self._run(self._handle, ops.refresh(self._store, args))
end

-- update{ app, token, data, unset, keep_null, replace, expect, refresh }: sets the fields named in data,
-- deletes those that are tokenstore.null; true if the session was found. The others as RedisTokens:update.
function Sessions:update(args)
  return is_there(self._run(self._handle, ops.update(self._store, args)))
end

-- update_by_id{ app, owner_id, id, … }: as update, for a session of a listing.
function Sessions:update_by_id(args)
  return is_there(self._run(self._handle, ops.update_by_id(self._store, args)))
end

-- update_all{ app, owner_id, data }: sets fields in the data of all live sessions, in one step; how many
-- there are.
function Sessions:update_all(args)
  return self._run(self._handle, ops.update_all(self._store, args))
end

-- take{ app, token }: the session, which is ended: exactly one caller gets it, all others nil.
function Sessions:take(args)
  return self._run(self._handle, ops.take(self._store, args))
end

-- kill{ app, token }: true if it was live.
function Sessions:kill(args)
  return self._run(self._handle, ops.kill(self._store, args))
end

-- kill_all{ app, owner_id, keep }: true if any was ended. `keep` is a token or an id of this user that
-- stays; if it is not live, or nil, all are ended.
function Sessions:kill_all(args)
  return is_there(self._run(self._handle, ops.kill_all(self._store, args)))
end

-- kill_by_id{ app, owner_id, id }: ends a session of a listing; true if it was live.
function Sessions:kill_by_id(args)
  return self._run(self._handle, ops.kill_by_id(self._store, args))
end

-- count{ app, owner_id }: how many live sessions the user has.
function Sessions:count(args)
  return self._run(self._handle, ops.count(self._store, args))
end

-- list{ app, owner_id, limit, after }: the user's live sessions, newest first, without the tokens. In
-- pages, and without unreadable records, as RedisTokens.
function Sessions:list(args)
  return self._run(self._handle, ops.list(self._store, args))
end

-- rotate{ app, token, duration, grace, owner_id, data }: the session's new token, the old one is invalid; nil
-- if there is none. As of RedisTokens.
function Sessions:rotate(args)
  return secret_of(self._run(self._handle, ops.rotate(self._store, args)))
end

Sessions.getMany = Sessions.get_many
Sessions.killAll = Sessions.kill_all
Sessions.killById = Sessions.kill_by_id
Sessions.getById = Sessions.get_by_id
Sessions.updateById = Sessions.update_by_id
Sessions.updateAll = Sessions.update_all

return Sessions
