-- tokenstore.resty_session: a storage for lua-resty-session 4.
--
--     require("resty.session").init {
--       secret = "…", store_metadata = true, storage = "tokenstore.resty_session",
--       ["tokenstore.resty_session"] = { redis = "redis://127.0.0.1:6379" },
--     }
--
-- Options are those of RedisTokens, but max_per_owner, and:
--
--   app        of all these sessions (default "resty-session")
--   fail_open  true: if Redis cannot be reached, lua-resty-session is told so, and takes the request for one
--              without a session. By default the request ends with 503
--
-- lua-resty-session saves a session under a new key each time, and lets the old one live for a moment
-- (stale_ttl). Here each is a custom token of type "session", and the subject is its owner: Redis has the
-- digest of the cookie's name and the key. The keys of a session since it got its subject are a family, known
-- by a random name in their data:
--
--   logging out ends the family, whichever of its keys it is given
--   a save replaces a live key, or fails: what has ended meanwhile does not come back. For that the new token
--   is made first, then the old one is looked for; if it is gone, the new one is deleted again
--
-- A session without a subject has its family as its owner.

local core = require "tokenstore.core"
local lookup = require "tokenstore.guard_lookup"
local tokens = require "tokenstore.tokens"
local web = require "tokenstore.web"

local APP, TYPE = "resty-session", "session"
local ENDED = "the session has ended, or was replaced, meanwhile"
local SUBJECTS = "the audiences of the session have different subjects: set enforce_same_subject"

local Storage = {}
Storage.__index = Storage

local function encode(bytes)
  return (ngx.encode_base64(bytes):gsub("[+/=]", { ["+"] = "-", ["/"] = "_", ["="] = "" }))
end

-- No generated token has a colon: so this never looks like one.
local function token_of(name, key)
  return name .. ":" .. key
end

-- The arguments of an operation on a key, with those that are given.
function Storage:_of_key(name, key, arguments)
  arguments = arguments or {}
  arguments.app, arguments.type, arguments.token = self.app, TYPE, token_of(name, key)
  return arguments
end

-- The same of an operation on an owner.
function Storage:_of_owner(owner, arguments)
  arguments = arguments or {}
  arguments.app, arguments.type, arguments.owner = self.app, TYPE, owner
  return arguments
end

-- ---- what this request knows -------------------------------------------------------------------------

-- The sessions that this request has found or saved, by name and key: what it saves once more must still be
-- there.
local function known()
  local context = ngx.ctx
  context.tokenstore_resty_session = context.tokenstore_resty_session or {}
  return context.tokenstore_resty_session
end

local function note(name, key, token)
  known()[name .. "\0" .. key] = {
    owner = token.owner,
    family = token.data.family,
    expires_at = token.expires_at,
  }
end

local function recall(name, key)
  return known()[name .. "\0" .. key]
end

-- ---- families ----------------------------------------------------------------------------------------

-- The subject; false if there is none; nil and a message if there are several.
local function subject_of(metadata)
  local subjects = metadata and metadata.subjects or {}
  for i = 2, #subjects do
    if subjects[i] ~= subjects[1] then
      return nil, SUBJECTS
    end
  end
  return subjects[1] ~= "" and subjects[1] or false
end

-- The owner and the family of what follows from `old`, which may be nil.
local function succeed(old, subject)
  local same = old and old.owner == (subject or old.family)
  local family = same and old.family or encode(core.random(16))
  return subject or family, family
end

-- Ends all of a family; true if any was live. Or nil and a message.
local function end_family(self, owner, family)
  local found, message = self.store:list(self:_of_owner(owner))
  local any = false
  for _, token in ipairs(found or {}) do
    if token.data.family == family then
      local ended
      ended, message = self.store:delete_by_id(self:_of_owner(owner, { id = token.id }))
      if message then
        break
      end
      any = any or ended
    end
  end
  if message then
    return nil, message
  end
  return any
end

-- ---- the interface of lua-resty-session --------------------------------------------------------------

-- get(name, key): the value; nil if there is none, or nil and a message.
function Storage:get(name, key)
  local token, message = self.store:get(self:_of_key(name, key, { expiry = true }))
  if token then
    note(name, key, token)
    return token.data.value
  elseif message and not self.fail_open then
    return web.exit(web.unavailable(message))
  end
  return nil, message
end

-- Replaces the value. lua-resty-session does that to save `session.info`; the session lives as long as
-- before.
local function save_again(self, name, key, value)
  local token, message = self.store:update(self:_of_key(name, key, { data = { value = value } }))
  if not token then
    return nil, message or ENDED
  end
  return true
end

-- The session that is to be replaced; nil if it has ended, or nil and a message.
local function find_old(self, name, key)
  local old = recall(name, key)
  if old then
    return old
  end
  local token, message = self.store:get(self:_of_key(name, key, { expiry = true }))
  if token then
    note(name, key, token)
  end
  return token and recall(name, key), message
end

-- Lets the replaced session live for `seconds` at most, by the server's time `now`. True if it is still
-- there; or nil and a message.
local function retire(self, name, key, old, seconds, now)
  local arguments = self:_of_key(name, key)
  if seconds < 1 then -- the shortest that a token lives
    return self.store:delete(arguments)
  elseif old.expires_at and old.expires_at - now <= seconds then
    local token, message = self.store:get(arguments)
    return token ~= nil, message
  end
  arguments.duration = seconds
  return self.store:refresh(arguments)
end

-- set(name, key, value, ttl, current_time, old_key, stale_ttl, metadata): true; or nil and a message.
function Storage:set(name, key, value, ttl, _, old_key, stale_ttl, metadata)
  if not old_key and recall(name, key) then
    return save_again(self, name, key, value)
  end
  local subject, message = subject_of(metadata)
  if message then
    return nil, message
  end
  local old
  if old_key then
    old, message = find_old(self, name, old_key)
    if not old then
      return nil, message or ENDED
    end
  end
  local owner, family = succeed(old, subject)
  local made
  made, message = self.store:create(self:_of_owner(owner, {
    custom_token = token_of(name, key),
    data = { value = value, family = family, name = name },
    duration = ttl,
    request = { address = ngx.var.remote_addr, user_agent = ngx.var.http_user_agent },
  }))
  if not made then
    return nil, message
  end
  note(name, key, made)
  if old then
    local still
    still, message = retire(self, name, old_key, old, stale_ttl or 0, made.created_at)
    if not still then
      self.store:delete(self:_of_key(name, key))
      return nil, message or ENDED
    end
  end
  return true
end

-- delete(name, key): true; or nil and a message.
function Storage:delete(name, key)
  local arguments = self:_of_key(name, key)
  local token, message, code = self.store:take(arguments)
  if token then
    message = select(2, end_family(self, token.owner, token.data.family))
  elseif message and lookup.is_its_own(message, code) then
    message = select(2, self.store:delete(arguments)) -- its record cannot be read
  end
  return not message or nil, message
end

-- ---- the sessions of a subject -----------------------------------------------------------------------

-- lua-resty-session encodes a subject; 4.1 not if the session has several audiences.
local function spellings(subject)
  return { encode(subject), subject }
end

-- list(subject): its sessions, newest first, as of RedisTokens:list, with the cookie's `name` in the place of
-- the data; or nil and a message.
function Storage:list(subject)
  local sessions = {}
  for _, owner in ipairs(spellings(subject)) do
    local found, message = self.store:list(self:_of_owner(owner))
    if message then
      return nil, message
    end
    local seen = {}
    for _, token in ipairs(found) do
      local family = token.data.family
      if not seen[family] then -- the others are about to end
        seen[family] = true
        token.name, token.data = token.data.name, nil
        sessions[#sessions + 1] = token
      end
    end
  end
  return sessions
end

-- end_one(subject, id): ends a session of the listing; true if it was live. Or nil and a message.
function Storage:end_one(subject, id)
  for _, owner in ipairs(spellings(subject)) do
    local token, message = self.store:get_by_id(self:_of_owner(owner, { id = id }))
    if message then
      return nil, message
    elseif token then
      return end_family(self, owner, token.data.family)
    end
  end
  return false
end

-- end_all(subject, keep): ends its sessions, whatever the name of their cookie, so that no "remember me" is
-- left; but `keep`, { name, key }. How many keys were live; or nil and a message.
function Storage:end_all(subject, keep)
  local count = 0
  for _, owner in ipairs(spellings(subject)) do
    local arguments = self:_of_owner(owner, { keep = keep and token_of(keep.name, keep.key) })
    local ended, message = self.store:delete_all(arguments)
    if message then
      return nil, message
    end
    count = count + ended
  end
  return count
end

-- ---- the module --------------------------------------------------------------------------------------

local resty_session = {}

local function fail(message)
  error("tokenstore.resty_session: " .. message, 0)
end

-- Takes an option out of the table.
local function take(options, name, wanted, default)
  local value = options[name]
  if value == nil then
    return default
  elseif type(value) ~= wanted then
    fail(("bad option '%s' (%s expected, got %s)"):format(name, wanted, type(value)))
  end
  options[name] = nil
  return value
end

-- new(options): a storage. It raises an error for a wrong option: without a storage, lua-resty-session would
-- put its sessions into the cookie.
function resty_session.new(given)
  local options = {}
  for name, value in next, given or {} do
    options[name] = value
  end
  local app, fail_open = take(options, "app", "string", APP), take(options, "fail_open", "boolean", false)
  if options.max_per_owner or options.maxPerOwner then
    -- The first save at the limit would end the session that it replaces, and so itself.
    fail "bad option 'max_per_owner' (a session has several tokens here: use list and end_one)"
  end
  local store, message = tokens(options)
  if not store then
    fail(message)
  end
  return setmetatable({ store = store, app = app, fail_open = fail_open }, Storage)
end

return resty_session
