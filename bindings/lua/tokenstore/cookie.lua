-- tokenstore.cookie: reads a Cookie header as servers do by RFC 6265bis, leniently. set_cookie.lua writes.
--
-- Names are case-sensitive. A browser may send several cookies of one name, one for each path and domain.
-- Frameworks write a value in quotes, with backslashes, or percent-encoded. This finds the possible values;
-- only the store knows which are valid.

local byte, char, find, gsub, sub = string.byte, string.char, string.find, string.gsub, string.sub

local EQUALS, SEMICOLON, SPACE = byte("=; ", 1, 3)
local MOST = 128 -- values from one header, so that a request's look-ups are bounded

local cookie = {}

-- True for a valid cookie name.
function cookie.is_name(name)
  return find(name, "^[^%c;= ]+$") ~= nil
end

local function is_blank(code)
  return code == 32 or code == 9
end

-- The part of `text` from `first` to `last`, without surrounding whitespace.
local function trim(text, first, last)
  while first <= last and is_blank(byte(text, first)) do
    first = first + 1
  end
  while last >= first and is_blank(byte(text, last)) do
    last = last - 1
  end
  return sub(text, first, last)
end

-- \075 is a byte, \" is a quote. (The pattern may capture two digits that are not part of the escape.)
local function unescape(first, digits)
  local code = #digits == 2 and find(first, "[0-3]") and tonumber(first .. digits, 8)
  return code and char(code) or first .. digits
end

local function unquote(text)
  local inner = text:match '^"(.*)"$'
  return inner and gsub(inner, "\\(.)([0-7]?[0-7]?)", unescape)
end

local function percent_decode(text)
  return (gsub(text, "%%(%x%x)", function(digits)
    return char(tonumber(digits, 16))
  end))
end

local function add(texts, text, longest)
  if text == "" or #text > longest or #texts >= MOST or find(text, "\0", 1, true) then
    return
  end
  for i = 1, #texts do
    if texts[i] == text then
      return
    end
  end
  texts[#texts + 1] = text
end

-- Adds the other possible meanings of a value. It may have been encoded twice. A + that was decoded as in a
-- form is now a space. At an end of the value only `raw` still has it.
local function add_spellings(texts, raw, value, longest)
  local text = unquote(value) or value
  add(texts, text, longest)
  for _ = 1, 2 do
    text = percent_decode(text)
    text = unquote(text) or text
    add(texts, text, longest)
  end
  text = text == value and raw or text
  add(texts, gsub(text, " ", "+"), longest)
end

-- True if it may have other meanings. Without patterns, which LuaJIT does not compile.
local function has_spellings(raw)
  return find(raw, "%", 1, true) or find(raw, '"', 1, true) or find(raw, " ", 1, true)
end

-- Is there nothing but a separator before the name that stands here?
local function begins(header, at)
  local code = byte(header, at - 1)
  return at == 1 or code == SEMICOLON or code == SPACE and byte(header, at - 2) == SEMICOLON
end

-- The value of the cookie called `name` if it is the only one and plainly written, as nearly all are; nil
-- says nothing: cookie.read does. There are no loops here: LuaJIT does not compile those of few rounds, nor
-- what calls them.
function cookie.read_plain(header, name, longest)
  local at = find(header, name, 1, true)
  local equals = at and at + #name
  if not at or byte(header, equals) ~= EQUALS or not begins(header, at) then
    return nil
  end
  local stop = find(header, ";", equals, true) or #header + 1
  local value = sub(header, equals + 1, stop - 1)
  local is_odd = has_spellings(value) or find(value, "\t", 1, true) or find(value, "\0", 1, true)
  if is_odd or value == "" or #value > longest or find(header, name, equals, true) then
    return nil
  end
  return value
end

-- The possible values of the cookies called `name`, in the order of the header: at most MOST, usually one.
-- Values that are empty, longer than `longest` bytes, or contain a NUL are skipped.
function cookie.read(header, name, longest)
  local texts = {}
  local start, equals = 1, find(header, "=", 1, true)
  while equals do
    local stop = find(header, ";", start, true) or #header + 1
    if equals < stop then
      if trim(header, start, equals - 1) == name then
        local raw = sub(header, equals + 1, stop - 1)
        local value = trim(raw, 1, #raw)
        add(texts, value, longest)
        if value ~= "" and has_spellings(raw) then
          add_spellings(texts, raw, value, longest)
        end
      end
      equals = find(header, "=", stop, true)
    end
    start = stop + 1
  end
  return texts
end

-- The header without the cookies called `name`, and with one of this value at its end, unless that is nil.
function cookie.replace(header, name, value)
  local kept = {}
  for pair in header:gmatch "[^;]+" do
    local equals = find(pair, "=", 1, true) or #pair + 1
    local text = trim(pair, 1, #pair)
    if text ~= "" and trim(pair, 1, equals - 1) ~= name then
      kept[#kept + 1] = text
    end
  end
  if value then
    kept[#kept + 1] = name .. "=" .. value
  end
  return table.concat(kept, "; ")
end

return cookie
