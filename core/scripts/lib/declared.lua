-- No script touches a key that is not among its KEYS: a proxy refuses that, and of a slot that moves it would
-- see half. One that lacks some changes nothing and answers with `wanted`: then it is sent again with those
-- as well (core/src/ops/declare.h).
local declared, wanted = {}, {ARGV[1], -2}
for _, name in ipairs(KEYS) do declared[name] = true end

-- Is `name` among KEYS? Where it is not, it is wanted.
local function has(name)
  if declared[name] then return true end
  wanted[#wanted + 1] = name
  return false
end
