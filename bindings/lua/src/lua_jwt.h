/* lua_jwt.h - keys, key sets and tokens for tokenstore.jwt, in tokenstore.core and tokenstore.openssl.
 *
 * Purpose:   core knows secrets and Ed25519 keys; tokenstore.openssl makes those of RSA and EC. A key is
 *            the same userdata whoever made it, and core decodes and encodes with all of them.
 * Lifecycle: a userdata holds one reference; it got its metatable first.
 * Threads:   as the Lua state. */
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

/* Pushes an empty set, in functions with whatever upvalues. */
tksp_lua_keyset *tksp_lua_keyset_new(lua_State *L);

/* Pushes an empty key. */
tksp_lua_key *tksp_lua_key_new(lua_State *L);

/* The userdata at `index` when its metatable is upvalue `up`, else NULL. */
void *tksp_lua_test_jwt(lua_State *L, int index, int up);

/* The string at `arg`; empty for nil. Raises for anything else, and for a number: what is meant is not
 * its text. */
tks_bytes tksp_lua_optional_text(lua_State *L, int arg, const char *name);

/* (jwk), (jwks): JSON text, or a table; -> key, set. `provider` may be NULL. */
int tksp_lua_key_jwk(lua_State *L, const tks_jwt_provider *provider);
int tksp_lua_keyset_jwks(lua_State *L, const tks_jwt_provider *provider);

/* Arguments 2 to 4: kid, algorithm and password, or nil. What is borrowed lives as long as the arguments. TKS_OK,
 * TKS_ERR_CONFIGURATION. */
tks_status tksp_lua_key_options(lua_State *L, tks_key_options *out, tks_error *err);

/* What a function returns that made what is on top: that, or its failure. */
int tksp_lua_jwt_finish(lua_State *L, tks_status status, const tks_error *err);

/* Adds functions with these upvalues to the table on top. */
void tksp_lua_set_jwt_functions(lua_State *L, const luaL_Reg *functions);

/* Adds what core has of all this to the table on top. */
void tksp_lua_open_jwt(lua_State *L);

/* lua_jwt.c: the keys of a Key, a KeySet or a list of Keys at `arg`, borrowed from it, and how many; may push a
 * userdata. Raises for anything else. For functions with the upvalues above. */
size_t tksp_lua_get_keys(lua_State *L, int arg, tks_key *const **out);

/* Seconds since the epoch. */
double tksp_lua_clock_now(void);

/* decode and encode, for tksp_lua_open_jwt. */
int tksp_lua_jwt_header(lua_State *L);
int tksp_lua_jwt_decode(lua_State *L);
int tksp_lua_jwt_encode(lua_State *L);

#endif
