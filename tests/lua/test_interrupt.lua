-- Ctrl-C: SIGINT ends an interpreter that waits in C within 100 ms with "interrupted!".
-- luacheck: std max

local harness = require "harness"
local tokenstore = require "tokenstore"
local equal, test = harness.equal, harness.test

local watcher = assert(tokenstore.Client(harness.url))

local function now()
  local time = watcher:execute "TIME"
  return time[1] + time[2] / 1e6
end

local function read(name)
  local file = io.open(name)
  local text = file and file:read "*a" or ""
  if file then
    file:close()
  end
  return text
end

local count = 0

local PREAMBLE = [[
  local tokenstore = require "tokenstore"
  local waiter = tokenstore.Client { redis = url, client_name = key, timeout = 60 }
]]

-- Runs `code` in a new interpreter, sends SIGINT as soon as the server sees it wait, and returns its output
-- with its exit status, and how long its connection stayed open. `code` gets `url` and `key`, and unless
-- there is a `preamble` a client `waiter`; it waits in waiter:execute("BLPOP", key, 0).
local function interrupt(code, preamble)
  count = count + 1
  local base = ("%s/interrupt%d"):format(harness.dir, count)
  local name = "interrupt" .. count .. tostring({}):match "0x(%x+)"
  local file = assert(io.open(base .. ".lua", "w"))
  file:write(('local url, key = "%s", "%s"\n'):format(harness.url, name), preamble or PREAMBLE, code)
  file:close()
  -- A shell gives its background jobs an ignored SIGINT; the interpreters install their handler anyway.
  os.execute(("{ '%s' %s.lua > %s.out 2>&1 & echo $! > %s.pid; wait $!; echo \"exit $?\" >> %s.out; } &")
    :format(harness.lua, base, base, base, base))
  local pattern = "name=" .. name .. " .-cmd=blpop"
  harness.await("the wait of " .. name, function()
    return watcher:execute("CLIENT", "LIST"):find(pattern)
  end)
  local pid = harness.await("its pid", function() return read(base .. ".pid"):match "%d+" end)
  local started = now()
  os.execute("kill -INT " .. pid)
  harness.await("the end of " .. name, function()
    return not watcher:execute("CLIENT", "LIST"):find("name=" .. name .. " ", 1, true)
  end)
  local took = now() - started
  local output = harness.await("its exit", function()
    local text = read(base .. ".out")
    return text:find "exit %d+\n" and text
  end)
  return output, took
end

-- In time in one of three attempts: the machine may be busy.
local function check_interrupted(...)
  local took
  for _ = 1, 3 do
    local output
    output, took = interrupt(...)
    harness.matches(output, "interrupted!")
    assert(output:find "exit [1-9]", "it ended well: " .. output)
    if took < (harness.stress and 0.5 or 0.1) then
      return
    end
  end
  error(("took %.0f ms"):format(took * 1000))
end

test("in the main program", function()
  check_interrupted [[ print(waiter:execute("BLPOP", key, 0)) print "went on" ]]
end)

test("in a loop that LuaJIT has compiled", function()
  check_interrupted [[
    for i = 1, 500 do waiter:execute("RPUSH", key, i) end
    while true do waiter:execute("BLPOP", key, 0) end
  ]]
end)

test("in a client that asks for credentials", function()
  check_interrupted([[
    local tokenstore = require "tokenstore"
    local waiter = tokenstore.Client {
      redis = url, client_name = key, timeout = 60, credentials = function() return "default", "" end,
    }
    waiter:execute("BLPOP", key, 0)
    print "went on"
  ]], "")
end)

test("in a coroutine", function()
  check_interrupted [[
    local thread = coroutine.wrap(function() waiter:execute("BLPOP", key, 0) print "went on" end)
    thread()
  ]]
end)

-- In Lua 5.1 a coroutine cannot find the main one.
if _VERSION ~= "Lua 5.1" or jit then
  test("in a module that a coroutine has loaded", function()
    check_interrupted([[
      coroutine.wrap(function()
        local tokenstore = require "tokenstore"
        local waiter = tokenstore.Client { redis = url, client_name = key, timeout = 60 }
        waiter:execute("BLPOP", key, 0)
      end)()
    ]], "")
  end)
end

test("who catches it goes on with a client that works", function()
  -- The hook may raise shortly after the call returned: hence two calls.
  local output = interrupt [[
    pcall(function() pcall(waiter.execute, waiter, "BLPOP", key, 0) end)
    print(waiter:execute "PING")
  ]]
  equal(output, "PONG\nexit 0\n")
end)

test("a hook of the program's own does not end a wait", function()
  check_interrupted [[
    debug.sethook(function() end, "", 1000000)
    print(waiter:execute("BLPOP", key, 0))
  ]]
end)
