-- What the guard reads from nginx's request, and what it changes there: its tokens, headers, a refusal.

local cookie = require "tokenstore.cookie"
local core = require "tokenstore.core"
local guard_options = require "tokenstore.guard_options"
local log = require "tokenstore.nginx_log"
local lookup = require "tokenstore.guard_lookup"

local byte, find, sub = string.byte, string.find, string.sub
local clear_header, set_header = ngx.req.clear_header, ngx.req.set_header

local RETRY_AFTER = 1 -- seconds, in the 503 response

local failures = log.new(ngx.ERR, "tokenstore.guard: ")

local request = {}

local function is_blank(code)
  return code == 32 or code == 9
end

-- "Bearer " and one token: what clients send. Without patterns, which LuaJIT does not compile.
local function is_plain(header)
  return sub(header, 1, 7) == "Bearer " and #header > 7 and not is_blank(byte(header, 8))
    and not is_blank(byte(header, -1)) and not find(header, ",", 8, true)
end

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

-- nginx computes the variables that its configuration names once for a request: if $http_cookie is one, it
-- stays as it was when `put_cookie` changes the header. That is found out once for all requests of a worker.
local cookie_variable_stays = false

local function read_cookies()
  if not cookie_variable_stays then
    return ngx.var.http_cookie
  end
  local header = ngx.req.get_headers(0).cookie
  return type(header) == "table" and table.concat(header, "; ") or header
end

-- The values of the cookie.
function request.find_in_cookies(options)
  local header = read_cookies()
  return header and cookie.read(header, options.cookie, options.kind.token_max) or {}
end

-- For all that follows in this request, here and at the upstream, the cookie has this value; nil: there is
-- none.
function request.put_cookie(options, value)
  local header = cookie.replace(read_cookies() or "", options.cookie, value)
  if header == "" then
    clear_header "Cookie"
  else
    set_header("Cookie", header)
  end
  cookie_variable_stays = cookie_variable_stays or (ngx.var.http_cookie or "") ~= header
end

-- The token of the request, a list if there are several, and whether they are from the Authorization header,
-- where one may be empty.
function request.find_tokens(options)
  local header = ngx.var.http_authorization
  if header then
    if is_plain(header) then
      return sub(header, 8), nil, true
    end
    local token = read_bearer(header)
    if token then
      local first = token:match "^([^, \t]+)[ \t]*,"
      return token, first and { token, first }, true
    end
  end
  header = options.cookie and read_cookies()
  if not header then
    return nil
  end
  local tokens = cookie.read(header, options.cookie, options.kind.token_max)
  return tokens[1], tokens[2] and tokens, false
end

-- RFC 6750, 2.1: the syntax of a token in the header.
local function is_well_formed(token)
  return token:find "^[%w%-._~+/]+=*$" ~= nil
end

-- Ends the request.
local function deny(status, options, problem, description)
  local challenge = 'Bearer realm="' .. options.realm .. '"'
  if problem then
    challenge = ('%s, error="%s", error_description="%s"'):format(challenge, problem, description)
  end
  ngx.header["WWW-Authenticate"] = challenge
  ngx.header["Cache-Control"] = "no-store"
  return ngx.exit(status)
end

-- Writes a line to the log, or suppresses it.
function request.log(message)
  failures:write(message)
end

-- Ends a request that could not be checked, or done.
function request.fail(message)
  failures:write(message)
  ngx.header["Retry-After"] = RETRY_AFTER
  ngx.header["Cache-Control"] = "no-store"
  return ngx.exit(ngx.HTTP_SERVICE_UNAVAILABLE)
end

-- Ends a request without a session; `message` and `code`: of the failure, if it could not be checked.
function request.refuse(options, token, from_header, message, code)
  if message then
    -- A record that cannot be read opens nothing: Redis is there.
    if options.fail_open and not lookup.is_its_own(message, code) then
      failures:write(message)
      return nil
    end
    return request.fail(message)
  elseif from_header and not is_well_formed(token) then
    return deny(ngx.HTTP_BAD_REQUEST, options, "invalid_request", "The Authorization header is malformed")
  elseif token then
    return deny(ngx.HTTP_UNAUTHORIZED, options, "invalid_token", "The token is unknown or has expired")
  end
  return deny(ngx.HTTP_UNAUTHORIZED, options)
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
  return not value:find "%c" and value
end

-- Sets this session's headers.
function request.set_headers(options, session)
  local headers = options.headers
  for i = 1, #headers do
    local entry = headers[i]
    local value = header_value(entry, session)
    if value then
      set_header(entry.name, value)
    elseif value == false then
      ngx.log(ngx.ERR, "tokenstore.guard: the session has a value that is not valid in the header ",
        entry.name)
      return ngx.exit(ngx.HTTP_INTERNAL_SERVER_ERROR)
    end
  end
end

-- True if the client sent a header that only the guard may set. Checks nginx's variables, which are nearly
-- always unset.
local function has_forged(options)
  local variables = options.variables
  for i = 1, #variables do
    if ngx.var[variables[i]] ~= nil then
      return true
    end
  end
  return options.drops_always
end

-- Removes the headers that only the guard may set, those that it has set itself too.
function request.drop_headers(options)
  local names = options.names
  for name in next, ngx.req.get_headers(0, true) do
    if names[guard_options.fold(name)] then
      clear_header(name)
    end
  end
end

-- The same, unless there are none.
function request.drop_forged(options)
  if has_forged(options) then
    request.drop_headers(options)
  end
end

return request
