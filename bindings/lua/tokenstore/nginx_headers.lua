-- nginx_headers.lua - the headers of the current request, read where they lie.
--
--     local count = headers.read()
--     headers.find(count, "x_owner_id", ", ")
--
-- `count` is good until something waits, or changes a header. Names are as CGI and its successors read them,
-- and as nginx names its variables.
--
-- ngx.var says the same, but two reads take a third of the time of a check from memory. A variable that the
-- configuration names keeps its first value. And once LuaJIT has given up compiling ngx.var, for any code of
-- the worker, it compiles nothing that reads one. ngx.req.get_headers makes strings of all headers.

local core = require "tokenstore.core"
local ffi = require "ffi"
local get_request = require("resty.core.base").get_request
require "resty.core.request" -- declares what is used here

local C = ffi.C
local to_string = ffi.string

local LIST = ffi.typeof "ngx_http_lua_ffi_table_elt_t[?]"
local find = ffi.cast("int (*)(const ngx_http_lua_ffi_table_elt_t *, int, int, const char *, size_t)",
  core.find_header_address)
local find_bearer = ffi.cast("bool (*)(const ngx_http_lua_ffi_table_elt_t *, int, ngx_http_lua_ffi_str_t *)",
  core.find_bearer_address)
local found = ffi.new "ngx_http_lua_ffi_str_t[1]"
local truncated = ffi.new "int[1]" -- never: all are asked for

local room = 64
local list = LIST(room)

local headers = {}

-- Reads the headers of the current request: how many there are.
function headers.read()
  local request = get_request()
  local count = request and C.ngx_http_lua_ffi_req_get_headers_count(request, 0, truncated) or -1
  if count < 0 then
    error("no request is handled here, as in a timer: the guard is for the phases of a request", 0)
  elseif count > room then
    room = count
    list = LIST(room)
  end
  C.ngx_http_lua_ffi_req_get_headers(request, list, count, 1)
  return count
end

-- The value of the header of this name; nil if there is none. Those of several are joined by `separator`.
function headers.find(count, name, separator)
  local at = find(list, count, 0, name, #name)
  if at < 0 then
    return nil
  end
  local value = to_string(list[at].value.data, list[at].value.len)
  at = find(list, count, at + 1, name, #name)
  while at >= 0 do
    value = value .. separator .. to_string(list[at].value.data, list[at].value.len)
    at = find(list, count, at + 1, name, #name)
  end
  return value
end

-- The token of `Authorization: Bearer …`, as clients send it. Nil says nothing: it may be written in other
-- ways.
function headers.bearer(count)
  return find_bearer(list, count, found) and to_string(found[0].data, found[0].len) or nil
end

-- Is there a header with one of these names?
function headers.has_any(count, names)
  for i = 1, #names do
    if find(list, count, 0, names[i], #names[i]) >= 0 then
      return true
    end
  end
  return false
end

-- The names of those with one of these names, as they were sent.
function headers.sent_names(count, names)
  local sent = {}
  for _, name in ipairs(names) do
    local at = find(list, count, 0, name, #name)
    while at >= 0 do
      sent[#sent + 1] = to_string(list[at].key.data, list[at].key.len)
      at = find(list, count, at + 1, name, #name)
    end
  end
  return sent
end

return headers
