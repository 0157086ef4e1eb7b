-- One service calls another with an access token, which is fetched once and cached.
-- Runs on $SPIKE_URL, which `python examples/spike_server.py` prints, and shares its tokens with other
-- processes through $TOKENSTORE_URL, if that is set.
local tokenstore = require "tokenstore"

local URL = assert(os.getenv "SPIKE_URL", "SPIKE_URL is not set: see examples/spike_server.py")
local AUDIENCE = "https://hello.example"

local spike = assert(tokenstore.Spike {
  url = URL,
  client_id = os.getenv "SPIKE_CLIENT_ID" or "my-client",
  client_secret = os.getenv "SPIKE_CLIENT_SECRET" or "my-secret",
  jwks_url = URL .. "/.well-known/jwks.json",
  redis = os.getenv "TOKENSTORE_URL",
})

-- The headers for each request of your HTTP client; nil, message, code if there is no token.
local function headers()
  local token, message, code = spike:get_token(AUDIENCE)
  if not token then return nil, message, code end
  return { Authorization = "Bearer " .. token }
end

-- The service answered with 401: this token is forgotten, and the next call gets another.
local function refused(token) return assert(spike:invalidate { audience = AUDIENCE, token = token }) end

local first = assert(headers()).Authorization
assert(assert(headers()).Authorization == first) -- from memory, without a request
refused(first:match "^Bearer (.*)$")
assert(assert(headers()).Authorization:find "^Bearer ")
spike:close()

local wrong = assert(tokenstore.Spike {
  url = URL, client_id = "my-client", client_secret = "wrong", token_format = "opaque",
})
local token, message, code = wrong:get_token(AUDIENCE)
assert(token == nil and code == "spike_auth")
print("refused: " .. message)
wrong:close()
