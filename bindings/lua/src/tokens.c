/* tokens.c - RedisTokens and Sessions: from one table of arguments to one operation. See tokens.h.
 *
 * Sessions is the same with other words: it has no `type`, and an owner is an `owner_id`. */
#include "tokens.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "args.h"
#include "convert.h"

/* Every session has this type. */
#define SESSION_TYPE "session"

/* Stack of each function: 1 the handle, 2 the table, then its parameters from 3 on. */
enum { SELF = 1, TABLE = 2, FIRST = 3 };

#define PARAM_APP                                                                                  \
    { "app", "app", LUA_TSTRING, true }
#define PARAM_TYPE                                                                                 \
    { "type", NULL, LUA_TSTRING, true }
#define PARAM_OWNER                                                                                \
    { "owner", "owner_id", LUA_TSTRING, true }
#define PARAM_TOKEN                                                                                \
    { "token", "token", LUA_TSTRING, true }
enum { APP = FIRST, TYPE, THIRD, FOURTH, FIFTH, SIXTH };

#define COUNT_OF(a) ((int)(sizeof(a) / sizeof((a)[0])))

/* Reads the arguments of a single call. */
static const tksp_lua_tokens *begin(lua_State *L, const tksp_lua_param *params, int count) {
    const tksp_lua_tokens *self = tksp_lua_check(L, SELF, TKSP_UP_TOKENS);
    lua_settop(L, TABLE + count);
    tksp_lua_read_args(L, TABLE, "", self->session, params, count, FIRST);
    if (self->session) {
        lua_pushliteral(L, SESSION_TYPE);
        lua_replace(L, TYPE);
    }
    return self;
}

static tksp_lua_op *new_op(lua_State *L, const tksp_lua_tokens *self) {
    return tksp_lua_op_new(L, self->session ? TKSP_FORM_SESSION : TKSP_FORM_TOKEN);
}

/* ---- create ----------------------------------------------------------------------------------- */

static const tksp_lua_param create_params[] = {
    PARAM_APP,
    PARAM_TYPE,
    PARAM_OWNER,
    {"data", "data", LUA_TTABLE, false},
    {"duration", "duration", LUA_TNUMBER, false},
    {"custom_token", NULL, LUA_TSTRING, false},
};
enum { OWNER = THIRD, DATA = FOURTH, DURATION = FIFTH, CUSTOM_TOKEN = SIXTH };

/* Reads the slots. The data's text goes to `texts`; data.size tells how long it is, and data.data
 * stays NULL until `texts` no longer grows. */
static tks_status read_new_token(lua_State *L, const tksp_lua_tokens *self, tks_buf *texts,
                                 tks_new_token *out, tks_error *err) {
    size_t before = texts->size;
    tks_status status = TKS_OK;
    memset(out, 0, sizeof *out);
    out->app = tksp_lua_to_bytes(L, APP);
    out->type = tksp_lua_to_bytes(L, TYPE);
    out->owner = tksp_lua_to_bytes(L, OWNER);
    out->custom_token = tksp_lua_to_bytes(L, CUSTOM_TOKEN);
    if (!lua_isnil(L, CUSTOM_TOKEN) && out->custom_token.size == 0) {
        return tks_fail(err, TKS_ERR_DATA, "custom_token is empty: give 1 to %d bytes, or none",
                        TKS_NAME_MAX);
    }
    status = tksp_lua_to_duration(L, DURATION, "duration", &out->duration_ms, err);
    if (status == TKS_OK && lua_istable(L, DATA)) {
        status = tksp_lua_write_object(L, DATA, texts, tks_tokens_get_max_data_size(self->tokens),
                                       "data", err);
    } else if (status == TKS_OK) {
        status = tks_buf_append(texts, "{}", 2);
    }
    out->data.size = texts->size - before;
    return status == TKS_ERR_MEMORY ? tks_fail_memory(err) : status;
}

static int create(lua_State *L) {
    const tksp_lua_tokens *self = begin(L, create_params, COUNT_OF(create_params));
    tksp_lua_op *box = new_op(L, self);
    tks_error err = TKS_ERROR_INIT;
    tks_new_token made;
    tks_status status = read_new_token(L, self, &box->scratch, &made, &err);
    if (status == TKS_OK) {
        made.data = tks_buf_bytes(&box->scratch);
        status = tks_tokens_create(self->tokens, &made, &box->op, &err);
    }
    return tksp_lua_op_finish(L, box, status, &err);
}

/* The length of the list at `index`; raises unless it is one. */
static size_t list_size(lua_State *L, int index, const char *name) {
    size_t size = lua_istable(L, index) ? lua_rawlen(L, index) : 0;
    size_t keys = 0;
    if (!lua_istable(L, index)) {
        tksp_lua_raise(L, "bad argument%s (list expected, got %s)", name, luaL_typename(L, index));
    }
    lua_pushnil(L);
    while (lua_next(L, index) != 0) {
        lua_pop(L, 1);
        keys++;
    }
    if (keys != size) {
        tksp_lua_raise(L, "bad argument%s (list without holes and names expected)", name);
    }
    return size;
}

/* Room for `count` things of `size`, as a userdata on top. */
static void *new_array(lua_State *L, size_t count, size_t size) {
    if (count > INT_MAX) {
        tksp_lua_raise(L, "bad argument: the list is too long");
    }
    return lua_newuserdata(L, count * size + 1);
}

static int create_many(lua_State *L) {
    const tksp_lua_tokens *self = tksp_lua_check(L, SELF, TKSP_UP_TOKENS);
    size_t count = list_size(L, TABLE, "");
    tks_new_token *made = NULL;
    tksp_lua_op *box = NULL;
    tks_error err = TKS_ERROR_INIT;
    tks_status status = TKS_OK;
    size_t at = 0;

    /* The slots of a single call; then the array, the operation, and one entry of the list at a time.
     * From the operation on nothing allocates in Lua, so the strings of all entries stay in place. */
    lua_settop(L, TABLE + COUNT_OF(create_params));
    made = new_array(L, count, sizeof *made);
    box = new_op(L, self);
    for (size_t i = 0; i < count && status == TKS_OK; i++) {
        char where[32];
        snprintf(where, sizeof where, "[%zu].", i + 1);
        tksp_lua_get_item(L, TABLE, i + 1);
        tksp_lua_read_args(L, lua_gettop(L), where, self->session, create_params,
                           COUNT_OF(create_params), FIRST);
        lua_pop(L, 1);
        status = read_new_token(L, self, &box->scratch, &made[i], &err);
    }
    for (size_t i = 0; i < count && status == TKS_OK; i++) {
        made[i].data.data = box->scratch.data + at;
        at += made[i].data.size;
    }
    if (status == TKS_OK) {
        status = tks_tokens_create_many(self->tokens, count, made, &box->op, &err);
    }
    return tksp_lua_op_finish(L, box, status, &err);
}

/* ---- one token -------------------------------------------------------------------------------- */

static int get(lua_State *L) {
    static const tksp_lua_param params[] = {
        PARAM_APP,
        PARAM_TYPE,
        PARAM_TOKEN,
        {"refresh", "refresh", LUA_TNUMBER, false},
        {"expiry", "expiry", LUA_TBOOLEAN, false},
    };
    const tksp_lua_tokens *self = begin(L, params, COUNT_OF(params));
    tksp_lua_op *box = new_op(L, self);
    tks_error err = TKS_ERROR_INIT;
    int64_t refresh = 0;
    tks_status status = tksp_lua_to_duration(L, FOURTH, "refresh", &refresh, &err);
    if (status == TKS_OK) {
        status = tks_tokens_get(self->tokens, tksp_lua_to_bytes(L, APP), tksp_lua_to_bytes(L, TYPE),
                                tksp_lua_to_bytes(L, THIRD), refresh, lua_toboolean(L, FIFTH) != 0,
                                &box->op, &err);
    }
    return tksp_lua_op_finish(L, box, status, &err);
}

static int refresh(lua_State *L) {
    static const tksp_lua_param params[] = {PARAM_APP,
                                            PARAM_TYPE,
                                            PARAM_TOKEN,
                                            {"duration", "duration", LUA_TNUMBER, true}};
    const tksp_lua_tokens *self = begin(L, params, COUNT_OF(params));
    tksp_lua_op *box = new_op(L, self);
    tks_error err = TKS_ERROR_INIT;
    int64_t duration = 0;
    tks_status status = tksp_lua_to_duration(L, FOURTH, "duration", &duration, &err);
    if (status == TKS_OK) {
        status =
            tks_tokens_refresh(self->tokens, tksp_lua_to_bytes(L, APP), tksp_lua_to_bytes(L, TYPE),
                               tksp_lua_to_bytes(L, THIRD), duration, &box->op, &err);
    }
    return tksp_lua_op_finish(L, box, status, &err);
}

static int update(lua_State *L) {
    static const tksp_lua_param params[] = {PARAM_APP,
                                            PARAM_TYPE,
                                            PARAM_TOKEN,
                                            {"data", "data", LUA_TTABLE, true}};
    const tksp_lua_tokens *self = begin(L, params, COUNT_OF(params));
    tksp_lua_op *box = new_op(L, self);
    tks_error err = TKS_ERROR_INIT;
    tks_status status = tksp_lua_write_object(
        L, FOURTH, &box->scratch, tks_tokens_get_max_data_size(self->tokens), "data", &err);
    if (status == TKS_OK) {
        status = tks_tokens_update(self->tokens, tksp_lua_to_bytes(L, APP),
                                   tksp_lua_to_bytes(L, TYPE), tksp_lua_to_bytes(L, THIRD),
                                   tks_buf_bytes(&box->scratch), &box->op, &err);
    }
    return tksp_lua_op_finish(L, box, status, &err);
}

static int delete_one(lua_State *L) {
    static const tksp_lua_param params[] = {PARAM_APP, PARAM_TYPE, PARAM_TOKEN};
    const tksp_lua_tokens *self = begin(L, params, COUNT_OF(params));
    tksp_lua_op *box = new_op(L, self);
    tks_error err = TKS_ERROR_INIT;
    tks_status status =
        tks_tokens_delete(self->tokens, tksp_lua_to_bytes(L, APP), tksp_lua_to_bytes(L, TYPE),
                          tksp_lua_to_bytes(L, THIRD), &box->op, &err);
    return tksp_lua_op_finish(L, box, status, &err);
}

static int rotate(lua_State *L) {
    static const tksp_lua_param params[] = {PARAM_APP,
                                            PARAM_TYPE,
                                            PARAM_TOKEN,
                                            {"duration", "duration", LUA_TNUMBER, false}};
    const tksp_lua_tokens *self = begin(L, params, COUNT_OF(params));
    tksp_lua_op *box = new_op(L, self);
    tks_error err = TKS_ERROR_INIT;
    int64_t duration = 0;
    tks_status status = tksp_lua_to_duration(L, FOURTH, "duration", &duration, &err);
    if (status == TKS_OK) {
        status =
            tks_tokens_rotate(self->tokens, tksp_lua_to_bytes(L, APP), tksp_lua_to_bytes(L, TYPE),
                              tksp_lua_to_bytes(L, THIRD), duration, &box->op, &err);
    }
    return tksp_lua_op_finish(L, box, status, &err);
}

/* ---- many tokens ------------------------------------------------------------------------------ */

static int get_many(lua_State *L) {
    static const tksp_lua_param params[] = {PARAM_APP,
                                            PARAM_TYPE,
                                            {"tokens", "tokens", LUA_TTABLE, true}};
    const tksp_lua_tokens *self = begin(L, params, COUNT_OF(params));
    size_t count = list_size(L, THIRD, " 'tokens'");
    tks_bytes *tokens = new_array(L, count, sizeof *tokens);
    tksp_lua_op *box = new_op(L, self);
    tks_error err = TKS_ERROR_INIT;
    tks_status status = TKS_OK;

    /* From here on nothing allocates in Lua: the list holds the strings. */
    for (size_t i = 0; i < count; i++) {
        tksp_lua_get_item(L, THIRD, i + 1);
        if (lua_type(L, -1) != LUA_TSTRING) {
            tksp_lua_raise(L, "bad argument 'tokens[%d]' (string expected, got %s)", (int)i + 1,
                           luaL_typename(L, -1));
        }
        tokens[i] = tksp_lua_to_bytes(L, -1);
        lua_pop(L, 1);
    }
    status = tks_tokens_get_many(self->tokens, tksp_lua_to_bytes(L, APP),
                                 tksp_lua_to_bytes(L, TYPE), count, tokens, &box->op, &err);
    return tksp_lua_op_finish(L, box, status, &err);
}

static int delete_all(lua_State *L) {
    static const tksp_lua_param params[] = {PARAM_APP, PARAM_TYPE, PARAM_OWNER};
    const tksp_lua_tokens *self = begin(L, params, COUNT_OF(params));
    tksp_lua_op *box = new_op(L, self);
    tks_error err = TKS_ERROR_INIT;
    tks_status status =
        tks_tokens_delete_all(self->tokens, tksp_lua_to_bytes(L, APP), tksp_lua_to_bytes(L, TYPE),
                              tksp_lua_to_bytes(L, THIRD), &box->op, &err);
    return tksp_lua_op_finish(L, box, status, &err);
}

static int list(lua_State *L) {
    static const tksp_lua_param params[] = {PARAM_APP, PARAM_TYPE, PARAM_OWNER};
    const tksp_lua_tokens *self = begin(L, params, COUNT_OF(params));
    tksp_lua_op *box = new_op(L, self);
    tks_error err = TKS_ERROR_INIT;
    tks_status status =
        tks_tokens_list(self->tokens, tksp_lua_to_bytes(L, APP), tksp_lua_to_bytes(L, TYPE),
                        tksp_lua_to_bytes(L, THIRD), &box->op, &err);
    return tksp_lua_op_finish(L, box, status, &err);
}

static int delete_by_id(lua_State *L) {
    static const tksp_lua_param params[] = {PARAM_APP,
                                            PARAM_TYPE,
                                            PARAM_OWNER,
                                            {"id", "id", LUA_TSTRING, true}};
    const tksp_lua_tokens *self = begin(L, params, COUNT_OF(params));
    tksp_lua_op *box = new_op(L, self);
    tks_error err = TKS_ERROR_INIT;
    tks_status status = tks_tokens_delete_by_id(
        self->tokens, tksp_lua_to_bytes(L, APP), tksp_lua_to_bytes(L, TYPE),
        tksp_lua_to_bytes(L, THIRD), tksp_lua_to_bytes(L, FOURTH), &box->op, &err);
    return tksp_lua_op_finish(L, box, status, &err);
}

/* ---- the store -------------------------------------------------------------------------------- */

/* A whole number of at least 1 in `slot`; leaves *out alone for nil. */
static tks_status read_whole(lua_State *L, int slot, const char *name, int64_t *out,
                             tks_error *err) {
    lua_Number number = lua_tonumber(L, slot);
    if (lua_isnil(L, slot)) {
        return TKS_OK;
    }
    if (!(number >= 1 && number <= (lua_Number)TKS_JSON_INTEGER_MAX) || floor(number) != number) {
        return tks_fail(err, TKS_ERR_CONFIGURATION, "%s must be a whole number of at least 1",
                        name);
    }
    *out = (int64_t)number;
    return TKS_OK;
}

/* A string in `slot` that may be left out, but not be empty. */
static tks_status read_text(lua_State *L, int slot, const char *name, tks_bytes *out,
                            tks_error *err) {
    *out = tksp_lua_to_bytes(L, slot);
    return lua_isnil(L, slot) || out->size > 0
               ? TKS_OK
               : tks_fail(err, TKS_ERR_CONFIGURATION, "%s is empty: leave it out instead", name);
}

static tks_status read_encoding(lua_State *L, int slot, tks_encoding *out, tks_error *err) {
    static const char *const names[] =
        {[TKS_BASE64URL] = "base64url", [TKS_BASE64] = "base64", [TKS_HEX] = "hex"};
    if (lua_isnil(L, slot)) {
        return TKS_OK;
    }
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (strcmp(lua_tostring(L, slot), names[i]) == 0) {
            *out = (tks_encoding)i;
            return TKS_OK;
        }
    }
    return tks_fail(err, TKS_ERR_CONFIGURATION,
                    "token_encoding must be \"base64url\", \"base64\" or \"hex\"");
}

/* A duration that is an option: 0 is allowed where `zero` says so. */
static tks_status read_option_duration(lua_State *L, int slot, const char *name, bool zero,
                                       int64_t *out_ms, tks_error *err) {
    tks_error why = TKS_ERROR_INIT;
    if (lua_isnil(L, slot)) {
        return TKS_OK;
    }
    if (zero && lua_tonumber(L, slot) == 0) {
        *out_ms = 0;
        return TKS_OK;
    }
    return tksp_lua_to_duration(L, slot, name, out_ms, &why) == TKS_OK
               ? TKS_OK
               : tks_fail(err, TKS_ERR_CONFIGURATION, "%s", why.message);
}

static const tksp_lua_param option_params[] = {
    {"prefix", "prefix", LUA_TSTRING, false},
    {"token_size", "token_size", LUA_TNUMBER, false},
    {"token_encoding", "token_encoding", LUA_TSTRING, false},
    {"pepper", "pepper", LUA_TSTRING, false},
    {"max_age", "max_age", LUA_TNUMBER, false},
    {"touch_interval", "touch_interval", LUA_TNUMBER, false},
    {"max_per_owner", "max_per_owner", LUA_TNUMBER, false},
    {"max_data_size", "max_data_size", LUA_TNUMBER, false},
};

static tks_status read_options(lua_State *L, tks_tokens_options *out, tks_error *err) {
    int64_t token_size = 0;
    int64_t max_data_size = 0;
    tks_status status = read_text(L, FIRST, "prefix", &out->prefix, err);
    if (status == TKS_OK) {
        status = read_whole(L, FIRST + 1, "token_size", &token_size, err);
    }
    if (status == TKS_OK) {
        status = read_encoding(L, FIRST + 2, &out->encoding, err);
    }
    if (status == TKS_OK) {
        status = read_text(L, FIRST + 3, "pepper", &out->pepper, err);
    }
    if (status == TKS_OK) {
        status = read_option_duration(L, FIRST + 4, "max_age", false, &out->max_age_ms, err);
    }
    if (status == TKS_OK) {
        status = read_option_duration(L, FIRST + 5, "touch_interval", true, &out->touch_interval_ms,
                                      err);
    }
    if (status == TKS_OK) {
        status = read_whole(L, FIRST + 6, "max_per_owner", &out->max_per_owner, err);
    }
    if (status == TKS_OK) {
        status = read_whole(L, FIRST + 7, "max_data_size", &max_data_size, err);
    }
    out->token_size = (size_t)token_size;
    out->max_data_size = (size_t)max_data_size;
    return status;
}

/* tokens(session, options): the handle of a RedisTokens, or of a Sessions when `session`. */
static int tokens(lua_State *L) {
    tks_tokens_options options = TKS_TOKENS_OPTIONS_INIT;
    tks_error err = TKS_ERROR_INIT;
    tks_status status = TKS_OK;
    bool session = lua_toboolean(L, 1) != 0;
    tksp_lua_tokens *self = NULL;

    lua_settop(L, TABLE + COUNT_OF(option_params));
    tksp_lua_read_args(L, TABLE, "", false, option_params, COUNT_OF(option_params), FIRST);
    self = lua_newuserdata(L, sizeof *self);
    self->tokens = NULL;
    self->session = session;
    tksp_lua_set_kind(L, TKSP_UP_TOKENS);
    status = read_options(L, &options, &err);
    if (status == TKS_OK) {
        status = tks_tokens_new(&options, &self->tokens, &err);
    }
    return status == TKS_OK ? 1 : tksp_lua_fail(L, status, &err);
}

const luaL_Reg tksp_lua_tokens_functions[] = {
    {"tokens", tokens},
    {"create", create},
    {"create_many", create_many},
    {"get", get},
    {"get_many", get_many},
    {"refresh", refresh},
    {"update", update},
    {"delete", delete_one},
    {"delete_all", delete_all},
    {"delete_by_id", delete_by_id},
    {"list", list},
    {"rotate", rotate},
    {NULL, NULL},
};
