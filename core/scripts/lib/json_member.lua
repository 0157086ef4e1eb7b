-- Where the value of the member `name` (with its quotes) is in the text of an object: its first and its last
-- byte, of several the last one's; nil where there is none.
local function find_member(text, name)
  local from, to
  local at = text:find('"', 1, true)
  while at do
    local last = string_end(text, at)
    local first = text:find('[^: \t\r\n]', last + 1)
    local found = text:sub(at, last) == name
    last = value_end(text, first)
    if found then from, to = first, last end
    at = text:find('"', last + 1, true)
  end
  return from, to
end
