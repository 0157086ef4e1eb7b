-- The Lua half of run.py: a token from the server at $ISSUER, whose client's key comes on standard input.
local tokenstore = require "tokenstore"

local spike = assert(tokenstore.Spike.discover {
  issuer = os.getenv "ISSUER",
  client_id = "by-key",
  client_key = io.read "*a",
  audience_parameter = "resource",
})
local asked = { audience = "https://orders.example", scope = "read" }
local token = assert(spike:get_token(asked))
print(("  %-10s %d bytes, and the next call finds it in memory: %s"):format(
  "fetched", #token, tostring(spike:get_token(asked) == token)))
spike:close()
