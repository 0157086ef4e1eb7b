/* lua_jwt_key.c - keys and key sets as immutable userdata. See lua_jwt.h. */
#include "lua_jwt.h"

#include <string.h>

#include "lua_convert.h"

/* The registry key of the list of both metatables. */
#define LIST_KEY "tokenstore.jwt/1"

void *tksp_lua_test_jwt(lua_State *L, int index, int up) {
    void *data = lua_touserdata(L, index);
    if (data != NULL && lua_getmetatable(L, index)) {
        int same = lua_rawequal(L, -1, lua_upvalueindex(up));
        lua_pop(L, 1);
        if (same) {
            return data;
        }
    }
    return NULL;
}

tks_bytes tksp_lua_optional_text(lua_State *L, int arg, const char *name) {
    size_t size = 0;
    const char *text = "";
    if (!lua_isnoneornil(L, arg)) {
        if (lua_type(L, arg) != LUA_TSTRING) {
            tksp_lua_raise(L, "bad argument '%s' (string expected, got %s)", name,
                           luaL_typename(L, arg));
        }
        text = lua_tolstring(L, arg, &size);
    }
    return tks_bytes_of(text, size);
}

/* ---- keys ------------------------------------------------------------------------------------- */

tksp_lua_key *tksp_lua_key_new(lua_State *L) {
    tksp_lua_key *box = lua_newuserdata(L, sizeof *box);
    box->key = NULL;
    tksp_lua_set_kind(L, TKSP_UP_KEY);
    return box;
}

/* The key that a metamethod was called with. Only the finalizer sees an empty one. */
static tks_key *check_key(lua_State *L) {
    const tksp_lua_key *box = tksp_lua_test_jwt(L, 1, TKSP_UP_KEY);
    if (box == NULL || box->key == NULL) {
        tksp_lua_raise(L, "a key expected, got %s", luaL_typename(L, 1));
        return NULL;
    }
    return box->key;
}

static int key_gc(lua_State *L) {
    tksp_lua_key *box = tksp_lua_test_jwt(L, 1, TKSP_UP_KEY);
    if (box != NULL) {
        tks_key_free(box->key);
        box->key = NULL;
    }
    return 0;
}

static void push_algorithms(lua_State *L, uint32_t set) {
    size_t count = 0;
    lua_newtable(L);
    for (unsigned i = 0; i < TKS_JWT_ALG_COUNT; i++) {
        if ((set & TKS_JWT_BIT(i)) != 0) {
            lua_pushstring(L, tks_jwt_alg_name((tks_jwt_alg)i));
            tksp_lua_set_item(L, -2, ++count);
        }
    }
}

/* key:to_jwk { private = … }: a table */
static int key_to_jwk(lua_State *L) {
    const tks_key *key = check_key(L);
    tksp_lua_scratch *jwk = NULL;
    tks_error err = TKS_ERROR_INIT;
    bool private_half = false;
    lua_settop(L, 2);
    jwk = tksp_lua_scratch_new(L);
    if (!lua_isnil(L, 2)) {
        if (!lua_istable(L, 2)) {
            tksp_lua_raise(L, "bad argument (table expected, got %s)", luaL_typename(L, 2));
        }
        lua_getfield(L, 2, "private");
        private_half = lua_toboolean(L, -1) != 0;
        if (!lua_isboolean(L, -1) && !lua_isnil(L, -1)) {
            tksp_lua_raise(L, "bad argument 'private' (boolean expected, got %s)",
                           luaL_typename(L, -1));
        }
    }
    tks_status status = tks_key_to_jwk(key, private_half, &jwk->tree, &err);
    if (status == TKS_OK) {
        tksp_lua_push_json(L, jwk->tree);
    }
    tksp_lua_scratch_clear(jwk);
    return tksp_lua_jwt_finish(L, status, &err);
}

/* key:thumbprint() */
static int key_thumbprint(lua_State *L) {
    char text[TKS_THUMBPRINT_SIZE];
    tks_error err = TKS_ERROR_INIT;
    tks_status status = tks_key_thumbprint(check_key(L), text, &err);
    lua_pushlstring(L, text, sizeof text);
    return tksp_lua_jwt_finish(L, status, &err);
}

/* key.kid, key.kind, key.algorithms (a new list), key.can_sign; key.to_jwk, key.thumbprint */
static int key_index(lua_State *L) {
    const tks_key *key = check_key(L);
    const char *name = lua_type(L, 2) == LUA_TSTRING ? lua_tostring(L, 2) : "";
    tks_bytes kid = tks_key_get_kid(key);

    if (strcmp(name, "kind") == 0) {
        lua_pushstring(L, tks_key_get_kind_name(key));
    } else if (strcmp(name, "algorithms") == 0) {
        push_algorithms(L, tks_key_get_algorithms(key));
    } else if (strcmp(name, "can_sign") == 0) {
        lua_pushboolean(L, tks_key_can_sign(key));
    } else if (strcmp(name, "to_jwk") == 0 || strcmp(name, "thumbprint") == 0) {
        (void)lua_getmetatable(L, 1); /* the metatable also contains the methods */
        lua_getfield(L, -1, name);
    } else if (strcmp(name, "kid") == 0 && kid.size > 0) {
        lua_pushlstring(L, kid.data, kid.size);
    } else {
        lua_pushnil(L);
    }
    return 1;
}

static int key_tostring(lua_State *L) {
    const tks_key *key = check_key(L);
    bool is_private = tks_key_can_sign(key) && tks_key_get_kind(key) != TKS_KEY_SECRET;
    lua_pushfstring(L, "tokenstore.jwt.Key: %s%s", tks_key_get_kind_name(key),
                    is_private ? " private" : "");
    return 1;
}

/* ---- key sets ----------------------------------------------------------------------------------- */

static tks_keyset *check_keyset(lua_State *L) {
    const tksp_lua_keyset *box = tksp_lua_test_jwt(L, 1, TKSP_UP_KEYSET);
    if (box == NULL || box->set == NULL) {
        tksp_lua_raise(L, "a key set expected, got %s", luaL_typename(L, 1));
        return NULL;
    }
    return box->set;
}

static int keyset_gc(lua_State *L) {
    tksp_lua_keyset *box = tksp_lua_test_jwt(L, 1, TKSP_UP_KEYSET);
    if (box != NULL) {
        tks_keyset_free(box->set);
        box->set = NULL;
    }
    return 0;
}

static int keyset_length(lua_State *L) {
    tks_key *const *keys = NULL;
    tksp_lua_push_integer(L, (int64_t)tks_keyset_get_keys(check_keyset(L), &keys));
    return 1;
}

/* set.skipped, set.keys (a new list) */
static int keyset_index(lua_State *L) {
    const tks_keyset *set = check_keyset(L);
    const char *name = lua_type(L, 2) == LUA_TSTRING ? lua_tostring(L, 2) : "";

    if (strcmp(name, "skipped") == 0) {
        tksp_lua_push_integer(L, (int64_t)tks_keyset_get_skipped(set));
    } else if (strcmp(name, "keys") == 0) {
        tks_key *const *keys = NULL;
        size_t count = tks_keyset_get_keys(set, &keys);
        tksp_lua_new_table(L, count, 0);
        for (size_t i = 0; i < count; i++) {
            tksp_lua_key_new(L)->key = tks_key_ref(keys[i]);
            tksp_lua_set_item(L, -2, i + 1);
        }
    } else {
        lua_pushnil(L);
    }
    return 1;
}

static int keyset_tostring(lua_State *L) {
    tks_key *const *keys = NULL;
    size_t count = tks_keyset_get_keys(check_keyset(L), &keys);
    lua_pushfstring(L, "tokenstore.jwt.KeySet: %d keys", (int)count);
    return 1;
}

/* ---- creation ----------------------------------------------------------------------------------- */

int tksp_lua_jwt_finish(lua_State *L, tks_status status, const tks_error *err) {
    return status == TKS_OK ? 1 : tksp_lua_fail(L, status, err);
}

tks_status tksp_lua_key_options(lua_State *L, tks_key_options *out, tks_error *err) {
    *out = (tks_key_options){.kid = tksp_lua_optional_text(L, 2, "kid")};
    if (!lua_isnoneornil(L, 4)) {
        out->password = tksp_lua_optional_text(L, 4, "password");
    }
    if (lua_isnoneornil(L, 3)) {
        return TKS_OK;
    }
    return tks_jwt_alg_add(tksp_lua_optional_text(L, 3, "algorithm"), &out->algorithms, err);
}

/* key_secret(secret, kid, algorithm) */
static int key_secret(lua_State *L) {
    tks_key_options options;
    tks_error err = TKS_ERROR_INIT;
    tks_bytes secret = tksp_lua_optional_text(L, 1, "secret");
    tks_status status = tksp_lua_key_options(L, &options, &err);
    tksp_lua_key *box = tksp_lua_key_new(L);
    if (status == TKS_OK) {
        status = tks_key_from_secret(secret, &options, NULL, &box->key, &err);
    }
    return tksp_lua_jwt_finish(L, status, &err);
}

/* The JSON text of argument 1: as it is, or written from a table to the scratch on top. */
static tks_status json_text(lua_State *L, const char *name, tksp_lua_scratch *scratch,
                            tks_bytes *out, tks_error *err) {
    tks_status status = TKS_OK;
    if (lua_istable(L, 1)) {
        status = tksp_lua_write_object(L, 1, &scratch->text, TKS_JWK_SIZE_MAX, name, err);
        *out = tks_buf_bytes(&scratch->text);
    } else {
        *out = tksp_lua_optional_text(L, 1, name);
    }
    return status;
}

int tksp_lua_key_jwk(lua_State *L, const tks_jwt_provider *provider) {
    tks_error err = TKS_ERROR_INIT;
    tks_bytes text = {0};
    tksp_lua_scratch *scratch = tksp_lua_scratch_new(L);
    tksp_lua_key *box = tksp_lua_key_new(L);
    tks_status status = json_text(L, "jwk", scratch, &text, &err);
    if (status == TKS_OK) {
        status = tks_key_from_jwk(text, provider, &box->key, &err);
    }
    tksp_lua_scratch_clear(scratch);
    return tksp_lua_jwt_finish(L, status, &err);
}

int tksp_lua_keyset_jwks(lua_State *L, const tks_jwt_provider *provider) {
    tks_error err = TKS_ERROR_INIT;
    tks_bytes text = {0};
    tksp_lua_scratch *scratch = tksp_lua_scratch_new(L);
    tksp_lua_keyset *box = lua_newuserdata(L, sizeof *box);
    tks_status status = TKS_OK;
    box->set = NULL;
    tksp_lua_set_kind(L, TKSP_UP_KEYSET);
    status = json_text(L, "jwks", scratch, &text, &err);
    if (status == TKS_OK) {
        status = tks_keyset_from_jwks(text, provider, &box->set, &err);
    }
    tksp_lua_scratch_clear(scratch);
    return tksp_lua_jwt_finish(L, status, &err);
}

static int key_jwk(lua_State *L) {
    return tksp_lua_key_jwk(L, NULL);
}

static int keyset_jwks(lua_State *L) {
    return tksp_lua_keyset_jwks(L, NULL);
}

/* ---- the module's functions ---------------------------------------------------------------------- */

/* Pushes `function` with the shared upvalues and both metatables of the list at `list`. */
static void push_function(lua_State *L, int list, lua_CFunction function) {
    tksp_lua_push_shared(L);
    tksp_lua_get_item(L, list, 1);
    tksp_lua_get_item(L, list, 2);
    lua_pushcclosure(L, function, TKSP_UP_KEYSET);
}

static void fill_metatable(lua_State *L, int list, size_t which, const char *name,
                           const luaL_Reg *functions) {
    tksp_lua_get_item(L, list, which);
    lua_pushstring(L, name);
    lua_setfield(L, -2, "__name");
    lua_pushstring(L, name);
    lua_setfield(L, -2, "__metatable");
    for (; functions->name != NULL; functions++) {
        push_function(L, list, functions->func);
        lua_setfield(L, -2, functions->name);
    }
    lua_pop(L, 1);
}

/* Pushes the list of both metatables, created by the module that is loaded first. */
static void push_list(lua_State *L) {
    static const luaL_Reg key[] = {
        {"__gc", key_gc},       {"__index", key_index},         {"__tostring", key_tostring},
        {"to_jwk", key_to_jwk}, {"thumbprint", key_thumbprint}, {NULL, NULL}};
    static const luaL_Reg keyset[] = {{"__gc", keyset_gc},
                                      {"__index", keyset_index},
                                      {"__len", keyset_length},
                                      {"__tostring", keyset_tostring},
                                      {NULL, NULL}};
    luaL_checkstack(L, TKSP_UP_KEYSET + 10, "not enough memory");
    lua_getfield(L, LUA_REGISTRYINDEX, LIST_KEY);
    if (lua_isnil(L, -1)) {
        int list = lua_gettop(L);
        lua_pop(L, 1);
        lua_createtable(L, 2, 0);
        lua_newtable(L);
        tksp_lua_set_item(L, list, 1);
        lua_newtable(L);
        tksp_lua_set_item(L, list, 2);
        fill_metatable(L, list, 1, "tokenstore.jwt.Key", key);
        fill_metatable(L, list, 2, "tokenstore.jwt.KeySet", keyset);
        lua_pushvalue(L, list);
        lua_setfield(L, LUA_REGISTRYINDEX, LIST_KEY);
    }
}

tksp_lua_keyset *tksp_lua_keyset_new(lua_State *L) {
    push_list(L);
    tksp_lua_get_item(L, lua_gettop(L), 2);
    tksp_lua_keyset *box = lua_newuserdata(L, sizeof *box);
    box->set = NULL;
    lua_insert(L, -3); /* below the list and the metatable */
    lua_remove(L, -2);
    lua_setmetatable(L, -2);
    return box;
}

void tksp_lua_set_jwt_functions(lua_State *L, const luaL_Reg *functions) {
    int list = lua_gettop(L) + 1;
    push_list(L);
    for (; functions->name != NULL; functions++) {
        push_function(L, list, functions->func);
        lua_setfield(L, list - 1, functions->name);
    }
    lua_pop(L, 1);
}

void tksp_lua_open_jwt(lua_State *L) {
    static const luaL_Reg functions[] = {{"key_secret", key_secret},
                                         {"key_jwk", key_jwk},
                                         {"keyset_jwks", keyset_jwks},
                                         {"jwt_decode", tksp_lua_jwt_decode},
                                         {"jwt_header", tksp_lua_jwt_header},
                                         {"jwt_encode", tksp_lua_jwt_encode},
                                         {NULL, NULL}};
    tksp_lua_set_jwt_functions(L, functions);
}
