-- Who asked for a token or a session: address and user agent.

local core = require "tokenstore.core"

local request = {}

-- No header content may make a login fail: text that is not UTF-8 is read as Latin-1, and NUL as a space,
-- as in RFC 9110. ngx.req.get_headers returns a list for repeated headers. nil is null.
local function read_header(value)
  if type(value) == "table" and type(value[1]) == "string" then
    local texts = {}
    for i, one in ipairs(value) do
      texts[i] = read_header(one)
    end
    return table.concat(texts, ", ")
  end
  if type(value) ~= "string" then
    return value or core.null
  end
  value = value:gsub("[^\1-\255]", " ")
  if core.encode(value, 6 * #value + 2) then -- it is UTF-8, as JSON must be
    return value
  end
  return (value:gsub("[\128-\255]", function(c)
    local byte = c:byte()
    return string.char(byte < 192 and 194 or 195, 128 + byte % 64)
  end))
end

-- { address, user_agent } from the argument `request`, a table.
function request.read(given)
  return { address = read_header(given.address), user_agent = read_header(given.user_agent) }
end

-- The arguments of a create with what is in `request` read; a wrong type is left to the core.
function request.within(args)
  if type(args) ~= "table" or type(rawget(args, "request")) ~= "table" then
    return args
  end
  local copy = {}
  for name, value in next, args do
    copy[name] = value
  end
  copy.request = request.read(args.request)
  return copy
end

-- The same for a list of arguments.
function request.within_each(list)
  local copy
  for i, args in next, type(list) == "table" and list or {} do
    local read = request.within(args)
    if read ~= args then
      if not copy then
        copy = {}
        for k, one in next, list do
          copy[k] = one
        end
      end
      copy[i] = read
    end
  end
  return copy or list
end

return request
