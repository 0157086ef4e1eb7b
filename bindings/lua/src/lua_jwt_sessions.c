/* lua_jwt_sessions.c - RedisJWT: from one table of arguments to one operation. See lua_tokens.h.
 *
 * Lifecycle: the handle is immutable after it is made. Each function gives an operation, or nil,
 *            message, code; nothing is sent here. */
#include "tokenstore/jwt_sessions.h"

#include "lua_args.h"
#include "lua_convert.h"
#include "lua_jwt.h"
#include "lua_tokens.h"

/* The userdata behind a RedisJWT object. */
typedef struct sessions_handle {
    tks_jwt_sessions *sessions;
} sessions_handle;

/* Stack of each function: 1 the handle, 2 the table, then its parameters from 3 on. */
enum { SELF = 1, TABLE = 2, FIRST = 3, SECOND, THIRD, FOURTH };

#define COUNT_OF(a) ((int)(sizeof(a) / sizeof((a)[0])))
#define PARAM(name, type, required)                                                                \
    { name, NULL, type, required }

/* ---- the handle ------------------------------------------------------------------------------- */

static int handle_gc(lua_State *L) {
    sessions_handle *self = tksp_lua_check(L, 1, TKSP_UP_JWT_SESSIONS);
    tks_jwt_sessions_free(self->sessions);
    self->sessions = NULL;
    return 0;
}

/* jwt_sessions(keys, algorithm, max_sessions, node_writers, max_data_size, max_size): keys is a list of Keys,
 * max_sessions 0 stands for any number, a size of 0 for the usual */
static int jwt_sessions(lua_State *L) {
    size_t size = 0;
    const char *algorithm = luaL_checklstring(L, 2, &size);
    tks_jwt_sessions_options options = {.keys = NULL};
    tks_error err = TKS_ERROR_INIT;
    sessions_handle *self = NULL;

    options.max_sessions = (int64_t)luaL_checknumber(L, 3);
    options.node_writers = lua_toboolean(L, 4) != 0;
    options.max_data_size = (size_t)luaL_checknumber(L, 5);
    options.max_size = (size_t)luaL_checknumber(L, 6);
    self = lua_newuserdata(L, sizeof *self);
    self->sessions = NULL;
    tksp_lua_set_kind(L, TKSP_UP_JWT_SESSIONS);
    options.key_count = tksp_lua_get_keys(L, 1, &options.keys);
    tks_status status = tks_jwt_alg_find(tks_bytes_of(algorithm, size), &options.algorithm, &err);
    if (status == TKS_OK) {
        status = tks_jwt_sessions_new(&options, &self->sessions, &err);
    }
    lua_settop(L, 7); /* the handle */
    return status == TKS_OK ? 1 : tksp_lua_fail(L, status, &err);
}

/* Reads the arguments of a call. */
static const tks_jwt_sessions *begin(lua_State *L, const tksp_lua_param *params, int count) {
    const sessions_handle *self = tksp_lua_check(L, SELF, TKSP_UP_JWT_SESSIONS);
    lua_settop(L, TABLE);
    lua_settop(L, TABLE + count);
    tksp_lua_read_args(L, TABLE, "", false, params, count, FIRST);
    return self->sessions;
}

/* Seconds, or a text as "15 minutes", in a slot; 0 for nil. */
static tks_status read_ttl(lua_State *L, int slot, int64_t *out_ms, tks_error *err) {
    *out_ms = 0;
    switch (lua_type(L, slot)) {
    case LUA_TNIL: return TKS_OK;
    case LUA_TNUMBER: return tksp_lua_to_duration(L, slot, "ttl", out_ms, err);
    case LUA_TSTRING: return tks_duration_text(tksp_lua_to_bytes(L, slot), "ttl", out_ms, err);
    default:
        tksp_lua_raise(L, "bad argument 'ttl' (number or string expected, got %s)",
                       luaL_typename(L, slot));
        return TKS_ERR_DATA;
    }
}

/* ---- sign, verify ------------------------------------------------------------------------------- */

static int sign(lua_State *L) {
    static const tksp_lua_param params[] = {
        PARAM("id", TKSP_LUA_NAME, true),
        PARAM("ttl", LUA_TNONE, false),
        PARAM("data_token", LUA_TTABLE, false),
        PARAM("data_session", LUA_TTABLE, false),
    };
    const tks_jwt_sessions *sessions = begin(L, params, COUNT_OF(params));
    tksp_lua_op *box = tksp_lua_op_new(L, TKSP_FORM_TOKEN);
    size_t max = tks_jwt_sessions_get_max_data_size(sessions);
    tks_jwt_session_new new = {.id = tksp_lua_to_bytes(L, FIRST), .now = tksp_lua_clock_now()};
    tks_error err = TKS_ERROR_INIT;
    size_t token_size = 0;
    tks_status status = read_ttl(L, SECOND, &new.ttl_ms, &err);
    if (status == TKS_OK && lua_istable(L, THIRD)) {
        status = tksp_lua_write_object(L, THIRD, &box->scratch, max, "data_token", &err);
        token_size = box->scratch.size;
    }
    if (status == TKS_OK && lua_istable(L, FOURTH)) {
        status = tksp_lua_write_object(L, FOURTH, &box->scratch, max, "data_session", &err);
    }
    if (status == TKS_OK) {
        tks_bytes texts = tks_buf_bytes(&box->scratch);
        new.data_token = tks_bytes_of(texts.data, token_size);
        if (texts.size > token_size) {
            new.data_session = tks_bytes_of(texts.data + token_size, texts.size - token_size);
        }
        status = tks_jwt_sessions_sign(sessions, &new, &box->op, &err);
    }
    return tksp_lua_op_finish(L, box, status, &err);
}

static int verify(lua_State *L) {
    static const tksp_lua_param params[] = {
        PARAM("token", LUA_TNONE, false), /* another type is as bad as any other that is no token */
        PARAM("value_session", LUA_TBOOLEAN, false),
    };
    const tks_jwt_sessions *sessions = begin(L, params, COUNT_OF(params));
    tksp_lua_op *box = tksp_lua_op_new(L, TKSP_FORM_TOKEN);
    tks_error err = TKS_ERROR_INIT;
    tks_status status = tks_jwt_sessions_verify(sessions, tksp_lua_to_bytes(L, FIRST),
                                                lua_toboolean(L, SECOND) != 0, tksp_lua_clock_now(),
                                                &box->op, &err);
    return tksp_lua_op_finish(L, box, status, &err);
}

static int put(lua_State *L) {
    static const tksp_lua_param params[] = {
        PARAM("key", LUA_TSTRING, true),
        PARAM("value", LUA_TSTRING, true),
        PARAM("ttl", LUA_TNONE, false),
    };
    const tks_jwt_sessions *sessions = begin(L, params, COUNT_OF(params));
    tksp_lua_op *box = tksp_lua_op_new(L, TKSP_FORM_TOKEN);
    tks_error err = TKS_ERROR_INIT;
    int64_t ttl_ms = 0;
    tks_status status = read_ttl(L, THIRD, &ttl_ms, &err);
    if (status == TKS_OK) {
        status = tks_jwt_sessions_put(sessions, tksp_lua_to_bytes(L, FIRST),
                                      tksp_lua_to_bytes(L, SECOND), ttl_ms, &box->op, &err);
    }
    return tksp_lua_op_finish(L, box, status, &err);
}

/* ---- with one text ------------------------------------------------------------------------------ */

typedef tks_status operation(const tks_jwt_sessions *, tks_bytes, tks_op **, tks_error *);

static int simple(lua_State *L, const tksp_lua_param *params, operation *make) {
    const tks_jwt_sessions *sessions = begin(L, params, 1);
    tksp_lua_op *box = tksp_lua_op_new(L, TKSP_FORM_TOKEN);
    tks_error err = TKS_ERROR_INIT;
    tks_status status = make(sessions, tksp_lua_to_bytes(L, FIRST), &box->op, &err);
    return tksp_lua_op_finish(L, box, status, &err);
}

/* A session's key, or a section, may be nil. */
static int with_text(lua_State *L, const char *name, operation *make) {
    const tksp_lua_param params[] = {PARAM(name, LUA_TSTRING, false)};
    return simple(L, params, make);
}

static int with_id(lua_State *L, operation *make) {
    static const tksp_lua_param params[] = {PARAM("id", TKSP_LUA_NAME, true)};
    return simple(L, params, make);
}

static int list(lua_State *L) {
    return with_id(L, tks_jwt_sessions_list);
}

static int count(lua_State *L) {
    return with_id(L, tks_jwt_sessions_count);
}

static int get_values(lua_State *L) {
    return with_id(L, tks_jwt_sessions_get_values);
}

static int destroy_all(lua_State *L) {
    return with_id(L, tks_jwt_sessions_destroy_all);
}

static int destroy(lua_State *L) {
    return with_text(L, "rjwt", tks_jwt_sessions_destroy);
}

static int exists(lua_State *L) {
    return with_text(L, "rjwt", tks_jwt_sessions_exists);
}

static int ttl(lua_State *L) {
    return with_text(L, "rjwt", tks_jwt_sessions_ttl);
}

static int get_value(lua_State *L) {
    return with_text(L, "rjwt", tks_jwt_sessions_get_value);
}

static int get_info(lua_State *L) {
    return with_text(L, "section", tks_jwt_sessions_get_info);
}

/* ---- without any ---------------------------------------------------------------------------------- */

static int ping(lua_State *L) {
    const tks_jwt_sessions *sessions = begin(L, NULL, 0);
    tksp_lua_op *box = tksp_lua_op_new(L, TKSP_FORM_TOKEN);
    tks_error err = TKS_ERROR_INIT;
    tks_status status = tks_jwt_sessions_ping(sessions, &box->op, &err);
    return tksp_lua_op_finish(L, box, status, &err);
}

static int reindex(lua_State *L) {
    static const tksp_lua_param params[] = {PARAM("timeout", LUA_TNUMBER, false)};
    const tks_jwt_sessions *sessions = begin(L, params, COUNT_OF(params));
    tksp_lua_op *box = tksp_lua_op_new(L, TKSP_FORM_TOKEN);
    tks_error err = TKS_ERROR_INIT;
    tks_status status = tksp_lua_read_timeout(L, FIRST, &box->timeout_ms, &err);
    if (status == TKS_OK) {
        status = tks_jwt_sessions_reindex(sessions, &box->op, &err);
    }
    return tksp_lua_op_finish(L, box, status, &err);
}

void tksp_lua_open_jwt_sessions(lua_State *L) {
    static const luaL_Reg functions[] = {
        {"sign", sign},
        {"verify", verify},
        {"put", put},
        {"list", list},
        {"count", count},
        {"get_values", get_values},
        {"destroy_all", destroy_all},
        {"destroy", destroy},
        {"exists", exists},
        {"ttl", ttl},
        {"get_value", get_value},
        {"get_info", get_info},
        {"ping", ping},
        {"reindex", reindex},
        {NULL, NULL},
    };
    static const luaL_Reg makers[] = {{"jwt_sessions", jwt_sessions}, {NULL, NULL}};
    tksp_lua_set_gc(L, TKSP_UP_JWT_SESSIONS, handle_gc);
    tksp_lua_set_jwt_functions(L, makers);
    lua_newtable(L);
    tksp_lua_set_functions(L, functions);
    lua_setfield(L, -2, "rjwt");
}
