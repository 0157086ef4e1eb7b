/* lua_openssl.c - the module tokenstore.openssl: RSA and EC keys, and PEM.
 *
 * A separate module, loaded when such a key is created (tokenstore/jwt.lua): it links OpenSSL, and a host
 * such as nginx may have its own. */
#include "lua_jwt.h"
#include "tokenstore/secret.h"

/* key_pem(pem, kid, algorithm, password) */
static int key_pem(lua_State *L) {
    tks_key_options options;
    tks_error err = TKS_ERROR_INIT;
    tks_bytes pem = tksp_lua_optional_text(L, 1, "pem");
    tks_status status = tksp_lua_key_options(L, &options, &err);
    tksp_lua_key *box = tksp_lua_key_new(L);
    if (status == TKS_OK) {
        status = tks_key_from_pem(pem, &options, &box->key, &err);
    }
    return tksp_lua_jwt_finish(L, status, &err);
}

static int key_jwk(lua_State *L) {
    return tksp_lua_key_jwk(L, tks_jwt_openssl());
}

static int keyset_jwks(lua_State *L) {
    return tksp_lua_keyset_jwks(L, tks_jwt_openssl());
}

/* keyset_published(text): the public keys of a JWKS or PEM */
static int keyset_published(lua_State *L) {
    tks_error err = TKS_ERROR_INIT;
    tks_bytes text = tksp_lua_optional_text(L, 1, "text");
    tksp_lua_keyset *box = tksp_lua_keyset_new(L);
    return tksp_lua_jwt_finish(L, tks_keyset_from_published(text, &box->set, &err), &err);
}

TKSP_LUA_OPEN int luaopen_tokenstore_openssl(lua_State *L);

int luaopen_tokenstore_openssl(lua_State *L) {
    static const luaL_Reg functions[] = {{"key_pem", key_pem},
                                         {"key_jwk", key_jwk},
                                         {"keyset_jwks", keyset_jwks},
                                         {"keyset_published", keyset_published},
                                         {NULL, NULL}};
    tks_error err = TKS_ERROR_INIT;
    if (tks_secret_start(&err) != TKS_OK) {
        return luaL_error(L, "tokenstore: %s", err.message);
    }
    lua_newtable(L);
    tksp_lua_set_jwt_functions(L, functions);
    return 1;
}
