-- tokenstore: tokens and sessions in Redis or Valkey, and access tokens from an OAuth 2.0 server.
--
--     local tokenstore = require "tokenstore"
--     local tokens = tokenstore.RedisTokens("redis://localhost:6379")
--     local token = assert(tokens:create{ app = "web", type = "login", owner = "bob",
--                                         data = { role = "admin" }, duration = 3600 })
--     local found = tokens:get{ app = "web", type = "login", token = token.token }
--
-- Results of every method:
--   found      a value
--   not found  nil, false, 0 or {}, and no second value
--   failure    nil, message, code  (codes: tokenstore.d.lua); a wrong argument type raises
--
-- This works in Lua 5.1, LuaJIT, 5.3 and 5.4. Types for editors: tokenstore.d.lua.

local core = require "tokenstore.core"
local client = require "tokenstore.client"
local jwt = require "tokenstore.jwt"
local node_tokens = require "tokenstore.node_tokens"
local redis_jwt = require "tokenstore.redis_jwt"
local sessions = require "tokenstore.sessions"
local spike = require "tokenstore.spike"
local tokens = require "tokenstore.tokens"

return {
  _VERSION = "tokenstore " .. core.version,

  Client = client,
  RedisTokens = tokens,
  Sessions = sessions,
  SpotsSessions = sessions,

  -- Tokens in the format of the Node package tokenstore.
  Tokenstore = node_tokens,

  -- Signed tokens with sessions in Redis, in the format of the Node package redis-jwt.
  RedisJWT = redis_jwt,
  RedisJwt = redis_jwt,

  -- Access tokens by OAuth 2.0 client credentials, and the same from the options of the Node package
  -- spike-get-token.
  Spike = spike.Spike,
  get_token_creator = spike.get_token_creator,
  getTokenCreator = spike.get_token_creator,

  -- Signed JSON Web Tokens.
  jwt = jwt,

  -- JSON's null: in data that was read, and in `update` to delete a field.
  null = core.null,

  -- A field that is not there, in `update`'s `expect`. In its `data` it leaves a field unchanged.
  unset = core.unset,

  -- array(t): marks t (or a new table) as an array, so that it stays one when it is empty. Arrays that were
  -- read are already marked.
  array = core.array,
}
