/* lua_tokens.h - the parts of tokenstore.core: lua_store.c, lua_tokens.c, lua_node_tokens.c, lua_raw.c. A function of theirs
 * gives what it made, or nil, message, code. */
#ifndef TKSP_LUA_TOKENS_H
#define TKSP_LUA_TOKENS_H

#include "lua_shared.h"
#include "tokenstore/tokens.h"

/* The userdata behind a RedisTokens or Sessions object. */
typedef struct tksp_lua_tokens {
    tks_tokens *tokens;
    bool session;
} tksp_lua_tokens;

/* Each adds its functions to the table on top. */
void tksp_lua_open_store(lua_State *L); /* tokens(session, options): such a handle */
void tksp_lua_open_tokens(
    lua_State *L); /* create(handle, arguments) and so on: an operation each */
/* node_tokens(options): a handle of Tokenstore; and the table `node` of functions that take one. */
void tksp_lua_open_node_tokens(lua_State *L);

/* jwt_sessions(keys, algorithm, …): a handle of RedisJWT; and the table `rjwt` of functions that take one. */
void tksp_lua_open_jwt_sessions(lua_State *L);
void tksp_lua_open_raw(lua_State *L); /* execute, pipeline */

#endif
