-- Runs the test files in this interpreter; started by run.sh. Ends with "N passed, N failed".
-- usage: run.lua [--stress] [FILE...]
-- luacheck: std max

local here = arg[0]:match "^(.*)/" or "."
package.path = here .. "/?.lua;" .. package.path

local harness = require "harness"

local FILES = {
  "module", "data", "vectors", "operations", "tokens", "rotation", "pages", "sessions",
  "tokenstore", "redis_jwt", "client", "durability",
  "arguments", "handles", "run", "secrets", "lifecycle", "interrupt", "types", "jwt", "jwt_secrets",
  "session_events", "embedded", "cookie", "set_cookie", "credentials",
}

-- With these settings every allocation that may collect runs a full cycle. Code compiled by LuaJIT restarts
-- after each cycle, and would never make progress.
local function collect_always()
  if jit then
    jit.off()
    jit.flush() -- what was compiled while the modules were loaded
  end
  if _VERSION == "Lua 5.4" then
    collectgarbage("incremental", 0, 1000, 40)
    collectgarbage("setpause", 0) -- which "incremental" treats as "unchanged"
  elseif _VERSION == "Lua 5.3" then
    collectgarbage("setpause", 0)
    collectgarbage("setstepmul", 1000000000)
  else
    collectgarbage("setpause", 0)
    collectgarbage("setstepmul", 0)
  end
  collectgarbage() -- the settings take effect at the end of a cycle
end

local wanted = {}
for _, word in ipairs(arg) do
  if word == "--stress" then
    harness.stress = true
  else
    wanted[#wanted + 1] = word
  end
end

harness.here = here
if harness.stress then
  collect_always()
  local weak = setmetatable({}, { __mode = "v" })
  local function litter(depth) -- deep, so that no stack slot still refers to the table
    if depth > 0 then
      litter(depth - 1)
    else
      weak[1] = {}
    end
  end
  litter(20)
  litter = {} -- the allocation that collects
  assert(weak[1] == nil, "this interpreter does not collect at every allocation")
end
for _, name in ipairs(#wanted > 0 and wanted or FILES) do
  harness.file = name
  require("test_" .. name)
end

local version = (jit and jit.version or _VERSION) .. (harness.stress and ", collecting always" or "")
print(("%s: %d passed, %d failed"):format(version, harness.passed, harness.failed))
os.exit(harness.failed == 0 and harness.passed > 0 and 0 or 1)
