-- near.lua - gets that the near cache answers by what was made of a record before (its views).
--
-- An answer is a copy of what the core keeps. The fields of a token are written out: that is several times
-- faster than a loop, or than C.

local copy = require "tokenstore.near_copy"
local find = require "tokenstore.near_view"
local session_type = require("tokenstore.core").session_type

local getmetatable, next, setmetatable, type = getmetatable, next, setmetatable, type

local near = {}

-- Gives the answer what few records have.
local function finish(answer, view)
  if view.idle then
    answer.idle, answer.seen_at = view.idle, view.seen_at
  end
  return setmetatable(answer, getmetatable(view))
end

-- Are there just two fields, after this one? Written out: LuaJIT does not compile loops whose lengths differ.
local function has_two(args, key)
  key = next(args, key)
  key = key ~= nil and next(args, key)
  return key and next(args, key) == nil
end

-- What is kept of this token: a session or token without its token, which is nobody's to change; or nil,
-- which says nothing.
function near.view(store, app, kind, token)
  return not store.client.closed and find(store._store, app, kind, token) or nil
end

-- The session of this view, which its caller may change.
function near.copy_session(view, token)
  return finish({
    app = view.app,
    token = token,
    id = view.id,
    owner_id = view.owner_id,
    sid = view.sid,
    created_at = view.created_at,
    data = copy(view.data),
  }, view)
end

-- get{ app, token } of Sessions: the session, or nil, which says nothing. Arguments other than those that
-- find a token need an operation, which checks them.
function near.session(store, args)
  if type(args) == "table" and has_two(args) then
    local view = near.view(store, args.app, session_type, args.token)
    return view and near.copy_session(view, args.token)
  end
  return nil
end

function near.copy_token(view, token)
  return finish({
    app = view.app,
    type = view.type,
    token = token,
    id = view.id,
    owner = view.owner,
    sid = view.sid,
    created_at = view.created_at,
    data = copy(view.data),
  }, view)
end

-- The same for get{ app, type, token } of RedisTokens.
function near.token(store, args)
  local first = type(args) == "table" and next(args)
  if first and has_two(args, first) then
    local view = near.view(store, args.app, args.type, args.token)
    return view and near.copy_token(view, args.token)
  end
  return nil
end

return near
