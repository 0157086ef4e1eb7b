-- embedded: a private server that lives as long as this process, or its client object.

local harness = require "harness"
local tokenstore = require "tokenstore"
local equal, fails, test = harness.equal, harness.fails, harness.test

local function read(command)
  local pipe = assert(io.popen(command))
  local text = pipe:read "*a"
  pipe:close()
  return text
end

local function exists(path)
  return read(("test -e '%s' && echo yes"):format(path)) == "yes\n"
end

local function socket_of(client)
  return (assert(client.url:match "^redis%+unix://(/.+/socket)$"))
end

-- The private directory is removed last, when the server is gone.
local function home_of(client)
  return (socket_of(client):match "^(.*)/")
end

-- Cases that wait for seconds in C, not in Lua; the collector finds the same in the others.
local function test_without_stress(name, body)
  if not harness.stress then
    test(name, body)
  end
end

local count = 0

local function new_directory()
  count = count + 1
  return ("%s/embedded%d-%s"):format(harness.dir, count, tostring({}):match "0x(%x+)")
end

-- One case on each installed server.
local function test_on_each(name, body)
  for _, binary in ipairs { "redis-server", "valkey-server" } do
    if read("command -v " .. binary) == "" then
      print(("SKIP %s: %s is not installed"):format(name, binary))
    else
      test(name .. " on " .. binary, function() body(binary) end)
    end
  end
end

test_on_each("stores work on a private server", function(binary)
  local client = assert(tokenstore.Client { redis = "embedded:", server = binary })
  local home = home_of(client)
  local tokens = assert(tokenstore.RedisTokens(client))
  local made = assert(tokens:create { app = "a", type = "t", owner = "o", data = { n = { 1, {} } } })
  equal(tokens:get { app = "a", type = "t", token = made.token }.data.n[1], 1)
  equal(tokens:delete_all { app = "a", type = "t", owner = "o" }, 1)
  equal(client:execute("CONFIG", "GET", "port"), { "port", "0" })
  local server = client:execute("INFO", "server"):match "process_id:(%d+)"
  local name = read(("cat /proc/%s/comm"):format(server))
  equal(name:sub(1, 5), binary:sub(1, 5))
  client:close()
  equal(exists(home), false)
  equal(exists("/proc/" .. server), false)
  fails("closed", "closed", client:execute "PING")
end)

test("each client has a private server of its own", function()
  local one = assert(tokenstore.Client "embedded:")
  local two = assert(tokenstore.Client "embedded:")
  one:execute("SET", "k", "v")
  equal(two:execute("GET", "k"), nil)
  one:close()
  equal(two:execute "PING", "PONG")
  two:close()
end)

test_without_stress("a private cluster", function()
  local client = assert(tokenstore.Client "embedded:cluster")
  assert(client.url:match "^redis%+cluster://127%.0%.0%.1:%d+,127%.0%.0%.1:%d+,127%.0%.0%.1:%d+/0$")
  local tokens = assert(tokenstore.RedisTokens(client))
  local made = {}
  for i = 1, 30 do
    made[i] = assert(tokens:create { app = "a", type = "t", owner = "owner " .. i }).token
  end
  equal(#assert(tokens:get_many { app = "a", type = "t", tokens = made }), 30)
  client:close()
end)

test("the collector ends a private server", function()
  local sessions = assert(tokenstore.Sessions "embedded:")
  local home = home_of(sessions.client)
  equal(exists(home), true)
  sessions = nil
  collectgarbage()
  collectgarbage()
  equal(sessions, nil)
  equal(exists(home), false)
end)

test_on_each("a directory keeps the data", function(binary)
  local url = "embedded:" .. new_directory()
  local tokens = assert(tokenstore.RedisTokens { redis = url, server = binary })
  local made = assert(tokens:create { app = "a", type = "t", owner = "o", data = { n = 1 } })
  tokens:close()
  tokens = assert(tokenstore.RedisTokens { redis = url, server = binary })
  equal(tokens:get({ app = "a", type = "t", token = made.token }).data, { n = 1 })
  tokens:close()
end)

test_without_stress("a directory has one owner", function()
  local url = "embedded:" .. new_directory()
  local client = assert(tokenstore.Client(url))
  fails("configuration", "in use by process ", tokenstore.Client(url))
  equal(client:execute "PING", "PONG")
  client:close()
  client = assert(tokenstore.Client(url))
  client:close()
end)

test("a private server ends with its owner", function()
  local ends = { "os.exit(0)", "os.execute 'kill -9 $PPID'", "error 'the end'", "" }
  for _, code in ipairs(ends) do
    local program = [[
      local client = require "tokenstore".Client "embedded:"
      print(client.url, (client:execute("INFO", "server"):match "process_id:(%d+)"))
      io.stdout:flush()
    ]]
    local script = new_directory() .. ".lua"
    local file = assert(io.open(script, "w"))
    file:write(program, code)
    file:close()
    local text = read(("'%s' '%s' 2>/dev/null"):format(harness.lua, script))
    local home, server = text:match "redis%+unix://(/.+)/socket%s+(%d+)"
    assert(home, text)
    harness.await("the end of its server", function()
      return not exists(home) and not exists("/proc/" .. server)
    end)
  end
end)

test("what is missing or unusable is named", function()
  fails("configuration", "no-such-server",
    tokenstore.Client { redis = "embedded:", server = "no-such-server" })
  fails("configuration", "Not a directory", tokenstore.Client "embedded:/dev/null")
  fails("connection", "exited while starting",
    tokenstore.Client { redis = "embedded:", server = "/bin/false" })
end)
