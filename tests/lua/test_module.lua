-- The module and its constructors: options, defaults, names, environment.

local harness = require "harness"
local tokenstore = require "tokenstore"
local equal, fails, raises, test = harness.equal, harness.fails, harness.raises, harness.test

test("null prints as null and is one value", function()
  equal(tostring(tokenstore.null), "null")
  assert(tokenstore.null == require("tokenstore.core").null)
  assert(tokenstore.null ~= nil and tokenstore.null ~= false)
end)

test("array marks the table it is given, or a new one", function()
  local t = { 1, 2 }
  assert(tokenstore.array(t) == t)
  assert(getmetatable(t) == getmetatable(tokenstore.array()))
  assert(getmetatable(t) == getmetatable(tokenstore.array {}))
  raises("table expected, got string", tokenstore.array, "x")
end)

test("second names of classes", function()
  assert(tokenstore.SpotsSessions == tokenstore.Sessions)
  assert(tokenstore.RedisJwt == tokenstore.RedisJWT)
end)

test("camelCase names are the same functions", function()
  local signed = assert(tokenstore.RedisJWT { secret = ("x"):rep(32) })
  for _, class in ipairs { tokenstore.RedisTokens, tokenstore.Sessions, tokenstore.Client,
    tokenstore.Spike, tokenstore.Tokenstore, tokenstore.RedisJWT, getmetatable(signed:call()) } do
    for name, method in pairs(class) do
      local camel = name:gsub("(%l)_(%l)", function(a, b) return a .. b:upper() end)
      if type(method) == "function" and camel ~= name then
        assert(class[camel] == method, name)
      end
    end
  end
  assert(tokenstore.RedisTokens.deleteAll and tokenstore.Sessions.killAll and tokenstore.Spike.getToken)
  assert(tokenstore.getTokenCreator == tokenstore.get_token_creator)
end)

test("a URL, a table, or both", function()
  for _, class in ipairs { tokenstore.RedisTokens, tokenstore.Sessions, tokenstore.Client } do
    for _, made in ipairs {
      class(harness.url),
      class { redis = harness.url },
      class(harness.url, { timeout = 3 }),
      class { redis = harness.url, timeout = 3, connect_timeout = 0.5, pool_size = 2 },
    } do
      equal((made.client or made):execute("PING"), "PONG")
      made:close()
    end
  end
  equal(tokenstore.Client { url = harness.url }:execute("PING"), "PONG")
  equal(tokenstore.Sessions { connection_string = harness.url }.client:execute("PING"), "PONG")
  equal(tokenstore.Sessions { connectionString = harness.url }.client:execute("PING"), "PONG")
end)

test("options in camelCase", function()
  local tokens = harness.store { tokenSize = 16, tokenEncoding = "hex" }
  local token = tokens:create { app = "a", type = "t", owner = "o" }.token
  assert(token:match "^[0-9a-f]+$", token)
end)

test("a shared client", function()
  local client = assert(tokenstore.Client(harness.url))
  local a = assert(tokenstore.RedisTokens(client))
  local b = assert(tokenstore.Sessions { redis = client, prefix = "x" })
  assert(a.client == client and b.client == client)
  a:close()
  b:close()
  equal(client:execute("PING"), "PONG")
  client:close()
  fails("closed", "closed", a:get { app = "a", type = "t", token = "x" })
  raises("'timeout' is an option of the client", function()
    return tokenstore.RedisTokens { redis = client, timeout = 1 }
  end)
  raises("got a Client", tokenstore.Client, client)
end)

test("an unknown option raises, is named, and where it was written is told", function()
  for _, class in ipairs { tokenstore.RedisTokens, tokenstore.Sessions, tokenstore.Client } do
    local message = raises("unknown option 'prefx'", function()
      local made = class { redis = harness.url, prefx = "a" }
      return made
    end)
    harness.matches(message, "test_module.lua:")
  end
  raises("unknown option '1'", tokenstore.RedisTokens, { harness.url })
  raises("unknown option 'prefix'", tokenstore.Client, { prefix = "a" })
  raises("unknown option 'connection_string'", tokenstore.RedisTokens, { connection_string = "x" })
end)

test("options of a wrong type raise and are named", function()
  raises("'prefix' (string expected, got number)", tokenstore.RedisTokens, { prefix = 1 })
  raises("'pepper' (string or list of strings expected, got boolean)", tokenstore.RedisTokens,
    { pepper = false })
  raises("'pepper' (string expected, got number, as item 2)", tokenstore.RedisTokens,
    { pepper = { ("p"):rep(16), 5 } })
  raises("'max_age' (number expected, got string)", tokenstore.RedisTokens, { max_age = "1" })
  raises("'timeout' (number expected, got string)", tokenstore.Client, { timeout = "1" })
  raises("'redis' (URL or Client expected, got number)", tokenstore.Client, 6379)
  raises("'redis' (URL or Client expected, got boolean)", tokenstore.RedisTokens, { redis = true })
  raises("twice", tokenstore.RedisTokens, harness.url, { redis = harness.url })
  raises("#2", tokenstore.RedisTokens, { redis = harness.url }, {})
  raises("#2", tokenstore.RedisTokens, harness.url, "prefix")
end)

test("what is wrong with a URL or an option's value is a failure with a code", function()
  fails("configuration", "scheme", tokenstore.RedisTokens("http://localhost"))
  fails("configuration", "colour", tokenstore.RedisTokens("redis://localhost?colour=red"))
  fails("configuration", "timeout", tokenstore.Client { redis = harness.url, timeout = -1 })
  fails("configuration", "timeout", tokenstore.Client { redis = harness.url, timeout = 0 / 0 })
  fails("configuration", "max_connection_age must be 0",
    tokenstore.Client { redis = harness.url, max_connection_age = -1 })
  fails("configuration", "pool_size", tokenstore.Client { redis = harness.url, pool_size = 1.5 })
  fails("configuration", "ca", tokenstore.Client { redis = harness.url, ca = "/x" })
  fails("configuration", "token_size", tokenstore.RedisTokens { token_size = 20.5 })
end)

test("nobody there is a connection failure of the call, not of the constructor", function()
  local tokens = assert(tokenstore.RedisTokens {
    redis = "unix://" .. harness.dir .. "/nobody.sock", timeout = 0.3,
  })
  local found, message, code = tokens:get { app = "a", type = "t", token = ("x"):rep(20) }
  equal(found, nil)
  assert(code == "connection" or code == "timeout", code)
  assert(#message > 0)
end)

-- Runs code in a new interpreter with TOKENSTORE_URL set to `url`; returns its output.
local function with_environment(url, code)
  local name = harness.dir .. "/environment.lua"
  local file = assert(io.open(name, "w"))
  file:write(code)
  file:close()
  local pipe = assert(io.popen(("TOKENSTORE_URL='%s' '%s' '%s' 2>&1"):format(url, harness.lua, name)))
  local output = pipe:read "*a"
  pipe:close()
  return output
end

test("without a URL TOKENSTORE_URL says where, else localhost", function()
  local code = [[
    local tokenstore = require "tokenstore"
    for _, class in ipairs { tokenstore.Client, tokenstore.RedisTokens, tokenstore.Sessions } do
      local a, b = assert(class()), assert(class {})
      io.write((a.client or a).url, " ", (b.client or b).url, "\n")
    end
  ]]
  equal(with_environment("redis://example.com:7000", code),
    ("redis://example.com:7000/0 redis://example.com:7000/0\n"):rep(3))
  equal(with_environment("", code), ("redis://localhost:6379/0 redis://localhost:6379/0\n"):rep(3))
end)

test("printing shows the server but no password", function()
  local client = assert(tokenstore.Client "redis://bob:sesame@example.com:7000/2")
  local sessions = assert(tokenstore.Sessions(client))
  for _, text in ipairs { tostring(client), tostring(sessions), client.url } do
    harness.matches(text, "example.com:7000")
    assert(not text:find "sesame" and not text:find "bob", text)
  end
  harness.matches(tostring(client), "tokenstore.Client")
  harness.matches(tostring(sessions), "tokenstore.Sessions")
end)

test("the modules show nothing but luaopen, and the core needs no OpenSSL", function()
  for _, name in ipairs { "core", "blocking", "openssl", "oauth" } do
    local path = package.cpath:gsub("%?", "tokenstore/" .. name)
    local found
    for candidate in path:gmatch "[^;]+" do
      local file = io.open(candidate)
      if file then
        file:close()
        found = found or candidate
      end
    end
    local pipe = assert(io.popen(("LD_PRELOAD= nm -D --defined-only '%s'"):format(found)))
    local symbols = {}
    for symbol in pipe:read("*a"):gmatch " [A-Z] (%S+)" do
      if not symbol:find "^__" and not symbol:find "^_" then
        symbols[#symbols + 1] = symbol
      end
    end
    pipe:close()
    equal(symbols, { "luaopen_tokenstore_" .. name })
    pipe = assert(io.popen(("LD_PRELOAD= objdump -p '%s'"):format(found)))
    local needed = pipe:read "*a"
    pipe:close()
    equal(needed:find "NEEDED +libcrypto" ~= nil, name ~= "core", name .. " links OpenSSL")
    equal(needed:find "NEEDED +libcurl" ~= nil, name == "oauth", name .. " links libcurl")
  end
end)
