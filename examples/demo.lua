-- The Lua part of `make demo` (see demo.py): the same store, a token that Python made.
-- TOKENSTORE_URL is the server; the token's secret comes by stdin.
local tokenstore = require "tokenstore"

local function say(what, text, ...) print(("  %-10s " .. text):format(what, ...)) end

local function clock(seconds) return os.date("%H:%M:%S", math.floor(seconds)) end

local tokens = assert(tokenstore.RedisTokens())
local secret = io.read "*a"

local found = assert(tokens:get { app = "shop", type = "login", token = secret, expiry = true })
say("found", "%s's token that Python made: %s, role %s", found.owner, found.data.name, found.data.role)

local updated = assert(tokens:update {
  app = "shop", type = "login", token = secret, data = { role = "editor", seen_by = _VERSION },
})
say("updated", "role %s, name still %s", updated.data.role, updated.data.name)

local console = assert(tokens:create {
  app = "shop", type = "login", owner = "bob", duration = 60,
  data = { device = "console", tags = tokenstore.array {} },
})
say("created", "bob's console, id %s, until %s", console.id, clock(console.expires_at))

local slid = assert(tokens:get { app = "shop", type = "login", token = console.token, refresh = 120 })
say("slid", "expires %s", clock(slid.expires_at))

local rotated = assert(tokens:rotate { app = "shop", type = "login", token = console.token })
local old = tokens:get { app = "shop", type = "login", token = console.token }
say("rotated", "new id %s; the old token finds %s", rotated.id, tostring(old))

local listed = assert(tokens:list { app = "shop", type = "login", owner = "bob" })
say("listed", "%d tokens of bob's, Python's among them", #listed)

local gone = assert(tokens:delete { app = "shop", type = "login", token = rotated.token })
say("revoked", "the console, by its token: %s", tostring(gone))
tokens:close()
