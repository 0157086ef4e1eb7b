/* lua_jwt.h - keys, key sets and tokens for tokenstore.jwt, in tokenstore.core and tokenstore.openssl.
 *
 * Purpose:   core creates secrets and Ed25519 keys; tokenstore.openssl creates RSA and EC keys. All are the
 *            same kind of userdata, and core decodes and encodes with all of them.
 * Lifecycle: a userdata owns one reference; it gets its metatable before that.
 * Threads:   those of the Lua state. */
#ifndef TKSP_LUA_JWT_H
#define TKSP_LUA_JWT_H

#include "lua_shared.h"
#include "tokenstore/jwt.h"

/* Upvalues after the shared ones, of every function here. */
enum {
    TKSP_UP_KEY = TKSP_UP_COUNT + 1, /* metatable of tksp_lua_key */
    TKSP_UP_KEYSET                   /* metatable of tksp_lua_keyset */
};

typedef struct tksp_lua_key {
    tks_key *key; /* NULL: not made */
} tksp_lua_key;

typedef struct tksp_lua_keyset {
    tks_keyset *set; /* NULL: not made */
} tksp_lua_keyset;

/* Pushes an empty set; works in functions with any upvalues. */
tksp_lua_keyset *tksp_lua_keyset_new(lua_State *L);

/* Pushes an empty key. */
tksp_lua_key *tksp_lua_key_new(lua_State *L);

/* The userdata at `index` if its metatable is upvalue `up`, else NULL. */
void *tksp_lua_test_jwt(lua_State *L, int index, int up);

/* The string at `arg`; empty for nil. Raises for anything else, including a number. */
tks_bytes tksp_lua_optional_text(lua_State *L, int arg, const char *name);

/* (jwk), (jwks): JSON text, or a table; -> key, set. `provider` may be NULL. */
int tksp_lua_key_jwk(lua_State *L, const tks_jwt_provider *provider);
int tksp_lua_keyset_jwks(lua_State *L, const tks_jwt_provider *provider);

/* Arguments 2 to 4: kid, algorithm and password, or nil. The result borrows from the arguments. TKS_OK,
 * TKS_ERR_CONFIGURATION. */
tks_status tksp_lua_key_options(lua_State *L, tks_key_options *out, tks_error *err);

/* Returns the new object on top, or the failure. */
int tksp_lua_jwt_finish(lua_State *L, tks_status status, const tks_error *err);

/* Adds functions with these upvalues to the table on top. */
void tksp_lua_set_jwt_functions(lua_State *L, const luaL_Reg *functions);

/* Adds the functions of core to the table on top. */
void tksp_lua_open_jwt(lua_State *L);

/* lua_jwt.c: the keys of a Key, a KeySet or a list of Keys at `arg`, borrowed from it, and their number; may
 * push a userdata. Raises for anything else. Only for functions with the upvalues above. */
size_t tksp_lua_get_keys(lua_State *L, int arg, tks_key *const **out);

/* Seconds since the epoch. */
double tksp_lua_clock_now(void);

/* decode and encode, for tksp_lua_open_jwt. */
int tksp_lua_jwt_header(lua_State *L);
int tksp_lua_jwt_decode(lua_State *L);
int tksp_lua_jwt_encode(lua_State *L);

#endif
