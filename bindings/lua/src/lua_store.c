/* lua_store.c - the handles of stores, and what makes them of their options. See lua_store.h. */
#include "lua_store.h"

#include <string.h>

#include "lua_args.h"
#include "lua_jwt.h"
#include "tokenstore/jwt_sessions.h"
#include "tokenstore/node_tokens.h"

static int store_gc(lua_State *L) {
    tksp_lua_store *self = tksp_lua_check(L, 1, TKSP_UP_STORE);
    if (self->core != NULL) {
        self->type->free(self->core);
        self->core = NULL;
    }
    return 0;
}

/* Pushes a handle that holds nothing yet. */
static tksp_lua_store *push_store(lua_State *L, const tks_store_type *type) {
    tksp_lua_store *self = lua_newuserdata(L, sizeof *self);
    self->type = type;
    self->core = NULL;
    tksp_lua_set_kind(L, TKSP_UP_STORE);
    return self;
}

/* What a function returns that made what is on top: that, or its failure. */
static int finish(lua_State *L, tks_status status, const tks_error *err) {
    return status == TKS_OK ? 1 : tksp_lua_fail(L, status, err);
}

/* ---- RedisTokens, Sessions -------------------------------------------------------------------- */

/* Stack: 1 the table, then the options as they are numbered here. */
enum {
    TABLE = 1,
    PREFIX,
    TOKEN_SIZE,
    TOKEN_ENCODING,
    PEPPER,
    MAX_AGE,
    TOUCH_INTERVAL,
    MAX_PER_OWNER,
    MAX_DATA_SIZE
};

static const tksp_lua_param option_params[] = {
    {"prefix", LUA_TSTRING, false},         {"token_size", LUA_TNUMBER, false},
    {"token_encoding", LUA_TSTRING, false}, {"pepper", LUA_TSTRING, false},
    {"max_age", LUA_TNUMBER, false},        {"touch_interval", LUA_TNUMBER, false},
    {"max_per_owner", LUA_TNUMBER, false},  {"max_data_size", LUA_TNUMBER, false},
};
enum { OPTION_COUNT = sizeof option_params / sizeof option_params[0] };

/* These leave *out alone where nothing was given; what is wrong goes to `err`. */

static void read_encoding(lua_State *L, tks_encoding *out, tks_error *err) {
    const char *name = lua_tostring(L, TOKEN_ENCODING);
    if (name == NULL || strcmp(name, "base64url") == 0) {
        *out = TKS_BASE64URL;
    } else if (strcmp(name, "base64") == 0) {
        *out = TKS_BASE64;
    } else if (strcmp(name, "hex") == 0) {
        *out = TKS_HEX;
    } else {
        tks_fail(err, TKS_ERR_CONFIGURATION,
                 "token_encoding must be \"base64url\", \"base64\" or \"hex\"");
    }
}

/* A wrong duration is wrong configuration here. */
static void read_duration(lua_State *L, int slot, int64_t *out_ms, tks_error *err) {
    tks_error why = TKS_ERROR_INIT;
    if (lua_isnil(L, slot)) {
        return;
    }
    if (tksp_lua_to_duration(L, slot, option_params[slot - PREFIX].name, out_ms, &why) != TKS_OK) {
        tks_fail(err, TKS_ERR_CONFIGURATION, "%s", why.message);
    }
}

/* As a duration, but 0 is good too: write every time. */
static void read_touch_interval(lua_State *L, int64_t *out_ms, tks_error *err) {
    if (!lua_isnil(L, TOUCH_INTERVAL) && lua_tonumber(L, TOUCH_INTERVAL) == 0) {
        *out_ms = 0;
    } else {
        read_duration(L, TOUCH_INTERVAL, out_ms, err);
    }
}

static tks_status read_options(lua_State *L, tks_tokens_options *out, tks_error *err) {
    int64_t token_size = 0;
    int64_t max_data_size = 0;
    tksp_lua_read_text(L, PREFIX, "prefix", &out->prefix, err);
    tksp_lua_read_whole(L, TOKEN_SIZE, "token_size", &token_size, err);
    read_encoding(L, &out->encoding, err);
    tksp_lua_read_text(L, PEPPER, "pepper", &out->pepper, err);
    read_duration(L, MAX_AGE, &out->max_age_ms, err);
    read_touch_interval(L, &out->touch_interval_ms, err);
    tksp_lua_read_whole(L, MAX_PER_OWNER, "max_per_owner", &out->max_per_owner, err);
    tksp_lua_read_whole(L, MAX_DATA_SIZE, "max_data_size", &max_data_size, err);
    out->token_size = (size_t)token_size;
    out->max_data_size = (size_t)max_data_size;
    return err->status;
}

static int make_tokens(lua_State *L, const tks_store_type *type) {
    tks_tokens_options options = TKS_TOKENS_OPTIONS_INIT;
    tks_tokens *core = NULL;
    tks_error err = TKS_ERROR_INIT;

    lua_settop(L, TABLE);
    lua_settop(L, TABLE + OPTION_COUNT);
    tksp_lua_read_args(L, TABLE, "", option_params, OPTION_COUNT, PREFIX);
    tksp_lua_store *self = push_store(L, type);
    options.session = type == &tks_sessions_type;
    tks_status status = read_options(L, &options, &err);
    if (status == TKS_OK) {
        status = tks_tokens_new(&options, &core, &err);
    }
    self->core = core;
    return finish(L, status, &err);
}

/* redis_tokens(options) */
static int redis_tokens(lua_State *L) {
    return make_tokens(L, &tks_redis_tokens_type);
}

/* sessions(options) */
static int sessions(lua_State *L) {
    return make_tokens(L, &tks_sessions_type);
}

/* ---- Tokenstore ------------------------------------------------------------------------------- */

/* tokenstore(options) */
static int tokenstore(lua_State *L) {
    static const tksp_lua_param params[] = {{"prefix", LUA_TSTRING, false},
                                            {"size", LUA_TNUMBER, false},
                                            {"hash_size", LUA_TNUMBER, false},
                                            {"max_data_size", LUA_TNUMBER, false}};
    enum { COUNT = sizeof params / sizeof params[0] };
    tks_node_tokens_options options = {{NULL, 0}, 0, 0, 0};
    tks_node_tokens *core = NULL;
    tks_error err = TKS_ERROR_INIT;
    int64_t sizes[3] = {0, 0, 0};

    lua_settop(L, TABLE);
    lua_settop(L, TABLE + COUNT);
    tksp_lua_read_args(L, TABLE, "", params, COUNT, TABLE + 1);
    tksp_lua_store *self = push_store(L, &tks_tokenstore_type);
    tksp_lua_read_text(L, TABLE + 1, "prefix", &options.prefix, &err);
    for (int i = 0; i < 3; i++) {
        tksp_lua_read_whole(L, TABLE + 2 + i, params[1 + i].name, &sizes[i], &err);
    }
    options.size = (size_t)sizes[0];
    options.hash_size = (size_t)sizes[1];
    options.max_data_size = (size_t)sizes[2];
    tks_status status = err.status;
    if (status == TKS_OK) {
        status = tks_node_tokens_new(&options, &core, &err);
    }
    self->core = core;
    return finish(L, status, &err);
}

/* ---- RedisJWT --------------------------------------------------------------------------------- */

/* redis_jwt(keys, algorithm, max_sessions, node_writers, max_data_size, max_size): keys is a list of Keys, max_sessions
 * 0 stands for any number, a size of 0 for the usual */
static int redis_jwt(lua_State *L) {
    size_t size = 0;
    const char *algorithm = luaL_checklstring(L, 2, &size);
    tks_jwt_sessions_options options = {.keys = NULL};
    tks_jwt_sessions *core = NULL;
    tks_error err = TKS_ERROR_INIT;

    options.max_sessions = (int64_t)luaL_checknumber(L, 3);
    options.node_writers = lua_toboolean(L, 4) != 0;
    options.max_data_size = (size_t)luaL_checknumber(L, 5);
    options.max_size = (size_t)luaL_checknumber(L, 6);
    tksp_lua_store *self = push_store(L, &tks_redis_jwt_type);
    options.key_count = tksp_lua_get_keys(L, 1, &options.keys);
    tks_status status = tks_jwt_alg_find(tks_bytes_of(algorithm, size), &options.algorithm, &err);
    if (status == TKS_OK) {
        status = tks_jwt_sessions_new(&options, &core, &err);
    }
    self->core = core;
    lua_settop(L, 7); /* the handle */
    return finish(L, status, &err);
}

void tksp_lua_open_store(lua_State *L) {
    static const luaL_Reg functions[] = {{"redis_tokens", redis_tokens},
                                         {"sessions", sessions},
                                         {"tokenstore", tokenstore},
                                         {NULL, NULL}};
    static const luaL_Reg with_keys[] = {{"redis_jwt", redis_jwt}, {NULL, NULL}};
    tksp_lua_set_gc(L, TKSP_UP_STORE, store_gc);
    tksp_lua_set_functions(L, functions);
    tksp_lua_set_jwt_functions(L, with_keys);
}
