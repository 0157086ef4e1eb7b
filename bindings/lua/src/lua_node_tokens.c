/* lua_node_tokens.c - Tokenstore: from one table of arguments to one operation. See lua_tokens.h.
 *
 * Lifecycle: the handle is immutable after it is made. Each function gives an operation, or nil,
 *            message, code; nothing is sent here. */
#include "tokenstore/node_tokens.h"

#include "lua_args.h"
#include "lua_convert.h"
#include "lua_tokens.h"

/* The userdata behind a Tokenstore object. */
typedef struct node_handle {
    tks_node_tokens *store;
} node_handle;

/* Stack of each function: 1 the handle, 2 the table, then its parameters from 3 on. */
enum { SELF = 1, TABLE = 2, FIRST = 3, SECOND, THIRD, FOURTH };

#define COUNT_OF(a) ((int)(sizeof(a) / sizeof((a)[0])))
#define PARAM(name, type, required)                                                                \
    { name, NULL, type, required }

/* ---- the handle ------------------------------------------------------------------------------- */

static int handle_gc(lua_State *L) {
    node_handle *self = tksp_lua_check(L, 1, TKSP_UP_NODE_TOKENS);
    tks_node_tokens_free(self->store);
    self->store = NULL;
    return 0;
}

static tks_status read_options(lua_State *L, int slot, tks_node_tokens_options *out,
                               tks_error *err) {
    int64_t size = 0;
    int64_t hash_size = 0;
    int64_t max_data_size = 0;
    tksp_lua_read_text(L, slot, "prefix", &out->prefix, err);
    tksp_lua_read_whole(L, slot + 1, "size", &size, err);
    tksp_lua_read_whole(L, slot + 2, "hash_size", &hash_size, err);
    tksp_lua_read_whole(L, slot + 3, "max_data_size", &max_data_size, err);
    out->size = (size_t)size;
    out->hash_size = (size_t)hash_size;
    out->max_data_size = (size_t)max_data_size;
    return err->status;
}

/* node_tokens(options) */
static int node_tokens(lua_State *L) {
    static const tksp_lua_param params[] = {
        PARAM("prefix", LUA_TSTRING, false),
        PARAM("size", LUA_TNUMBER, false),
        PARAM("hash_size", LUA_TNUMBER, false),
        PARAM("max_data_size", LUA_TNUMBER, false),
    };
    tks_node_tokens_options options = {{NULL, 0}, 0, 0, 0};
    tks_error err = TKS_ERROR_INIT;
    tks_status status = TKS_OK;
    node_handle *self = NULL;

    lua_settop(L, 1);
    lua_settop(L, 1 + COUNT_OF(params));
    tksp_lua_read_args(L, 1, "", false, params, COUNT_OF(params), 2);
    self = lua_newuserdata(L, sizeof *self);
    self->store = NULL;
    tksp_lua_set_kind(L, TKSP_UP_NODE_TOKENS);
    status = read_options(L, 2, &options, &err);
    if (status == TKS_OK) {
        status = tks_node_tokens_new(&options, &self->store, &err);
    }
    return status == TKS_OK ? 1 : tksp_lua_fail(L, status, &err);
}

/* Reads the arguments of a call. */
static const tks_node_tokens *begin(lua_State *L, const tksp_lua_param *params, int count) {
    const node_handle *self = tksp_lua_check(L, SELF, TKSP_UP_NODE_TOKENS);
    lua_settop(L, TABLE);
    lua_settop(L, TABLE + count);
    tksp_lua_read_args(L, TABLE, "", false, params, count, FIRST);
    return self->store;
}

/* ---- tokens ----------------------------------------------------------------------------------- */

static int add(lua_State *L) {
    static const tksp_lua_param params[] = {
        PARAM("owner_id", TKSP_LUA_NAME, true),
        PARAM("attrs", LUA_TTABLE, false),
        PARAM("key", LUA_TSTRING, false),
        PARAM("duration", LUA_TNUMBER, false),
    };
    const tks_node_tokens *store = begin(L, params, COUNT_OF(params));
    tksp_lua_op *box = tksp_lua_op_new(L, TKSP_FORM_TOKEN);
    tks_error err = TKS_ERROR_INIT;
    int64_t duration = 0;
    tks_status status = tksp_lua_to_duration(L, FOURTH, "duration", &duration, &err);
    if (status == TKS_OK && lua_istable(L, SECOND)) {
        status = tksp_lua_write_object(L, SECOND, &box->scratch,
                                       tks_node_tokens_get_max_data_size(store), "attrs", &err);
    } else if (status == TKS_OK && tks_buf_append(&box->scratch, "{}", 2) != TKS_OK) {
        status = tks_fail_memory(&err);
    }
    if (status == TKS_OK) {
        status =
            tks_node_tokens_add(store, tksp_lua_to_bytes(L, FIRST), tks_buf_bytes(&box->scratch),
                                tksp_lua_to_bytes(L, THIRD), duration, &box->op, &err);
    }
    return tksp_lua_op_finish(L, box, status, &err);
}

static int set(lua_State *L) {
    static const tksp_lua_param params[] = {
        PARAM("id", TKSP_LUA_NAME, false),
        PARAM("attrs", LUA_TTABLE, true),
    };
    const tks_node_tokens *store = begin(L, params, COUNT_OF(params));
    tksp_lua_op *box = tksp_lua_op_new(L, TKSP_FORM_TOKEN);
    tks_error err = TKS_ERROR_INIT;
    tks_status status = tksp_lua_write_object(
        L, SECOND, &box->scratch, tks_node_tokens_get_max_data_size(store), "attrs", &err);
    if (status == TKS_OK) {
        status = tks_node_tokens_set(store, tksp_lua_to_bytes(L, FIRST),
                                     tks_buf_bytes(&box->scratch), &box->op, &err);
    }
    return tksp_lua_op_finish(L, box, status, &err);
}

typedef tks_status operation(const tks_node_tokens *, tks_bytes, tks_op **, tks_error *);

/* A function with one argument; where it is not required, nil is one that nobody has. */
static int simple(lua_State *L, const char *name, int type, bool required, operation *make) {
    const tksp_lua_param params[] = {PARAM(name, type, required)};
    const tks_node_tokens *store = begin(L, params, COUNT_OF(params));
    tksp_lua_op *box = tksp_lua_op_new(L, TKSP_FORM_TOKEN);
    tks_error err = TKS_ERROR_INIT;
    tks_status status = make(store, tksp_lua_to_bytes(L, FIRST), &box->op, &err);
    return tksp_lua_op_finish(L, box, status, &err);
}

static int get(lua_State *L) {
    return simple(L, "id", TKSP_LUA_NAME, false, tks_node_tokens_get);
}

static int get_key(lua_State *L) {
    return simple(L, "key", LUA_TSTRING, false, tks_node_tokens_get_key);
}

static int delete_id(lua_State *L) {
    return simple(L, "id", TKSP_LUA_NAME, false, tks_node_tokens_delete);
}

static int delete_key(lua_State *L) {
    return simple(L, "key", LUA_TSTRING, false, tks_node_tokens_delete_key);
}

static int list(lua_State *L) {
    return simple(L, "owner_id", TKSP_LUA_NAME, true, tks_node_tokens_list);
}

static int reset(lua_State *L) {
    static const tksp_lua_param params[] = {PARAM("timeout", LUA_TNUMBER, false)};
    const tks_node_tokens *store = begin(L, params, COUNT_OF(params));
    tksp_lua_op *box = tksp_lua_op_new(L, TKSP_FORM_TOKEN);
    tks_error err = TKS_ERROR_INIT;
    tks_status status = tksp_lua_read_timeout(L, FIRST, &box->timeout_ms, &err);
    if (status == TKS_OK) {
        status = tks_node_tokens_reset(store, &box->op, &err);
    }
    return tksp_lua_op_finish(L, box, status, &err);
}

/* ---- hashes ----------------------------------------------------------------------------------- */

static int make_hash(lua_State *L) {
    static const tksp_lua_param params[] = {
        PARAM("value", LUA_TSTRING, true),
        PARAM("ttl", LUA_TNUMBER, false),
    };
    const tks_node_tokens *store = begin(L, params, COUNT_OF(params));
    tksp_lua_op *box = tksp_lua_op_new(L, TKSP_FORM_TOKEN);
    tks_error err = TKS_ERROR_INIT;
    int64_t ttl = TKS_NODE_HASH_TTL_MS;
    tks_status status = TKS_OK;
    if (!lua_isnil(L, SECOND)) {
        status = tksp_lua_to_duration(L, SECOND, "ttl", &ttl, &err);
    }
    if (status == TKS_OK) {
        status = tks_node_tokens_make_hash(store, tksp_lua_to_bytes(L, FIRST), ttl, &box->op, &err);
    }
    return tksp_lua_op_finish(L, box, status, &err);
}

static int get_hash(lua_State *L) {
    return simple(L, "hash", LUA_TSTRING, false, tks_node_tokens_get_hash);
}

static int take_hash(lua_State *L) {
    return simple(L, "hash", LUA_TSTRING, false, tks_node_tokens_take_hash);
}

static int del_hash(lua_State *L) {
    return simple(L, "hash", LUA_TSTRING, false, tks_node_tokens_del_hash);
}

void tksp_lua_open_node_tokens(lua_State *L) {
    static const luaL_Reg functions[] = {
        {"add", add},
        {"get", get},
        {"get_key", get_key},
        {"set", set},
        {"delete", delete_id},
        {"delete_key", delete_key},
        {"list", list},
        {"reset", reset},
        {"make_hash", make_hash},
        {"get_hash", get_hash},
        {"take_hash", take_hash},
        {"del_hash", del_hash},
        {NULL, NULL},
    };
    static const luaL_Reg makers[] = {{"node_tokens", node_tokens}, {NULL, NULL}};
    tksp_lua_set_gc(L, TKSP_UP_NODE_TOKENS, handle_gc);
    tksp_lua_set_functions(L, makers);
    lua_newtable(L);
    tksp_lua_set_functions(L, functions);
    lua_setfield(L, -2, "node");
}
