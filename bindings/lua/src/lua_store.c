/* lua_store.c - the handle of a RedisTokens or Sessions object: reads its options. See lua_tokens.h. */
#include <string.h>

#include "lua_args.h"
#include "lua_tokens.h"

/* Stack: 1 whether it is for Sessions, 2 the table, then the options as they are numbered here. */
enum {
    TABLE = 2,
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
    {"prefix", NULL, LUA_TSTRING, false},         {"token_size", NULL, LUA_TNUMBER, false},
    {"token_encoding", NULL, LUA_TSTRING, false}, {"pepper", NULL, LUA_TSTRING, false},
    {"max_age", NULL, LUA_TNUMBER, false},        {"touch_interval", NULL, LUA_TNUMBER, false},
    {"max_per_owner", NULL, LUA_TNUMBER, false},  {"max_data_size", NULL, LUA_TNUMBER, false},
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

static int tokens_gc(lua_State *L) {
    tksp_lua_tokens *self = tksp_lua_check(L, 1, TKSP_UP_TOKENS);
    tks_tokens_free(self->tokens);
    self->tokens = NULL;
    return 0;
}

/* tokens(session, options) */
static int tokens(lua_State *L) {
    tks_tokens_options options = TKS_TOKENS_OPTIONS_INIT;
    tks_error err = TKS_ERROR_INIT;
    tks_status status = TKS_OK;
    tksp_lua_tokens *self = NULL;

    lua_settop(L, TABLE);
    lua_settop(L, TABLE + OPTION_COUNT);
    tksp_lua_read_args(L, TABLE, "", false, option_params, OPTION_COUNT, PREFIX);
    self = lua_newuserdata(L, sizeof *self);
    self->tokens = NULL;
    self->session = lua_toboolean(L, 1) != 0;
    tksp_lua_set_kind(L, TKSP_UP_TOKENS);
    options.session = self->session;
    status = read_options(L, &options, &err);
    if (status == TKS_OK) {
        status = tks_tokens_new(&options, &self->tokens, &err);
    }
    return status == TKS_OK ? 1 : tksp_lua_fail(L, status, &err);
}

void tksp_lua_open_store(lua_State *L) {
    static const luaL_Reg functions[] = {{"tokens", tokens}, {NULL, NULL}};
    tksp_lua_set_gc(L, TKSP_UP_TOKENS, tokens_gc);
    tksp_lua_set_functions(L, functions);
}
