-- tokenstore.web: what the guard and the plugins for Kong and APISIX share: the tokens of a request, the
-- headers for the upstream, and the answer to a request without a session.
--
-- Nothing but `exit` ends a request: a refusal is a value, { status, message, headers }, because each gateway
-- sends responses in its own way. It also has its own way to change a header of the request: `set`, a
-- function of name and value, which nil removes; by default ngx.req.set_header.

local cookie = require "tokenstore.cookie"
local core = require "tokenstore.core"
local log = require "tokenstore.nginx_log"
local lookup = require "tokenstore.guard_lookup"
local near = require "tokenstore.near"
local request_headers = require "tokenstore.nginx_headers"

local byte = string.byte
local set_header = ngx.req.set_header

local RETRY_AFTER = 1 -- seconds, in the 503 response

local failures = log.new(ngx.ERR, "tokenstore.guard: ")

local web = {}

-- The text after the scheme Bearer, "" if empty; nil for another scheme. A proxy may have joined several
-- headers.
local function read_bearer(header)
  local lower = header:lower()
  local from = lower:match "^[ \t]*bearer()" or lower:match ",[ \t]*bearer()[ \t]"
  if not from or header:find("^[^ \t]", from) then
    return nil
  end
  return header:match("^[ \t]*(.-)[ \t]*$", from)
end

local function read_cookies(count)
  return request_headers.find(count, "cookie", "; ")
end

-- The values of the cookie.
function web.find_in_cookies(options)
  local header = read_cookies(request_headers.read())
  return header and cookie.read(header, options.cookie, options.kind.token_max) or {}
end

-- For all that follows in this request, here and at the upstream, the cookie has this value; nil: there is
-- none.
function web.put_cookie(options, value)
  local header = cookie.replace(read_cookies(request_headers.read()) or "", options.cookie, value)
  set_header("Cookie", header ~= "" and header or nil)
end

-- The token of the request, a list if there are several, and whether they are from the Authorization header,
-- where one may be empty. `count`: of request_headers.read, if that was done just now.
function web.find_tokens(options, count)
  count = count or request_headers.read()
  local token = request_headers.bearer(count)
  if token then
    return token, nil, true
  end
  local header = request_headers.find(count, "authorization", ", ")
  if header then
    token = read_bearer(header)
    if token then
      local first = token:match "^([^, \t]+)[ \t]*,"
      return token, first and { token, first }, true
    end
  end
  header = options.cookie and read_cookies(count)
  if not header then
    return nil
  end
  local plain = cookie.read_plain(header, options.cookie, options.kind.token_max)
  if plain then
    return plain, nil, false
  end
  local tokens = cookie.read(header, options.cookie, options.kind.token_max)
  return tokens[1], tokens[2] and tokens, false
end

-- RFC 6750, 2.1: the syntax of a token in the header.
local function is_well_formed(token)
  return token:find "^[%w%-._~+/]+=*$" ~= nil
end

local function deny(status, options, problem, message)
  local challenge = 'Bearer realm="' .. options.realm .. '"'
  if problem then
    challenge = ('%s, error="%s", error_description="%s"'):format(challenge, problem, message)
  end
  local headers = { ["WWW-Authenticate"] = challenge, ["Cache-Control"] = "no-store" }
  return { status = status, message = message, headers = headers }
end

-- Writes a line to the log, or suppresses it.
function web.log(message)
  failures:write(message)
end

-- The refusal of a request that could not be checked, or done; `reason` is for the log.
function web.unavailable(reason)
  failures:write(reason)
  return {
    status = ngx.HTTP_SERVICE_UNAVAILABLE,
    message = "The session cannot be checked now",
    headers = { ["Retry-After"] = RETRY_AFTER, ["Cache-Control"] = "no-store" },
  }
end

-- The refusal of a request without a session; nil if it may pass. `message` and `code`: of the failure, if it
-- could not be checked.
function web.refuse(options, token, from_header, message, code)
  if message then
    -- A record that cannot be read opens nothing: Redis is there.
    if options.fail_open and not lookup.is_its_own(message, code) then
      failures:write(message)
      return nil
    end
    return web.unavailable(message)
  elseif from_header and not is_well_formed(token) then
    return deny(ngx.HTTP_BAD_REQUEST, options, "invalid_request", "The Authorization header is malformed")
  elseif token then
    return deny(ngx.HTTP_UNAUTHORIZED, options, "invalid_token", "The token is unknown or has expired")
  end
  return deny(ngx.HTTP_UNAUTHORIZED, options, nil, "A token is required")
end

-- Ends the request with this refusal; nil lets it pass.
function web.exit(refusal)
  if not refusal then
    return nil
  end
  for name, value in next, refusal.headers do
    ngx.header[name] = value
  end
  return ngx.exit(refusal.status)
end

-- Is there a control character? As find "%c", which LuaJIT does not compile.
local function has_control(text)
  for i = 1, #text do
    local code = byte(text, i)
    if code < 32 or code == 127 then
      return true
    end
  end
  return false
end

-- Text for a header; nil for none; false for a value that is not valid in a header.
local function header_value(entry, session)
  local value
  if entry.call then
    value = entry.call(session)
  else
    value = session[entry.field]
    for i = 1, #entry.inner do
      value = type(value) == "table" and value[entry.inner[i]]
    end
  end
  if value == nil or value == false or value == core.null then
    return nil
  elseif type(value) == "table" then
    value = core.encode(value) or "\n"
  end
  value = tostring(value)
  return not has_control(value) and value
end

-- Sets these values, in the order of the headers. The refusal if one is false: no header can hold it.
local function set_values(headers, values, set)
  for i = 1, #headers do
    local value = values[i]
    if value then
      set(headers[i].name, value)
    elseif value == false then
      ngx.log(ngx.ERR, "tokenstore.guard: the session has a value that is not valid in the header ",
        headers[i].name)
      local message = "The session has a value that is not valid in a header"
      return { status = ngx.HTTP_INTERNAL_SERVER_ERROR, message = message, headers = {} }
    end
  end
  return nil
end

local function read_values(options, session)
  local headers, values = options.headers, {}
  for i = 1, #headers do
    values[i] = header_value(headers[i], session)
  end
  return values
end

-- Sets this session's headers. The refusal if it has a value that no header can hold.
function web.set_headers(options, session, set)
  return set_values(options.headers, read_values(options, session), set or set_header)
end

-- The values of the headers, of a valid session that is in memory, and its view; nil says nothing.
local function find_values(options, token)
  local view = near.view(options.store, options.app, options.type, token)
  local values = view and options.values[view]
  if view and not values and lookup.admits(options, view) then
    values = read_values(options, view)
    options.values[view] = values
  end
  return values, view
end

-- Removes the headers that only the guard may set, those that it has set itself too.
function web.drop_headers(options, set)
  set = set or set_header
  for _, name in ipairs(request_headers.sent_names(request_headers.read(), options.names)) do
    set(name, nil)
  end
end

-- The session of this request, or true with headers_only, its headers set; or nil and the refusal, or nil if
-- it may pass without one. `ask_store` is lookup.ask or lookup.verify.
function web.check(options, ask_store, set)
  local count = request_headers.read()
  if request_headers.has_any(count, options.names) then
    web.drop_headers(options, set)
    count = request_headers.read()
  end
  local token, tokens, from_header = web.find_tokens(options, count)
  local session, message, code
  if token and token ~= "" and #token <= options.kind.token_max then
    local values, view
    if options.is_near and not tokens then
      values, view = find_values(options, token)
    end
    if values then
      local refusal = set_values(options.headers, values, set or set_header)
      return not refusal and (options.headers_only or options.kind.copy(view, token)) or nil, refusal
    end
    session, message, code = lookup.find(options, ask_store, token, tokens)
  end
  if not session then
    return nil, web.refuse(options, token, from_header, message, code)
  end
  local refusal = web.set_headers(options, session, set)
  return not refusal and (options.headers_only or session) or nil, refusal
end

return web
