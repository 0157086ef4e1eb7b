-- The options of tokenstore.guard: checked and prepared once, not for each request.

local cookie = require "tokenstore.cookie"
local core = require "tokenstore.core"
local near = require "tokenstore.near"
local set_cookie = require "tokenstore.set_cookie"

local CACHE_MAX = 60 -- seconds
local REFRESH_MAX = 315360000

local KINDS = {
  store = "table",
  app = "string",
  type = "string",
  cookie = "string",
  cookie_attributes = "table",
  refresh = "number", -- or true
  headers = "table",
  realm = "string",
  fail_open = "boolean",
  anonymous = "boolean",
  headers_only = "boolean",
  cache = "number",
}

-- The differences between the stores: their class, the options they require, those they do not have, the
-- name of the owner, the longest token, what copies a session in memory, and of those whose sessions the
-- guard can create, their operations.
local kinds = {}

kinds.session = {
  class = "tokenstore.Sessions",
  needs = { "app" },
  lacks = { type = true },
  owner = "owner_id",
  token_max = 1024,
  copy = near.copy_session,
  operations = core.operations.Sessions,
  delete = "kill",
}
kinds.token = {
  class = "tokenstore.RedisTokens",
  needs = { "app", "type" },
  lacks = {},
  owner = "owner",
  token_max = 1024,
  copy = near.copy_token,
  operations = core.operations.RedisTokens,
  delete = "delete",
}
kinds.jwt = {
  class = "tokenstore.RedisJWT",
  needs = {},
  lacks = {
    app = true, type = true, refresh = true, cache = true, cookie_attributes = true, anonymous = true,
    headers_only = true,
  },
  owner = "id",
  token_max = 65536, -- more than nginx takes in a header; the store has its own max_size
}

local options = { kinds = kinds }

-- What is wrong with these options for a store of this kind, or nil.
function options.find_fault(given, kind)
  if type(given) ~= "table" then
    return "bad argument #1 (table of options expected, got " .. type(given) .. ")"
  end
  for name, value in next, given do
    local wanted = KINDS[name]
    if not wanted or kind.lacks[name] then
      return ("unknown option '%s' of the guard"):format(tostring(name))
    elseif type(value) ~= wanted and not (name == "refresh" and value == true) then
      return ("bad option '%s' (%s expected, got %s)"):format(name, wanted, type(value))
    end
  end
  local metatable = given.store and getmetatable(given.store)
  if type(metatable) ~= "table" or metatable.__name ~= kind.class then
    return ("bad option 'store' (a %s expected)"):format(kind.class)
  end
  for _, name in ipairs(kind.needs) do
    if not given[name] then
      return ("bad option '%s' (string expected, got nil)"):format(name)
    end
  end
  if given.cookie and not cookie.is_name(given.cookie) then
    return "bad option 'cookie' (the name of a cookie expected)"
  end
  if given.cookie_attributes then
    if not given.cookie then
      return "bad option 'cookie_attributes' (there is no 'cookie')"
    end
    local attributes, fault = set_cookie.attributes(given.cookie, given.cookie_attributes)
    if not attributes then
      return ("bad option 'cookie_attributes' (%s)"):format(fault)
    end
  end
  local refresh = given.refresh ~= true and given.refresh
  if refresh and not (refresh >= 1 and refresh <= REFRESH_MAX) then
    return ("bad option 'refresh' (1 to %d seconds)"):format(REFRESH_MAX)
  end
  if given.cache and not (given.cache >= 0 and given.cache <= CACHE_MAX) then
    return ("bad option 'cache' (0 to %d seconds)"):format(CACHE_MAX)
  end
  return nil
end

-- Checked tables and their results: most are the same for each request.
local checked = setmetatable({}, { __mode = "k" })

-- The prepared headers: names and how to get their values.
local function read_headers(headers)
  local list = {}
  for name, what in next, headers do
    local entry = { name = name, inner = {} }
    if type(what) == "function" then
      entry.call = what
    else
      for field in what:gmatch "[^.]+" do
        entry.inner[#entry.inner + 1] = field
      end
      entry.field = table.remove(entry.inner, 1)
    end
    list[#list + 1] = entry
  end
  return list
end

-- Are all of them fields? Functions may do as they like with what they get.
local function are_fields(headers)
  for _, what in next, headers do
    if type(what) == "function" then
      return false
    end
  end
  return true
end

-- A header's name as many upstreams read it (CGI and its successors: HTTP_X_OWNER_ID), and as nginx names
-- its variables.
function options.fold(name)
  return (name:lower():gsub("-", "_"))
end

-- The names of these headers as a client could forge them.
local function fold_names(headers)
  local names = {}
  for name in next, headers do
    names[#names + 1] = options.fold(name)
  end
  return names
end

-- May a session in memory do for these options? Functions may do as they like with what they get, and some
-- options need an operation.
local function looks_near(given, headers)
  local plain = not given.refresh and (given.cache or 0) == 0
  return given.store._near ~= nil and plain and are_fields(headers)
end

-- Prepares the options for a store of this kind. Errors point `level` functions up, as of error().
function options.prepare(given, kind, level)
  local ready = checked[given]
  if ready and ready.kind == kind then
    return ready
  end
  local fault = options.find_fault(given, kind)
  if fault then
    error(fault, level + 1)
  end
  local headers = given.headers or { ["X-Owner-Id"] = kind.owner }
  ready = {
    kind = kind,
    store = given.store,
    app = given.app,
    type = given.type or core.session_type,
    arguments = {
      app = given.app,
      type = given.type,
      refresh = given.refresh,
      expiry = (given.cache or 0) > 0 or nil,
    },
    cookie = given.cookie,
    cookie_attributes = given.cookie and set_cookie.attributes(given.cookie, given.cookie_attributes or {}),
    headers = read_headers(headers),
    names = fold_names(headers),
    realm = (given.realm or given.app or "jwt"):gsub('[%c"\\]', " "),
    fail_open = given.fail_open,
    anonymous = given.anonymous,
    headers_only = given.headers_only,
    is_near = looks_near(given, headers),
    values = setmetatable({}, { __mode = "k" }), -- of the headers, by the view
    cache = given.cache or 0,
    cache_key = table.concat({ given.app or "", given.type or "", given.anonymous and "a" or "", "" }, "\0"),
  }
  checked[given] = ready
  return ready
end

-- The kind of the store in these options; nil if it is none.
function options.kind_of(given)
  local metatable = type(given) == "table" and type(given.store) == "table" and getmetatable(given.store)
  for _, kind in next, kinds do
    if type(metatable) == "table" and metatable.__name == kind.class then
      return kind
    end
  end
  return nil
end

-- Prepares the options for a function that sets the cookie. Errors as in options.prepare.
function options.prepare_cookie(given, level)
  local ready = options.prepare(given, options.kind_of(given) or kinds.session, level + 1)
  if not ready.kind.operations then
    error("bad option 'store' (a tokenstore.Sessions or a tokenstore.RedisTokens expected)", level + 1)
  elseif not ready.cookie then
    error("bad option 'cookie' (the name of the cookie to set expected, got nil)", level + 1)
  elseif not ready.cookie_attributes then
    error(("bad option 'cookie' (%s)"):format(select(2, set_cookie.attributes(ready.cookie, {}))), level + 1)
  end
  return ready
end

return options
