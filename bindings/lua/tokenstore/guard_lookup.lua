-- Asks a store for the session of a request's tokens; for the guard.

local cache = require "tokenstore.guard_cache"
local log = require "tokenstore.nginx_log"

local find = string.find

local reuses = log.new(ngx.WARN, "tokenstore.guard: ")

local lookup = {}

-- The results of an operation. If the token was rotated before and its store ends what followed from it
-- (reuse = "revoke"), it is not found.
function lookup.without_reused(options, result, message, code, reused)
  if code == "reused_token" then
    reuses:write(message)
    cache.forget(options.store, reused.sid)
    return nil
  end
  return result, message, code
end
local without_reused = lookup.without_reused

-- Is this session valid here?
function lookup.admits(options, session)
  return options.anonymous or session[options.kind.owner] ~= nil
end
local admits = lookup.admits

local function ask_one(options, token)
  local arguments = options.arguments -- one table for all requests: it is read before any wait
  arguments.token = token
  local session, message, code = without_reused(options, options.store:get(arguments))
  if session and not admits(options, session) then
    return nil
  end
  return session, message, code
end

-- Is it the record of this token that cannot be read? Then the server is well, and other tokens may be good.
local function is_its_own(message, code)
  local is_of_another_type = code == "server" and find(message, "WRONGTYPE", 1, true) ~= nil
  return code == "data" or code == "limit" or is_of_another_type
end
lookup.is_its_own = is_its_own

-- The first valid one of several tokens, asked for one after the other by `ask_for`. One whose record cannot
-- be read hinders no other; if none is valid, it is the result.
local function find_valid(options, tokens, ask_for)
  local problem, problem_code
  for i = 1, #tokens do
    local session, message, code = ask_for(options, tokens[i])
    if session then
      return session
    elseif message and not is_its_own(message, code) then
      return nil, message, code
    elseif message and not problem then
      problem, problem_code = message, code
    end
  end
  return nil, problem, problem_code
end

-- A list in the order of `tokens`, with false where there is none; or nil, message, code.
local function get_many(options, tokens)
  local arguments = options.arguments
  return options.store:get_many { app = arguments.app, type = arguments.type, tokens = tokens }
end
lookup.get_many = get_many

-- The same for all at once. Only unreadable records, of which there should be none, take more.
local function ask_many(options, tokens)
  local arguments = options.arguments
  local found, message, code = get_many(options, tokens)
  if not found then
    if is_its_own(message, code) then
      return find_valid(options, tokens, ask_one)
    end
    return nil, message, code
  end
  for i = 1, #tokens do
    if found[i] and admits(options, found[i]) then
      local whole = not (arguments.refresh or arguments.expiry)
      return whole and found[i] or ask_one(options, tokens[i])
    end
  end
  return nil
end

-- The session of `token`, or of the first valid one of `tokens`; nil; or nil, message, code.
function lookup.ask(options, token, tokens)
  if tokens then
    return ask_many(options, tokens)
  end
  return ask_one(options, token)
end

-- The same for RedisJWT. Only a token with a valid signature costs a round trip.
local function verify_one(options, token)
  local session, message, code = options.store:verify { token = token, value_session = true }
  if session then
    return session
  elseif code ~= "invalid_token" and code ~= "expired_token" then
    return nil, message, code
  end
  return nil
end

function lookup.verify(options, token, tokens)
  if tokens then
    return find_valid(options, tokens, verify_one)
  end
  return verify_one(options, token)
end

-- From the cache, or by `ask_store`: lookup.ask or lookup.verify.
function lookup.find(options, ask_store, token, tokens)
  if options.cache == 0 then
    return ask_store(options, token, tokens)
  end
  local key = options.cache_key .. (tokens and table.concat(tokens, "\0") or token)
  local session, message, code = cache.get(options.store, key), nil, nil
  if not session then
    local asked = cache.clock()
    session, message, code = ask_store(options, token, tokens)
    if session and not session.superseded then -- whose token is valid for a short time
      cache.set(options.store, key, session, options.cache, asked)
    end
  end
  return session, message, code
end

return lookup
