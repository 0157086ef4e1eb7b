-- The functions of the guard that change the session of a request, and set its cookie: login, rotate, logout.

local cache = require "tokenstore.guard_cache"
local core = require "tokenstore.core"
local guard_options = require "tokenstore.guard_options"
local lookup = require "tokenstore.guard_lookup"
local set_cookie = require "tokenstore.set_cookie"
local web = require "tokenstore.web"
local who = require "tokenstore.request"

-- What is returned: the caller can do something about it. Anything else is a 503.
local REFUSALS = { configuration = true, data = true, limit = true }

local login = {}

-- ---- arguments -------------------------------------------------------------------------------------

-- The type of each argument; the owner's is added.
local LOGIN = { data = "table", duration = "number", idle = "number", max_age = "number", request = "table" }
local ROTATE = { duration = "number", grace = "number", max_age = "number" }

local GRACE = 10 -- seconds: the other requests of a page, or a browser that did not get the answer

-- Prepares the options, checks the arguments of a call, and removes the request's headers that only the guard
-- may set. Errors point `level` functions up.
local function prepare(given, args, kinds, level)
  local options = guard_options.prepare_cookie(given, level + 1)
  if type(args) ~= "table" then
    error("bad argument #2 (table expected, got " .. type(args) .. ")", level + 1)
  end
  for name, value in next, args do
    local wanted = kinds[name] or (kinds == LOGIN and name == options.kind.owner and "string")
    if not wanted then
      error(("unknown argument '%s'"):format(tostring(name)), level + 1)
    elseif type(value) ~= wanted and not (name == "max_age" and value == false) then
      error(("bad argument '%s' (%s expected, got %s)"):format(name, wanted, type(value)), level + 1)
    end
  end
  if args.max_age and not (args.max_age >= 1 and args.max_age < 1e10) then
    error("bad argument 'max_age' (at least 1 second, or false)", level + 1)
  elseif ngx.headers_sent then
    error("the response's headers, and so its cookies, have been sent already", level + 1)
  end
  web.drop_headers(options)
  return options
end

-- ---- operations ------------------------------------------------------------------------------------

local function make(options, name, args)
  args.app, args.type = options.arguments.app, options.arguments.type
  return options.kind.operations[name](options.store._store, args)
end

local function run(options, operation, message, code)
  local store = options.store
  return lookup.without_reused(options, store._run(store._handle, operation, message, code))
end

-- As run, for a session that begins or goes on: it is worth more than the promise that replicas have it.
local function run_anyway(options, operation)
  local store = options.store
  local session, message, code, detail = store._run(store._handle, operation)
  if code == "not_replicated" then
    web.log(message)
    return detail.result
  end
  return lookup.without_reused(options, session, message, code, detail)
end

-- Ends the session of this token, also one whose record cannot be read. True if it was live, or nil, message.
local function finish(options, token)
  local session, message, code = run(options, make(options, "take", { token = token }))
  if message and lookup.is_its_own(message, code) then
    session, message = run(options, make(options, options.kind.delete, { token = token }))
  end
  if message then
    return nil, message
  elseif session then
    cache.forget(options.store, session ~= true and session.sid or nil)
  end
  return session and true or false
end

-- The live sessions of these tokens; those whose records cannot be read have nothing but `token`. Or nil,
-- message, code.
local function find_live(options, tokens)
  local found, message, code
  if tokens[2] then
    found, message, code = lookup.get_many(options, tokens)
  end
  if not tokens[2] or not found and lookup.is_its_own(message, code) then
    found = {}
    for i, token in ipairs(tokens) do
      found[i], message, code = run(options, make(options, "get", { token = token }))
      if message and not lookup.is_its_own(message, code) then
        return nil, message, code
      end
      found[i] = found[i] or message and { token = token } or false
    end
  end
  if not found then
    return nil, message, code
  end
  local live = {}
  for i = 1, #found do
    live[#live + 1] = found[i] or nil
  end
  return live
end

-- ---- the cookie ------------------------------------------------------------------------------------

-- For how many seconds browsers keep the cookie; nil: until they close. A session that each request slides
-- has no end that is known now.
local function max_age_of(options, args, left)
  if args.max_age ~= nil then
    return args.max_age or nil
  elseif type(options.arguments.refresh) == "number" then
    return nil
  end
  return args.duration or left
end

local function send_cookie(options, value, max_age)
  local name, attributes = options.cookie, options.cookie_attributes
  local line = set_cookie.line(name, value, attributes, max_age)
  ngx.header["Set-Cookie"] = set_cookie.add(ngx.header["Set-Cookie"], line, name, attributes)
  ngx.header["Cache-Control"] = "no-store"
end

-- The session of this request is now this one, here, at the upstream and in the browser.
local function take_on(options, session, max_age)
  web.exit(web.set_headers(options, session))
  web.put_cookie(options, session.token)
  send_cookie(options, session.token, max_age)
  return session
end

-- ---- login -----------------------------------------------------------------------------------------

-- The data of an anonymous session with the new data, as by update.
local function merge(old, new)
  local merged = {}
  for name, value in next, old do
    merged[name] = value
  end
  for name, value in next, new or {} do
    merged[name] = value ~= core.null and value or nil
  end
  return merged
end

local function make_session(options, args, data)
  local owner = options.kind.owner
  return make(options, "create", who.within {
    [owner] = args[owner],
    data = data,
    duration = args.duration,
    idle = args.idle,
    request = args.request or { address = ngx.var.remote_addr, user_agent = ngx.var.http_user_agent },
  })
end

-- The first anonymous session of a list, which is taken out of it; nil if there is none.
local function take_out_anonymous(options, sessions)
  for i, session in ipairs(sessions) do
    if session.data and not session[options.kind.owner] then
      return table.remove(sessions, i)
    end
  end
  return nil
end

-- login(options, { owner_id, data, duration, idle, request, max_age }): a new session for this owner, and its
-- cookie. The sessions of the old cookie end: whoever knew it does not know the new one. If one was anonymous
-- its data moves to the new session.
function login.login(given, args)
  local options = prepare(given, args, LOGIN, 2)
  local owner = options.kind.owner
  if not args[owner] then
    error(("bad argument '%s' (string expected, got nil)"):format(owner), 2)
  end
  local old, message = find_live(options, web.find_in_cookies(options))
  if not old then
    return web.exit(web.unavailable(message))
  end
  local visitor = take_out_anonymous(options, old)
  local operation, code
  local data = visitor and merge(visitor.data, args.data) or args.data
  operation, message, code = make_session(options, args, data)
  if not operation then
    return nil, message, code -- before anything has ended
  end
  for _, session in ipairs(old) do
    local known = false
    if not visitor or session.sid ~= visitor.sid then
      known, message = finish(options, session.token)
    end
    if known == nil then
      return web.exit(web.unavailable(message))
    end
  end
  local session
  session, message, code = run_anyway(options, operation)
  if not session then
    if REFUSALS[code] then
      return nil, message, code
    end
    return web.exit(web.unavailable(message))
  end
  if visitor then
    local known
    known, message = finish(options, visitor.token)
    if known == nil then -- it has no owner, and expires
      web.log(message)
    end
  end
  return take_on(options, session, max_age_of(options, args))
end

-- ---- rotate ----------------------------------------------------------------------------------------

-- Seconds until the session ends; nil if it does not, or if that depends on its use.
local function time_left(options, session)
  if session.idle or not session.expires_at then
    return nil
  end
  local now = cache.server_time(options.store)
  return now and math.max(1, session.expires_at - now)
end

local function make_rotation(options, args, token)
  local grace = args.grace or GRACE
  return make(options, "rotate", { token = token, duration = args.duration, grace = grace })
end

-- rotate(options, { grace, duration, max_age }): the session of the request has a new token from now on, and
-- the cookie too. For `grace` seconds (default 10) the old one is still valid, and every rotation of it sends
-- the same new one. A token in the Authorization header stays: its client would not learn the new one.
function login.rotate(given, args)
  args = args == nil and {} or args
  local options = prepare(given, args, ROTATE, 2)
  local good, fault = make_rotation(options, args, "")
  if not good then
    error("bad argument: " .. fault, 2) -- nil would let the request pass
  end
  local token, tokens, from_header = web.find_tokens(options)
  local session, message, code
  if token and token ~= "" and #token <= options.kind.token_max then
    session, message, code = lookup.ask(options, token, tokens)
  end
  if session and from_header then
    return web.exit(web.set_headers(options, session)) or session
  elseif session then
    session, message, code = run_anyway(options, make_rotation(options, args, session.token))
  end
  if not session then
    return web.exit(web.refuse(options, token, from_header, message, code))
  end
  cache.forget(options.store, session.sid)
  return take_on(options, session, max_age_of(options, args, time_left(options, session)))
end

-- ---- logout ----------------------------------------------------------------------------------------

-- All tokens of the request, from the header and from cookies.
local function find_all_tokens(options)
  local all = web.find_in_cookies(options)
  local token, tokens, from_header = web.find_tokens(options)
  for _, one in ipairs(from_header and (tokens or { token }) or {}) do
    if one ~= "" and #one <= options.kind.token_max then
      all[#all + 1] = one
    end
  end
  return all
end

-- logout(options): ends the sessions of all tokens of the request, and deletes the cookie. True if one was
-- live. The cookie stays if that failed.
function login.logout(given)
  local options = prepare(given, {}, ROTATE, 2)
  local live, message = find_live(options, find_all_tokens(options))
  local ended = false
  for _, session in ipairs(live or {}) do
    local known
    known, message = finish(options, session.token)
    if message then
      break
    end
    ended = ended or known
  end
  if message then
    return web.exit(web.unavailable(message))
  end
  web.put_cookie(options, nil)
  send_cookie(options, "", 0)
  return ended
end

return login
