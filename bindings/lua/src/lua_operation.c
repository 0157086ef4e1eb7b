/* lua_operation.c - creates an operation from a table of arguments, as described by its row
 * (tokenstore/operation.h).
 *
 * Everything that may raise or allocates in Lua comes first. The values read stay on the stack, or in a new
 * table. After that nothing allocates in Lua: texts are borrowed from its strings. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lua_args.h"
#include "lua_convert.h"
#include "lua_jwt.h"
#include "lua_store.h"
#include "tokenstore/jwt_sessions.h"

/* Stack of each function: 1 the handle, 2 the table, then its parameters from 3 on. */
enum { SELF = 1, TABLE = 2, FIRST = 3 };

/* The upvalues after the shared ones. */
enum { UP_TYPE = TKSP_UP_COUNT + 1, UP_ROW, UP_COUNT = UP_ROW };

/* ---- reading parameters -------------------------------------------------------------------------- */

static int lua_type_of(tks_param_type type) {
    switch (type) {
    case TKS_PARAM_NAME:
    case TKS_PARAM_ID: return TKSP_LUA_NAME;
    case TKS_PARAM_PRESENTED:
    case TKS_PARAM_TEXT: return LUA_TSTRING;
    case TKS_PARAM_OBJECT:
    case TKS_PARAM_PATCH:
    case TKS_PARAM_EXPECTED:
    case TKS_PARAM_FIELDS:
    case TKS_PARAM_TOKENS:
    case TKS_PARAM_ROWS: return LUA_TTABLE;
    case TKS_PARAM_DURATION:
    case TKS_PARAM_GRACE:
    case TKS_PARAM_LIMIT:
    case TKS_PARAM_REPLICAS:
    case TKS_PARAM_TIMEOUT: return LUA_TNUMBER;
    case TKS_PARAM_FLAG:
    case TKS_PARAM_FRESH: return LUA_TBOOLEAN;
    case TKS_PARAM_JWT:
    case TKS_PARAM_REFRESH:
    case TKS_PARAM_TTL:
    case TKS_PARAM_FIXED:
    case TKS_PARAM_NOW: break;
    }
    return LUA_TNONE;
}

/* Reads the table at `table` into the slots from FIRST on. */
static void read_slots(lua_State *L, int table, const char *where, const tks_operation *row) {
    tksp_lua_param params[TKS_PARAM_MAX];
    for (size_t i = 0; i < row->param_count; i++) {
        const tks_param *param = &row->params[i];
        params[i] = (tksp_lua_param){param->name, lua_type_of(param->type),
                                     param->required && param->fallback == NULL};
    }
    tksp_lua_read_args(L, table, where, params, (int)row->param_count, FIRST);
}

/* ---- from slots to values ------------------------------------------------------------------------ */

static tks_bytes fallback_of(const tks_param *param) {
    const char *text = param->fallback;
    return tks_bytes_of(text, text == NULL ? 0 : strlen(text));
}

/* Is its text JSON, in the operation's scratch? */
static bool is_json(tks_param_type type) {
    return type == TKS_PARAM_OBJECT || type == TKS_PARAM_PATCH || type == TKS_PARAM_EXPECTED ||
           type == TKS_PARAM_FIELDS;
}

/* Appends the text to `texts`, which may still move: `data` stays NULL until set_texts. */
static tks_status read_json(lua_State *L, int slot, const tks_param *param, size_t max_size,
                            tks_buf *texts, tks_arg *out, tks_error *err) {
    size_t before = texts->size;
    if (!lua_istable(L, slot)) {
        out->text = fallback_of(param);
        return TKS_OK;
    }
    tks_status status = TKS_OK;
    if (param->type == TKS_PARAM_OBJECT) {
        status = tksp_lua_write_object(L, slot, texts, max_size, param->name, err);
    } else if (param->type == TKS_PARAM_FIELDS) {
        size_t count = lua_rawlen(L, slot); /* a list: `call` has checked it */
        status = tksp_lua_write_names(L, slot, count, texts, max_size, param->name, err);
    } else {
        bool absent = param->type == TKS_PARAM_EXPECTED;
        status = tksp_lua_write_patch(L, slot, absent, texts, max_size, param->name, err);
    }
    out->text.size = texts->size - before;
    return status;
}

static tks_status read_duration(lua_State *L, int slot, const tks_param *param, int64_t *out,
                                tks_error *err) {
    if (lua_isnil(L, slot) && param->fallback != NULL) {
        return tks_duration(strtod(param->fallback, NULL), param->name, out, err);
    }
    return tksp_lua_to_duration(L, slot, param->name, out, err);
}

static tks_status read_grace(lua_State *L, int slot, const tks_param *param, int64_t *out,
                             tks_error *err) {
    *out = 0;
    if (lua_isnil(L, slot) || lua_tonumber(L, slot) == 0) {
        return TKS_OK;
    }
    return read_duration(L, slot, param, out, err);
}

/* Seconds, or true for the token's own idle time; 0 for nil and false. */
static tks_status read_refresh(lua_State *L, int slot, const tks_param *param, int64_t *out,
                               tks_error *err) {
    int type = lua_type(L, slot);
    if (type == LUA_TBOOLEAN) {
        *out = lua_toboolean(L, slot) ? TKS_OWN_IDLE : 0;
        return TKS_OK;
    }
    if (type != LUA_TNIL && type != LUA_TNUMBER) {
        tksp_lua_raise(L, "bad argument '%s' (number or true expected, got %s)", param->name,
                       lua_typename(L, type));
    }
    return read_duration(L, slot, param, out, err);
}

/* Seconds, or a text such as "15 minutes"; 0 for nil. */
static tks_status read_ttl(lua_State *L, int slot, const tks_param *param, int64_t *out,
                           tks_error *err) {
    int type = lua_type(L, slot);
    if (type == LUA_TSTRING) {
        return tks_duration_text(tksp_lua_to_bytes(L, slot), param->name, out, err);
    }
    if (type != LUA_TNIL && type != LUA_TNUMBER) {
        tksp_lua_raise(L, "bad argument '%s' (number or string expected, got %s)", param->name,
                       lua_typename(L, type));
    }
    return read_duration(L, slot, param, out, err);
}

/* The core reports an invalid limit. */
static int64_t read_limit(lua_State *L, int slot, int least) {
    lua_Number number = lua_tonumber(L, slot);
    if (lua_isnil(L, slot)) {
        return 0;
    }
    bool good = number >= least && number <= TKS_PAGE_MAX && floor(number) == number;
    return good ? (int64_t)number : -1;
}

/* The size of the list in a slot; raises if it is none, or not of strings. */
static size_t list_of_texts(lua_State *L, int slot, const tks_param *param) {
    char where[32];
    snprintf(where, sizeof where, " '%s'", param->name);
    return tksp_lua_list_of(L, slot, where, LUA_TSTRING);
}

/* The strings of the list in a slot; pushes the userdata that contains the array. */
static void read_tokens(lua_State *L, int slot, const tks_param *param, tks_arg *out) {
    size_t count = list_of_texts(L, slot, param);
    tks_bytes *texts = lua_newuserdata(L, count * sizeof *texts + 1);
    for (size_t i = 0; i < count; i++) {
        tksp_lua_get_item(L, slot, i + 1);
        texts[i] = tksp_lua_to_bytes(L, -1); /* the list keeps the string alive */
        lua_pop(L, 1);
    }
    out->texts = texts;
    out->count = count;
}

static tks_status read_value(lua_State *L, int slot, const tks_param *param, size_t max_size,
                             tksp_lua_op *box, tks_arg *out, tks_error *err) {
    switch (param->type) {
    case TKS_PARAM_NAME:
    case TKS_PARAM_ID:
    case TKS_PARAM_PRESENTED:
    case TKS_PARAM_JWT: /* "" for a table or a boolean */
    case TKS_PARAM_TEXT: out->text = tksp_lua_to_bytes(L, slot); return TKS_OK;
    case TKS_PARAM_OBJECT:
    case TKS_PARAM_PATCH:
    case TKS_PARAM_EXPECTED:
    case TKS_PARAM_FIELDS: return read_json(L, slot, param, max_size, &box->scratch, out, err);
    case TKS_PARAM_DURATION: return read_duration(L, slot, param, &out->number, err);
    case TKS_PARAM_GRACE: return read_grace(L, slot, param, &out->number, err);
    case TKS_PARAM_REFRESH: return read_refresh(L, slot, param, &out->number, err);
    case TKS_PARAM_TTL: return read_ttl(L, slot, param, &out->number, err);
    case TKS_PARAM_LIMIT: out->number = read_limit(L, slot, 1); return TKS_OK;
    case TKS_PARAM_REPLICAS: out->number = read_limit(L, slot, 0); return TKS_OK;
    case TKS_PARAM_FLAG:
    case TKS_PARAM_FRESH: out->number = lua_toboolean(L, slot); return TKS_OK;
    case TKS_PARAM_FIXED: out->text = fallback_of(param); return TKS_OK;
    case TKS_PARAM_NOW: out->number = (int64_t)(tksp_lua_clock_now() * 1e6); return TKS_OK;
    case TKS_PARAM_TIMEOUT: return tksp_lua_read_timeout(L, slot, &box->timeout_ms, err);
    case TKS_PARAM_TOKENS:
    case TKS_PARAM_ROWS: break; /* read by `call` before there is a box */
    }
    return TKS_OK;
}

static tks_status read_values(lua_State *L, const tks_operation *row, size_t max_size,
                              tksp_lua_op *box, tks_arg *args, tks_error *err) {
    tks_status status = TKS_OK;
    for (size_t i = 0; status == TKS_OK && i < row->param_count; i++) {
        status = read_value(L, FIRST + (int)i, &row->params[i], max_size, box, &args[i], err);
    }
    return status == TKS_ERR_MEMORY ? tks_fail_memory(err) : status;
}

/* Sets the texts of JSON, which point into `texts`; it must not grow any more. *at: how much of it is
 * used. */
static void set_texts(const tks_operation *row, tks_arg *args, const tks_buf *texts, size_t *at) {
    for (size_t i = 0; i < row->param_count; i++) {
        if (is_json(row->params[i].type) && args[i].text.data == NULL && args[i].text.size > 0) {
            args[i].text.data = texts->data + *at;
            *at += args[i].text.size;
        }
    }
}

/* ---- rows ---------------------------------------------------------------------------------------- */

/* Reads entry `i` of the list at TABLE into the slots of a single call. */
static void read_entry(lua_State *L, const tks_operation *each, size_t i) {
    char where[32];
    for (int k = 0; k < (int)each->param_count; k++) {
        lua_pushnil(L);
        lua_replace(L, FIRST + k);
    }
    snprintf(where, sizeof where, "[%zu].", i);
    tksp_lua_get_item(L, TABLE, i);
    read_slots(L, lua_gettop(L), where, each);
    lua_pop(L, 1);
}

/* An operation whose only argument is the list itself. The converted values are kept: the caller's tables may
 * contain numbers instead of texts. */
static int call_with_rows(lua_State *L, const tksp_lua_store *store, const tks_operation *row,
                          tksp_lua_form form) {
    const tks_operation *each = row->params[0].each;
    size_t width = each->param_count, at = 0;
    int kept = FIRST + (int)width;
    size_t max_size = store->type->get_max_data_size(store->core);
    size_t count = tksp_lua_list_of(L, TABLE, "", LUA_TTABLE);
    tks_error err = TKS_ERROR_INIT;
    tks_status status = TKS_OK;
    lua_settop(L, kept - 1);
    tksp_lua_new_table(L, count * width, 0);
    for (size_t i = 0; i < count; i++) {
        read_entry(L, each, i + 1);
        for (size_t k = 0; k < width; k++) {
            lua_pushvalue(L, FIRST + (int)k);
            tksp_lua_set_item(L, kept, i * width + k + 1);
        }
    }
    tks_arg *args = lua_newuserdata(L, count * width * sizeof *args + 1);
    tksp_lua_op *box = tksp_lua_op_new(L, form);
    memset(args, 0, count * width * sizeof *args);
    for (size_t i = 0; i < count && status == TKS_OK; i++) {
        for (size_t k = 0; k < width; k++) {
            tksp_lua_get_item(L, kept, i * width + k + 1);
            lua_replace(L, FIRST + (int)k);
        }
        status = read_values(L, each, max_size, box, args + i * width, &err);
    }
    for (size_t i = 0; i < count && status == TKS_OK; i++) {
        set_texts(each, args + i * width, &box->scratch, &at);
    }
    if (status == TKS_OK) {
        tks_arg list = {.rows = args, .count = count};
        status = tks_operation_make(row, store->core, &list, &box->op, &err);
    }
    return tksp_lua_op_finish(L, box, status, &err);
}

/* ---- a call --------------------------------------------------------------------------------------- */

/* A function of the table of operations: (store, arguments). */
static int call(lua_State *L) {
    const tksp_lua_store *store = tksp_lua_check(L, SELF, TKSP_UP_STORE);
    const tks_operation *row = lua_touserdata(L, lua_upvalueindex(UP_ROW));
    const tks_store_type *type = lua_touserdata(L, lua_upvalueindex(UP_TYPE));
    tksp_lua_form form = type == &tks_sessions_type ? TKSP_FORM_SESSION : TKSP_FORM_TOKEN;
    tks_arg args[TKS_PARAM_MAX] = {{{{NULL, 0}}}};
    tks_error err;
    size_t at = 0;
    tks_error_init(&err);
    if (store->type != type) {
        tksp_lua_raise(L, "bad argument #1 (the handle of a %s expected, got one of a %s)",
                       type->name, store->type->name);
    }
    if (row->param_count > 0 && row->params[0].type == TKS_PARAM_ROWS) {
        return call_with_rows(L, store, row, form);
    }
    lua_settop(L, TABLE);
    lua_settop(L, TABLE + (int)row->param_count);
    read_slots(L, TABLE, "", row);
    for (size_t i = 0; i < row->param_count; i++) {
        int slot = FIRST + (int)i;
        if (row->params[i].type == TKS_PARAM_TOKENS) {
            read_tokens(L, slot, &row->params[i], &args[i]);
        } else if (row->params[i].type == TKS_PARAM_FIELDS && !lua_isnil(L, slot)) {
            (void)list_of_texts(L, slot, &row->params[i]);
        }
    }
    tksp_lua_op *box = tksp_lua_op_new(L, form);
    size_t max_size = store->type->get_max_data_size(store->core);
    tks_status status = read_values(L, row, max_size, box, args, &err);
    if (status == TKS_OK) {
        set_texts(row, args, &box->scratch, &at);
        box->asks = store->viewer != NULL && type->ask(store->core, row, args, &box->question);
        status = tks_operation_make(row, store->core, args, &box->op, &err);
    }
    return tksp_lua_op_finish(L, box, status, &err);
}

/* Adds the functions of a store to the table on top, as a table. */
static void open_type(lua_State *L, const tks_store_type *type) {
    lua_newtable(L);
    for (size_t i = 0; i < type->operation_count; i++) {
        const tks_operation *row = &type->operations[i];
        tksp_lua_push_shared(L);
        lua_pushlightuserdata(L, (void *)type);
        lua_pushlightuserdata(L, (void *)row);
        lua_pushcclosure(L, call, UP_COUNT);
        lua_setfield(L, -2, row->name);
    }
    lua_setfield(L, -2, type->name);
}

void tksp_lua_open_operations(lua_State *L) {
    lua_newtable(L);
    open_type(L, &tks_redis_tokens_type);
    open_type(L, &tks_sessions_type);
    open_type(L, &tks_tokenstore_type);
    open_type(L, &tks_redis_jwt_type);
    lua_setfield(L, -2, "operations");
}
