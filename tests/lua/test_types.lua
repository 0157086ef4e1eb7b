-- The .d.lua files declare every public name of the module, and nothing else.

local harness = require "harness"
local tokenstore = require "tokenstore"
local test = harness.test

local function read_types(module)
  for template in package.path:gmatch "[^;]+" do
    local file = io.open((template:gsub("%?", "tokenstore/" .. module .. ".d")))
    if file then
      local text = file:read "*a"
      file:close()
      return text
    end
  end
  error(module .. ".d.lua was not found")
end

local types = ""
for _, module in ipairs {
  "tokenstore", "audit", "sessions", "node_tokens", "redis_jwt", "spike",
} do
  types = types .. read_types(module) .. "\n"
end

local CLASSES = {
  Client = true, RedisJWT = true, RedisTokens = true, Sessions = true, Spike = true, Tokenstore = true,
}

-- The public functions of a class: without an underscore, without internal helpers.
local INTERNAL = { Client = { is = true, open = true, nonblocking = true } }

test("every public function is declared, with its parameters and results", function()
  for class in pairs(CLASSES) do
    for name, value in pairs(tokenstore[class]) do
      local internal = name:find "^_" or (INTERNAL[class] or {})[name]
      if type(value) == "function" and not internal then
        local declared = types:find(("\nfunction %s:%s("):format(class, name), 1, true)
          or types:find(("\nfunction %s.%s("):format(class, name), 1, true)
          or types:find(("\n%s.%s = %s."):format(class, name, class), 1, true)
        assert(declared, class .. "." .. name .. " is not in tokenstore.d.lua")
      end
    end
  end
  for name in pairs(tokenstore) do
    assert(types:find(("\ntokenstore.%s = "):format(name), 1, true)
      or types:find(("\nfunction tokenstore.%s("):format(name), 1, true),
      name .. " is not in tokenstore.d.lua")
  end
end)

test("every declared function exists", function()
  for class, name in types:gmatch "\nfunction (%u%w+)[:.]([%w_]+)" do
    assert(type(tokenstore[class][name]) == "function", class .. ":" .. name)
  end
  for class, alias, name in types:gmatch "\n(%u%w+)%.([%w_]+) = %u%w+%.([%w_]+)" do
    assert(tokenstore[class][alias] == tokenstore[class][name], class .. "." .. alias)
  end
  for name in types:gmatch "\ntokenstore%.([%w_]+) = " do
    assert(tokenstore[name] ~= nil, name)
  end
end)

-- Fields of a declared class and of its parents.
local function fields(class)
  local parent, body = types:match("\n%-%-%-@class " .. class:gsub("%.", "%%.") .. ":? ?([%w%.]*)\n(.-)\n\n")
  assert(body, class .. " is not declared")
  local found = parent ~= "" and fields(parent) or {}
  for name, optional in ("\n" .. body):gmatch "\n%-%-%-@field ([%w_]+)(%??)" do
    found[name] = optional == "?" and "optional" or "required"
  end
  return found
end

test("options are declared as they are known", function()
  local options = require "tokenstore.options"
  local known = { redis = true }
  for name in pairs(options.CLIENT) do known[name] = true end
  for name in pairs(known) do
    assert(fields("tokenstore.ClientOptions")[name], name)
  end
  for name in pairs(options.kinds "RedisTokens") do known[name] = true end
  local declared = fields "tokenstore.StoreOptions"
  for name in pairs(known) do
    assert(declared[name], name .. " is not declared")
  end
  for name in pairs(declared) do
    assert(known[name], name .. " is declared and not known")
  end
  assert(fields("tokenstore.SessionsOptions").connection_string)
end)

-- The known names listed in a message.
local function known_in(message)
  local found = {}
  for name in assert(message:match "known are: ([^)]*)", message):gmatch "[%w_]+" do
    found[name] = true
  end
  return found
end

local function same_names(known, declared, what)
  for name in pairs(known) do
    assert(declared[name], name .. " of " .. what .. " is not declared")
  end
  for name in pairs(declared) do
    assert(known[name], name .. " of " .. what .. " is declared and not known")
  end
end

test("options of Tokenstore are declared as they are known", function()
  local _, message = pcall(tokenstore.Tokenstore, { nonsense_for_test = 1 })
  same_names(known_in(message), fields "tokenstore.TokenstoreOptions", "Tokenstore")
end)

test("options of RedisJWT are declared as they are known", function()
  local _, message = pcall(tokenstore.RedisJWT, { nonsense_for_test = 1 })
  same_names(known_in(message), fields "tokenstore.RedisJWTOptions", "RedisJWT")
end)

test("options of Spike are declared as they are known", function()
  local _, message = pcall(tokenstore.Spike, { nonsense_for_test = 1 })
  same_names(known_in(message), fields "tokenstore.SpikeOptions", "Spike")
  _, message = pcall(tokenstore.Spike, { url = "x", client_id = "x", client_secret = "x",
    retry = { nonsense_for_test = 1 } })
  same_names(known_in(message), fields "tokenstore.Retry", "retry")
  for name in pairs(fields "tokenstore.TokenCreatorOptions") do
    if name ~= "logger" then
      _, message = tokenstore.get_token_creator { [name] = {} }
      harness.matches(message, name .. " must be")
    end
  end
end)

-- The known arguments of a method, from its error for an unknown one.
local function known_arguments(object, method)
  local _, message = pcall(object[method], object, { nonsense_for_test = 1 })
  return known_in(message)
end

test("arguments are declared as they are known", function()
  local objects = {
    Client = harness.store().client,
    RedisTokens = harness.store(),
    Sessions = harness.store({}, tokenstore.Sessions),
    Spike = tokenstore.Spike { url = "http://x", client_id = "x", client_secret = "x" },
    Tokenstore = harness.store({}, tokenstore.Tokenstore),
    RedisJWT = tokenstore.RedisJWT { redis = harness.url, secret = ("x"):rep(32) },
  }
  local checked = 0
  for args, class, method in
    types:gmatch "%-%-%-@param args%?? tokenstore%.(%w+)\n[^\n]*\n[^\n]*\n[^\n]*\nfunction (%w+):([%w_]+)" do
    same_names(known_arguments(objects[class], method), fields("tokenstore." .. args),
      class .. ":" .. method)
    checked = checked + 1
  end
  assert(checked >= 30, checked)
end)

test("fields of values are declared as they are given", function()
  local tokens = harness.store { touch_interval = 0 }
  local request = { address = "::1" }
  local token = tokens:create { app = "a", type = "t", owner = "o", idle = 100, request = request }
  assert(tokens:rotate { app = "a", type = "t", token = token.token, grace = 60 })
  repeat -- a use in the millisecond of the creation changes nothing
    token = tokens:get { app = "a", type = "t", token = token.token, refresh = true }
  until token.seen_at
  local sessions = harness.store({ touch_interval = 0 }, tokenstore.Sessions)
  local made = sessions:create { app = "a", owner_id = "o", idle = 5, request = request }
  assert(sessions:rotate { app = "a", token = made, grace = 60 })
  local session
  repeat
    session = sessions:get { app = "a", refresh = true, token = made }
  until session.seen_at
  local stored = harness.store({}, tokenstore.Tokenstore):add { owner_id = "o" }
  for class, value in pairs {
    ["tokenstore.Token"] = token, ["tokenstore.Session"] = session, ["tokenstore.NodeToken"] = stored,
  } do
    local declared = fields(class)
    for name in pairs(value) do
      assert(declared[name], name .. " is not declared")
    end
    for name in pairs(declared) do
      assert(value[name] ~= nil, name .. " is declared and not given")
    end
  end
end)
