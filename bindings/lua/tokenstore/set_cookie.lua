-- tokenstore.set_cookie: writes Set-Cookie headers by RFC 6265, strictly: only what every browser reads the
-- same. The rules for attributes and prefixes are those of RFC 6265bis, by which browsers drop cookies.

local SAME_SITE = { Strict = true, Lax = true, None = true }

local KINDS = {
  domain = "string",
  partitioned = "boolean",
  path = "string",
  same_site = "string",
  secure = "boolean",
}

local set_cookie = {}

-- True for a token of RFC 9110: a name that every browser and server reads.
function set_cookie.is_name(name)
  return name:find "^[%w!#$%%&'*+%-.^_`|~]+$" ~= nil
end

-- True for cookie-octets: neither controls, blanks, quotes, commas, semicolons nor backslashes.
local function is_value(value)
  return not value:find '[^!-~]' and not value:find '[",;\\]'
end

-- What is wrong with this cookie, or nil. Browsers compare prefixes without regard to case.
local function find_fault(name, given)
  local secure = given.secure ~= false
  local prefix = name:lower():match "^__host%-" or name:lower():match "^__secure%-"
  if not set_cookie.is_name(name) then
    return "letters, digits and !#$%&'*+-.^_`|~ expected in the name of a cookie that is to be set"
  elseif given.same_site and not SAME_SITE[given.same_site] then
    return 'same_site is "Strict", "Lax" or "None"'
  elseif given.path and not given.path:find "^/[!-:<-~]*$" then
    return "path begins with /, and has no blank and no semicolon"
  elseif given.domain and not given.domain:find "^[%w%-]+[%w%-.]*$" then
    return "domain is the name of a host"
  elseif not secure and given.same_site == "None" then
    return 'same_site = "None" requires secure'
  elseif not secure and given.partitioned then
    return "partitioned requires secure"
  elseif not secure and prefix then
    return ("browsers drop a cookie with the prefix %s without secure"):format(name:sub(1, #prefix))
  elseif prefix == "__host-" and (given.domain or (given.path or "/") ~= "/") then
    return ("browsers drop a cookie with the prefix %s with a domain, or a path other than /"):format(
      name:sub(1, #prefix))
  end
  return nil
end

-- The attributes of a cookie of this name as text, from a table { secure, same_site, path, domain,
-- partitioned }; or nil and what is wrong.
function set_cookie.attributes(name, given)
  for key, value in next, given do
    local wanted = KINDS[key]
    if not wanted then
      return nil, ("unknown attribute '%s'"):format(tostring(key))
    elseif type(value) ~= wanted then
      return nil, ("%s expected as '%s', got %s"):format(wanted, key, type(value))
    end
  end
  local fault = find_fault(name, given)
  if fault then
    return nil, fault
  end
  return "; Path=" .. (given.path or "/")
    .. (given.domain and "; Domain=" .. given.domain or "")
    .. (given.secure == false and "" or "; Secure")
    .. "; HttpOnly; SameSite=" .. (given.same_site or "Lax")
    .. (given.partitioned and "; Partitioned" or "")
end

-- A Set-Cookie header. `max_age`: for how many seconds browsers keep the cookie; nil: until they close; 0:
-- they delete it.
function set_cookie.line(name, value, attributes, max_age)
  if not is_value(value) then
    error("the value is not valid in a cookie", 2)
  end
  local age = max_age and ("; Max-Age=%d"):format(math.ceil(max_age)) or ""
  return name .. "=" .. value .. age .. attributes
end

-- `given`, a Set-Cookie header or a list of them, or nil, as a list with `line` at its end. An earlier line
-- for the same cookie, by name and attributes, is dropped: RFC 6265, section 4.1.1.
function set_cookie.add(given, line, name, attributes)
  local lines = {}
  for _, other in ipairs(type(given) == "table" and given or { given }) do
    local is_same = other:sub(1, #name + 1) == name .. "=" and other:sub(-#attributes) == attributes
    if not is_same then
      lines[#lines + 1] = other
    end
  end
  lines[#lines + 1] = line
  return lines
end

return set_cookie
