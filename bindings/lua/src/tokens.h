/* tokens.h - the functions of tokenstore.core for RedisTokens and Sessions. */
#ifndef TOKENSTORE_LUA_TOKENS_H
#define TOKENSTORE_LUA_TOKENS_H

#include "shared.h"
#include "tokenstore/tokens.h"

/* The userdata behind a RedisTokens or Sessions object. */
typedef struct tksp_lua_tokens {
    tks_tokens *tokens;
    bool session;
} tksp_lua_tokens;

/* tokens, create, create_many, get, … : each makes an operation, or gives nil, message, code. */
extern const luaL_Reg tksp_lua_tokens_functions[];

/* execute, pipeline */
extern const luaL_Reg tksp_lua_raw_functions[];

#endif
