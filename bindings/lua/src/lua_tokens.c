/* lua_tokens.c - RedisTokens and Sessions: from one table of arguments to one operation. See lua_tokens.h.
 *
 * Sessions is the same with other words: it has no `type`, and an owner is an `owner_id`. */
#include "lua_tokens.h"

#include <stdio.h>
#include <string.h>

#include "lua_args.h"
#include "lua_convert.h"

/* Every session has this type. */
#define SESSION_TYPE "session"

/* Stack of each function: 1 the handle, 2 the table, then its parameters from 3 on. */
enum { SELF = 1, TABLE = 2, FIRST = 3 };

#define PARAM_APP                                                                                  \
    { "app", "app", TKSP_LUA_NAME, true }
#define PARAM_TYPE                                                                                 \
    { "type", NULL, TKSP_LUA_NAME, true }
#define PARAM_OWNER                                                                                \
    { "owner", "owner_id", TKSP_LUA_NAME, true }
/* What a client presented, or did not: nil is a token that nobody has. */
#define PARAM_TOKEN                                                                                \
    { "token", "token", LUA_TSTRING, false }
enum { APP = FIRST, TYPE, THIRD, FOURTH, FIFTH, SIXTH };

#define COUNT_OF(a) ((int)(sizeof(a) / sizeof((a)[0])))

/* Reads the arguments of a single call. */
static const tksp_lua_tokens *begin(lua_State *L, const tksp_lua_param *params, int count) {
    const tksp_lua_tokens *self = tksp_lua_check(L, SELF, TKSP_UP_TOKENS);
    lua_settop(L, TABLE);
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
    out->custom_token = tksp_lua_to_bytes(L, CUSTOM_TOKEN); /* data NULL for nil */
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

/* The length of the list at `index`; raises unless it is one of values of `type`. */
static size_t list_size(lua_State *L, int index, const char *name, int type) {
    size_t size = 0;
    if (!lua_istable(L, index)) {
        tksp_lua_raise(L, "bad argument%s (list expected, got %s)", name, luaL_typename(L, index));
    }
    size = tksp_lua_list_size(L, index, name);
    for (size_t i = 1; i <= size; i++) {
        tksp_lua_get_item(L, index, i);
        if (lua_type(L, -1) != type) {
            tksp_lua_raise(L, "bad argument%s: number %d of the list (%s expected, got %s)", name,
                           (int)i, lua_typename(L, type), luaL_typename(L, -1));
        }
        lua_pop(L, 1);
    }
    return size;
}

/* Reads entry `i` of the list at TABLE into the slots of a single call. */
static void read_entry(lua_State *L, const tksp_lua_tokens *self, size_t i) {
    char where[32];
    for (int slot = FIRST; slot < FIRST + COUNT_OF(create_params); slot++) {
        lua_pushnil(L);
        lua_replace(L, slot);
    }
    snprintf(where, sizeof where, "[%zu].", i);
    tksp_lua_get_item(L, TABLE, i);
    tksp_lua_read_args(L, lua_gettop(L), where, self->session, create_params,
                       COUNT_OF(create_params), FIRST);
    lua_pop(L, 1);
}

/* Where entry `i` begins in the list of all slots, which is at KEPT. */
enum { KEPT = FIRST + COUNT_OF(create_params) };
static size_t kept_at(size_t i) {
    return (i - 1) * COUNT_OF(create_params) + 1;
}

/* First whatever may raise, and Lua's memory. What was read is kept: the caller's tables may hold numbers where
 * there are texts now. From there on nothing allocates in Lua. */
static int create_many(lua_State *L) {
    const tksp_lua_tokens *self = tksp_lua_check(L, SELF, TKSP_UP_TOKENS);
    size_t count = list_size(L, TABLE, "", LUA_TTABLE);
    tks_new_token *made = NULL;
    tksp_lua_op *box = NULL;
    tks_error err = TKS_ERROR_INIT;
    tks_status status = TKS_OK;
    size_t at = 0;

    lua_settop(L, KEPT - 1);
    tksp_lua_new_table(L, count * COUNT_OF(create_params), 0);
    for (size_t i = 1; i <= count; i++) {
        read_entry(L, self, i);
        for (int k = 0; k < COUNT_OF(create_params); k++) {
            lua_pushvalue(L, FIRST + k);
            tksp_lua_set_item(L, KEPT, kept_at(i) + (size_t)k);
        }
    }
    made = lua_newuserdata(L, count * sizeof *made + 1);
    box = new_op(L, self);
    for (size_t i = 1; i <= count && status == TKS_OK; i++) {
        for (int k = 0; k < COUNT_OF(create_params); k++) {
            tksp_lua_get_item(L, KEPT, kept_at(i) + (size_t)k);
            lua_replace(L, FIRST + k);
        }
        status = read_new_token(L, self, &box->scratch, &made[i - 1], &err);
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
    size_t count = list_size(L, THIRD, " 'tokens'", LUA_TSTRING);
    tks_bytes *tokens = lua_newuserdata(L, count * sizeof *tokens + 1);
    tksp_lua_op *box = new_op(L, self);
    tks_error err = TKS_ERROR_INIT;
    tks_status status = TKS_OK;

    /* From here on nothing allocates in Lua: the list holds the strings. */
    for (size_t i = 0; i < count; i++) {
        tksp_lua_get_item(L, THIRD, i + 1);
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

static int count(lua_State *L) {
    static const tksp_lua_param params[] = {PARAM_APP, PARAM_TYPE, PARAM_OWNER};
    const tksp_lua_tokens *self = begin(L, params, COUNT_OF(params));
    tksp_lua_op *box = new_op(L, self);
    tks_error err = TKS_ERROR_INIT;
    tks_status status =
        tks_tokens_count(self->tokens, tksp_lua_to_bytes(L, APP), tksp_lua_to_bytes(L, TYPE),
                         tksp_lua_to_bytes(L, THIRD), &box->op, &err);
    return tksp_lua_op_finish(L, box, status, &err);
}

static int list(lua_State *L) {
    static const tksp_lua_param params[] = {PARAM_APP,
                                            PARAM_TYPE,
                                            PARAM_OWNER,
                                            {"limit", "limit", LUA_TNUMBER, false},
                                            {"after", "after", LUA_TSTRING, false}};
    const tksp_lua_tokens *self = begin(L, params, COUNT_OF(params));
    tksp_lua_op *box = new_op(L, self);
    tks_error err = TKS_ERROR_INIT;
    tks_error wrong = TKS_ERROR_INIT; /* the core has its own word for a limit that is none */
    tks_page page = {0, tksp_lua_to_bytes(L, FIFTH)};
    tksp_lua_read_whole(L, FOURTH, "limit", &page.limit, &wrong);
    if (wrong.status != TKS_OK) {
        page.limit = -1;
    }
    tks_status status =
        tks_tokens_list(self->tokens, tksp_lua_to_bytes(L, APP), tksp_lua_to_bytes(L, TYPE),
                        tksp_lua_to_bytes(L, THIRD), &page, &box->op, &err);
    return tksp_lua_op_finish(L, box, status, &err);
}

static int delete_by_id(lua_State *L) {
    static const tksp_lua_param params[] = {PARAM_APP,
                                            PARAM_TYPE,
                                            PARAM_OWNER,
                                            {"id", "id", TKSP_LUA_NAME, false}};
    const tksp_lua_tokens *self = begin(L, params, COUNT_OF(params));
    tksp_lua_op *box = new_op(L, self);
    tks_error err = TKS_ERROR_INIT;
    tks_status status = tks_tokens_delete_by_id(
        self->tokens, tksp_lua_to_bytes(L, APP), tksp_lua_to_bytes(L, TYPE),
        tksp_lua_to_bytes(L, THIRD), tksp_lua_to_bytes(L, FOURTH), &box->op, &err);
    return tksp_lua_op_finish(L, box, status, &err);
}

void tksp_lua_open_tokens(lua_State *L) {
    static const luaL_Reg functions[] = {
        {"create", create},     {"create_many", create_many}, {"get", get},
        {"get_many", get_many}, {"refresh", refresh},         {"update", update},
        {"delete", delete_one}, {"delete_all", delete_all},   {"delete_by_id", delete_by_id},
        {"list", list},         {"rotate", rotate},           {"count", count},
        {NULL, NULL},
    };
    tksp_lua_set_functions(L, functions);
}
