/* lua_shared.c - the metatables and sentinels of all modules, the operation userdata, errors. */
#include "lua_shared.h"

#include <limits.h>
#include <stdarg.h>
#include <string.h>

/* The registry key of the list of TKSP_UP_* values. Increment the number with any change of a struct in
 * lua_shared.h. */
#define SHARED_KEY "tokenstore.shared/11"

static int op_gc(lua_State *L) {
    tksp_lua_op_clear(tksp_lua_check(L, 1, TKSP_UP_OP));
    return 0;
}

static int scratch_gc(lua_State *L) {
    tksp_lua_scratch_clear(tksp_lua_check(L, 1, TKSP_UP_SCRATCH));
    return 0;
}

static int null_tostring(lua_State *L) {
    lua_pushliteral(L, "null");
    return 1;
}

static int unset_tostring(lua_State *L) {
    lua_pushliteral(L, "tokenstore.unset");
    return 1;
}

/* "tokenstore.Token: <id>": never the token, never the data. Upvalue 1 is the name. */
static int value_tostring(lua_State *L) {
    const char *id = NULL;
    luaL_checktype(L, 1, LUA_TTABLE);
    lua_pushliteral(L, "id");
    lua_rawget(L, 1);
    id = lua_tostring(L, -1);
    lua_pushfstring(L, "%s: %s", lua_tostring(L, lua_upvalueindex(1)), id != NULL ? id : "?");
    return 1;
}

static int reply_error_tostring(lua_State *L) {
    luaL_checktype(L, 1, LUA_TTABLE);
    lua_pushliteral(L, "message");
    lua_rawget(L, 1);
    return 1;
}

/* ---- bigint: an integer beyond what this Lua has, as its digits ---- */

/* Pushes the digits of the bigint at `index`, or the value itself. */
static void push_digits(lua_State *L, int index) {
    if (lua_type(L, index) == LUA_TTABLE) {
        lua_pushliteral(L, "digits");
        lua_rawget(L, index);
    } else {
        lua_pushvalue(L, index);
    }
}

static int big_tostring(lua_State *L) {
    luaL_checktype(L, 1, LUA_TTABLE);
    push_digits(L, 1);
    return 1;
}

static int big_concat(lua_State *L) {
    for (int i = 1; i <= 2; i++) {
        push_digits(L, i);
        if (!lua_isstring(L, -1)) {
            return luaL_error(L, "attempt to concatenate a %s value", luaL_typename(L, -1));
        }
    }
    lua_concat(L, 2);
    return 1;
}

static int big_eq(lua_State *L) {
    push_digits(L, 1);
    push_digits(L, 2);
    lua_pushboolean(L, lua_rawequal(L, -1, -2));
    return 1;
}

/* Appends a metatable to the list on top, as TKSP_UP_* number `up`. Its name shows in messages;
 * getmetatable() returns only the name, so that __gc is not accessible. */
static void add_metatable(lua_State *L, int up, const char *name, bool open) {
    lua_createtable(L, 0, 4);
    lua_pushstring(L, name);
    lua_setfield(L, -2, "__name");
    if (!open) {
        lua_pushstring(L, name);
        lua_setfield(L, -2, "__metatable");
    }
    tksp_lua_set_item(L, -2, (size_t)up);
}

/* Sets __tostring of metatable `up` of the list on top. */
static void set_tostring(lua_State *L, int up, lua_CFunction tostring) {
    tksp_lua_get_item(L, -1, (size_t)up);
    lua_getfield(L, -1, "__name");
    lua_pushcclosure(L, tostring, 1);
    lua_setfield(L, -2, "__tostring");
    lua_pop(L, 1);
}

/* Sets a metamethod of metatable `up` of the list on top. */
static void set_method(lua_State *L, int up, const char *name, lua_CFunction method) {
    tksp_lua_get_item(L, -1, (size_t)up);
    lua_pushcfunction(L, method);
    lua_setfield(L, -2, name);
    lua_pop(L, 1);
}

/* Pushes all items of the list at index `list`. */
static void push_items(lua_State *L, int list) {
    for (size_t i = 1; i <= TKSP_UP_COUNT; i++) {
        tksp_lua_get_item(L, list, i);
    }
}

/* Sets `gc`, with all items as upvalues, as the finalizer of metatable `up`. */
static void set_gc(lua_State *L, int list, int up, lua_CFunction gc) {
    tksp_lua_get_item(L, list, (size_t)up);
    push_items(L, list);
    lua_pushcclosure(L, gc, TKSP_UP_COUNT);
    lua_setfield(L, -2, "__gc");
    lua_pop(L, 1);
}

static void init_op(tksp_lua_op *box) {
    box->in_use = false;
    box->op = NULL;
    box->borrowed = false;
    tks_buf_init(&box->scratch, SIZE_MAX);
}

/* Sets the metatable of the userdata on top from the list below it, and stores the userdata there as `up`. */
static void add_userdata(lua_State *L, int metatable, int up) {
    tksp_lua_get_item(L, -2, (size_t)metatable);
    lua_setmetatable(L, -2);
    tksp_lua_set_item(L, -2, (size_t)up);
}

/* Pushes a new list of the TKSP_UP_* values. */
static void make_list(lua_State *L) {
    int list = lua_gettop(L) + 1;
    lua_createtable(L, TKSP_UP_COUNT, 0);
    add_metatable(L, TKSP_UP_OP, "tokenstore.op", false);
    add_metatable(L, TKSP_UP_STORE, "tokenstore.store", false);
    add_metatable(L, TKSP_UP_SCRATCH, "tokenstore.scratch", false);
    add_metatable(L, TKSP_UP_CLIENT, "tokenstore.client", false);
    add_metatable(L, TKSP_UP_NULL, "tokenstore.null", false);
    add_metatable(L, TKSP_UP_UNSET, "tokenstore.unset", false);
    add_metatable(L, TKSP_UP_ARRAY, "tokenstore.array", true);
    add_metatable(L, TKSP_UP_BIG, "tokenstore.bigint", false);
    add_metatable(L, TKSP_UP_TOKEN, "tokenstore.Token", true);
    add_metatable(L, TKSP_UP_SESSION, "tokenstore.Session", true);
    add_metatable(L, TKSP_UP_REPLY_ERROR, "tokenstore.ReplyError", true);
    add_metatable(L, TKSP_UP_SPIKE, "tokenstore.spike", false);
    add_metatable(L, TKSP_UP_CREATOR, "tokenstore.creator", false);
    add_metatable(L, TKSP_UP_TARGET, "tokenstore.target", false);
    add_metatable(L, TKSP_UP_RUN, "tokenstore.run", false);
    add_metatable(L, TKSP_UP_SESSION_EVENTS, "tokenstore.session_events", false);
    add_metatable(L, TKSP_UP_FLIGHT, "tokenstore.flight", false);
    add_metatable(L, TKSP_UP_REMOTE_KEYS, "tokenstore.remote_keys", false);
    add_metatable(L, TKSP_UP_NEAR_LINK, "tokenstore.near_link", false);
    lua_newtable(L);
    tksp_lua_set_item(L, list, TKSP_UP_VIEWS);
    set_tostring(L, TKSP_UP_NULL, null_tostring);
    set_tostring(L, TKSP_UP_UNSET, unset_tostring);
    set_method(L, TKSP_UP_BIG, "__tostring", big_tostring);
    set_method(L, TKSP_UP_BIG, "__concat", big_concat);
    set_method(L, TKSP_UP_BIG, "__eq", big_eq);
    set_tostring(L, TKSP_UP_TOKEN, value_tostring);
    set_tostring(L, TKSP_UP_SESSION, value_tostring);
    set_tostring(L, TKSP_UP_REPLY_ERROR, reply_error_tostring);

    /* Lua checks for __gc when a metatable is set, so finalizers come before userdata. */
    set_gc(L, list, TKSP_UP_OP, op_gc);
    set_gc(L, list, TKSP_UP_SCRATCH, scratch_gc);
    init_op(lua_newuserdata(L, sizeof(tksp_lua_op)));
    add_userdata(L, TKSP_UP_OP, TKSP_UP_SPARE);
    lua_newuserdata(L, 1);
    add_userdata(L, TKSP_UP_NULL, TKSP_UP_NULL);
    lua_newuserdata(L, 1);
    add_userdata(L, TKSP_UP_UNSET, TKSP_UP_UNSET);
}

/* Pushes the list, created by the module that is loaded first. */
static void push_list(lua_State *L) {
    luaL_checkstack(L, 3 * TKSP_UP_COUNT, "not enough memory");
    lua_getfield(L, LUA_REGISTRYINDEX, SHARED_KEY);
    if (lua_isnil(L, -1)) {
        lua_pop(L, 1);
        make_list(L);
        lua_pushvalue(L, -1);
        lua_setfield(L, LUA_REGISTRYINDEX, SHARED_KEY);
    }
}

void tksp_lua_push_shared(lua_State *L) {
    int list = lua_gettop(L) + 1;
    push_list(L);
    push_items(L, list);
    lua_remove(L, list);
}

void tksp_lua_push_one(lua_State *L, int up) {
    push_list(L);
    tksp_lua_get_item(L, -1, (size_t)up);
    lua_remove(L, -2);
}

void tksp_lua_set_gc(lua_State *L, int up, lua_CFunction gc) {
    push_list(L);
    set_gc(L, lua_gettop(L), up, gc);
    lua_pop(L, 1);
}

void tksp_lua_set_functions(lua_State *L, const luaL_Reg *functions) {
    for (; functions->name != NULL; functions++) {
        tksp_lua_push_shared(L);
        lua_pushcclosure(L, functions->func, TKSP_UP_COUNT);
        lua_setfield(L, -2, functions->name);
    }
}

void tksp_lua_set_address(lua_State *L, const char *field, const void *function, size_t size) {
    void *address = NULL;
    memcpy(&address, function, size);
    lua_pushlightuserdata(L, address);
    lua_setfield(L, -2, field);
}

void *tksp_lua_check(lua_State *L, int arg, int up) {
    void *data = lua_touserdata(L, arg);
    if (data != NULL && lua_getmetatable(L, arg)) {
        int same = lua_rawequal(L, -1, lua_upvalueindex(up));
        lua_pop(L, 1);
        if (same) {
            return data;
        }
    }
    lua_getfield(L, lua_upvalueindex(up), "__name");
    tksp_lua_raise(L, "%s expected, got %s: methods are called with ':', as in tokens:get{…}",
                   lua_tostring(L, -1), luaL_typename(L, arg));
    return NULL;
}

void tksp_lua_set_kind(lua_State *L, int up) {
    lua_pushvalue(L, lua_upvalueindex(up));
    lua_setmetatable(L, -2);
}

tksp_lua_op *tksp_lua_op_new(lua_State *L, tksp_lua_form form) {
    tksp_lua_op *box = lua_touserdata(L, lua_upvalueindex(TKSP_UP_SPARE));
    if (box->in_use) {
        box = lua_newuserdata(L, sizeof *box);
        init_op(box);
        tksp_lua_set_kind(L, TKSP_UP_OP);
    } else {
        lua_pushvalue(L, lua_upvalueindex(TKSP_UP_SPARE));
    }
    box->in_use = true;
    box->form = form;
    box->timeout_ms = 0;
    box->asks = false;
    return box;
}

tksp_lua_scratch *tksp_lua_scratch_new(lua_State *L) {
    tksp_lua_scratch *scratch = lua_newuserdata(L, sizeof *scratch);
    scratch->tree = NULL;
    tks_buf_init(&scratch->text, SIZE_MAX);
    tksp_lua_set_kind(L, TKSP_UP_SCRATCH);
    return scratch;
}

void tksp_lua_scratch_clear(tksp_lua_scratch *scratch) {
    tks_json_free(scratch->tree);
    scratch->tree = NULL;
    tks_buf_wipe(&scratch->text);
}

int tksp_lua_op_finish(lua_State *L, tksp_lua_op *box, tks_status status, const tks_error *err) {
    if (status == TKS_OK) {
        tks_buf_wipe(&box->scratch);
        return 1;
    }
    tksp_lua_op_clear(box);
    return tksp_lua_fail(L, status, err);
}

void tksp_lua_op_clear(tksp_lua_op *box) {
    if (!box->borrowed) {
        tks_op_free(box->op);
    }
    box->op = NULL;
    box->borrowed = false;
    tks_buf_wipe(&box->scratch);
    box->in_use = false;
}

int tksp_lua_fail(lua_State *L, tks_status status, const tks_error *err) {
    lua_pushnil(L);
    lua_pushstring(L, err->message[0] != '\0' ? err->message : tks_status_text(status));
    lua_pushstring(L, tks_status_code(status));
    return 3;
}

int tksp_lua_raise(lua_State *L, const char *format, ...) {
    va_list args;
    luaL_where(L, 2);
    va_start(args, format);
    lua_pushvfstring(L, format, args);
    va_end(args);
    lua_concat(L, 2);
    return lua_error(L);
}

size_t tksp_lua_list_size(lua_State *L, int index, const char *name) {
    size_t size = lua_rawlen(L, index);
    size_t keys = 0;
    lua_pushnil(L);
    while (lua_next(L, index) != 0) {
        lua_pop(L, 1);
        keys++;
    }
    if (keys != size) {
        tksp_lua_raise(L, "bad argument%s (list without holes and names expected)", name);
    }
    if (size > INT_MAX) {
        tksp_lua_raise(L, "bad argument%s (the list is too long)", name);
    }
    return size;
}
