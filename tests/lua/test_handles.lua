-- The userdata of the blocking driver: other kinds are rejected.

local harness = require "harness"
local tokenstore = require "tokenstore"
local raises, test = harness.raises, harness.test

local tokens = harness.store()
local good = { get = { app = "a", type = "t", token = "x", refresh = 5, expiry = true } }

test("handles of another kind are refused", function()
  local core = require "tokenstore.core"
  local blocking = require "tokenstore.blocking"
  for _, other in ipairs { tokens._handle, io.stdout, tokenstore.null, {}, "x", 1 } do
    raises("tokenstore.store expected", core.operations.RedisTokens.get, other, good.get)
  end
  local op = core.operations.RedisTokens.get(tokens._store, good.get)
  for _, other in ipairs { tokens._store, op, io.stdout, {}, "x" } do
    raises("tokenstore.client expected", blocking.run, other, op)
  end
  for _, other in ipairs { tokens._store, tokens._handle, io.stdout, {}, "x" } do
    raises("tokenstore.op expected", blocking.run, tokens._handle, other)
  end
  blocking.run(tokens._handle, op)
  raises("already been run", blocking.run, tokens._handle, op)
  raises("expected", core.operations.RedisTokens.get)
  raises("expected", blocking.run)
end)

test("metatables of handles are closed", function()
  for _, handle in ipairs { tokens._store, tokens._handle, tokenstore.null } do
    harness.equal(type(getmetatable(handle)), "string")
  end
end)
