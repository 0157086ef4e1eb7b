-- A benchmark worker that requests the same token from Spike: reads jobs from stdin, prints "ok" when one is
-- done.
-- usage: worker_spike.lua URL
local tokenstore = require "tokenstore"

local spike = assert(tokenstore.Spike {
  url = arg[1], client_id = "client", client_secret = "secret", token_format = "opaque",
})

for line in io.lines() do
  for _ = 1, tonumber(line:match "%d+$") do
    assert(spike:get_token "https://api.example")
  end
  print "ok"
  io.stdout:flush()
end
