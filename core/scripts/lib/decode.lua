-- What a JSON text says; nil where it cannot be read. Half of a surrogate pair, which cjson refuses and
-- JavaScript writes, is read as U+FFFD: JavaScript's own text for it in a key.
local function decode(text)
  local ok, value = pcall(cjson.decode, text)
  if not ok then
    ok, value = pcall(cjson.decode, (text:gsub('(\\+)u[dD][89a-fA-F]%x%x', function(slashes)
      return #slashes % 2 == 1 and slashes .. 'ufffd' or nil
    end)))
  end
  return ok and value or nil
end
