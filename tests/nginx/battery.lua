-- Runs one file of tests/lua, as it is, in a request: over cosockets. Prints failures, then
-- "N passed, N failed".
-- luacheck: std ngx_lua

local name = ngx.var.arg_file
local here = ngx.var.battery_tests

-- Not `require`: code that it loads cannot yield.
local function load(path)
  return assert(loadfile(path))
end

package.loaded.harness = nil
local printed = {}
local chunk = load(here .. "/harness.lua")
local environment = setmetatable({
  print = function(text)
    printed[#printed + 1] = tostring(text)
  end,
}, { __index = _G })
local harness = setfenv(chunk, environment)()
harness.here = here
harness.file = name
package.loaded.harness = harness
load(here .. "/test_" .. name .. ".lua")()
package.loaded.harness = nil
for _, text in ipairs(printed) do
  ngx.say(text)
end
ngx.say(("%d passed, %d failed"):format(harness.passed, harness.failed))
