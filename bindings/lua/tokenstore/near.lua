-- near.lua - gets that the near cache answers by what was made of a record before (its views).
--
-- An answer is a copy of what the core keeps. The fields of a token are written out: that is several times
-- faster than a loop, or than C.

local find_near = require("tokenstore.core").find_near

local find_session, find_token = find_near.Sessions, find_near.RedisTokens
local getmetatable, next, setmetatable, type = getmetatable, next, setmetatable, type

local near = {}

-- A copy of data, and of the tables in it.
local function copy(data)
  local to = {}
  for key, value in next, data do
    if type(value) == "table" then
      value = copy(value)
    end
    to[key] = value
  end
  return setmetatable(to, getmetatable(data))
end

-- Gives the answer what few records have.
local function finish(answer, view)
  if view.idle then
    answer.idle, answer.seen_at = view.idle, view.seen_at
  end
  return setmetatable(answer, getmetatable(view))
end

-- May so many arguments be all that is asked? Others than those that find a token need an operation, which
-- checks them.
local function answers(store, args, count)
  if store.client.closed or type(args) ~= "table" then
    return false
  end
  local key
  for _ = 1, count do
    key = next(args, key)
    if key == nil then
      return false
    end
  end
  return next(args, key) == nil
end

-- get{ app, token } of Sessions: the session, or nil, which says nothing.
function near.session(store, args)
  if not answers(store, args, 2) then
    return nil
  end
  local token = args.token
  local view = find_session(store._store, store._near, args.app, token)
  return view and finish({
    app = view.app,
    token = token,
    id = view.id,
    owner_id = view.owner_id,
    sid = view.sid,
    created_at = view.created_at,
    data = copy(view.data),
  }, view)
end

-- get{ app, type, token } of RedisTokens: the same.
function near.token(store, args)
  if not answers(store, args, 3) then
    return nil
  end
  local token = args.token
  local view = find_token(store._store, store._near, args.app, args.type, token)
  return view and finish({
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

return near
