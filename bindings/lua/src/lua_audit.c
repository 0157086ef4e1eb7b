/* lua_audit.c - see lua_audit.h.
 *
 * A run owns its operation and frees it, so the caller gives a table for the events before. These tables are found by the
 * operation's address, in a table in the registry that does not keep them: if a run never ends, nothing stays. */
#include "lua_audit.h"

#include "lua_args.h"
#include "lua_convert.h"
#include "tokenstore/audit.h"

static const char REGISTRY_KEY[] = "tokenstore.audit";

/* Pushes the table of tables, by operation. */
static void push_sinks(lua_State *L) {
    lua_getfield(L, LUA_REGISTRYINDEX, REGISTRY_KEY);
    if (!lua_isnil(L, -1)) {
        return;
    }
    lua_pop(L, 1);
    lua_newtable(L);
    lua_newtable(L);
    lua_pushliteral(L, "v");
    lua_setfield(L, -2, "__mode");
    lua_setmetatable(L, -2);
    lua_pushvalue(L, -1);
    lua_setfield(L, LUA_REGISTRYINDEX, REGISTRY_KEY);
}

static void set_text(lua_State *L, const char *name, tks_bytes text) {
    if (text.size > 0) {
        lua_pushlstring(L, text.data, text.size);
        lua_setfield(L, -2, name);
    }
}

static void push_event(lua_State *L, const tks_audit_event *event) {
    lua_createtable(L, 0, 11);
    lua_pushnumber(L, (lua_Number)event->at_ms / 1e3);
    lua_setfield(L, -2, "at");
    set_text(L, "kind", event->kind);
    set_text(L, "name", event->name);
    set_text(L, "reason", event->reason);
    set_text(L, "app", event->app);
    set_text(L, "type", event->type);
    set_text(L, "owner", event->owner);
    set_text(L, "sid", event->sid);
    set_text(L, "id", event->id);
    set_text(L, "count", event->count);
}

/* Sets `writer` of the table on top to the operation that writes the events, if the change could not; `failed` if there is no
 * memory for it. */
static void set_writer(lua_State *L, const tks_op *op) {
    tks_error err = TKS_ERROR_INIT;
    tksp_lua_op *box = tksp_lua_op_new(L, TKSP_FORM_REPLIES);
    if (tks_op_write_events(op, &box->op, &err) != TKS_OK) {
        lua_pushstring(L, err.message);
        lua_setfield(L, -3, "failed");
    }
    if (box->op != NULL) {
        lua_setfield(L, -2, "writer");
    } else {
        tksp_lua_op_clear(box);
        lua_pop(L, 1);
    }
}

void tksp_lua_tell(lua_State *L, const tks_op *op) {
    const tks_audit_event *events = NULL;
    size_t count = tks_op_get_events(op, &events);
    if (count == 0) {
        return;
    }
    luaL_checkstack(L, 6, "not enough memory");
    push_sinks(L);
    lua_pushlightuserdata(L, (void *)op);
    lua_rawget(L, -2);
    if (lua_istable(L, -1)) {
        for (size_t i = 0; i < count; i++) {
            push_event(L, &events[i]);
            lua_rawseti(L, -2, (int)i + 1);
        }
        set_writer(L, op);
    }
    lua_pop(L, 2);
}

/* audit(operation, actor or nil, stream size, table): before it runs. True, or nil, message, code: then it cannot be run. */
static int audit(lua_State *L) {
    tksp_lua_op *box = tksp_lua_check(L, 1, TKSP_UP_OP);
    tks_error err = TKS_ERROR_INIT;
    tks_bytes actor = lua_isnoneornil(L, 2) ? tks_bytes_of(NULL, 0) : tksp_lua_to_bytes(L, 2);
    int64_t size = (int64_t)luaL_checknumber(L, 3);
    luaL_checktype(L, 4, LUA_TTABLE);
    if (box->op == NULL) {
        return luaL_error(L, "this operation has already been run");
    }
    tks_status status = tks_op_audit(box->op, actor, size, &err);
    if (status != TKS_OK) {
        tksp_lua_op_clear(box);
        return tksp_lua_fail(L, status, &err);
    }
    push_sinks(L);
    lua_pushlightuserdata(L, box->op);
    lua_pushvalue(L, 4);
    lua_rawset(L, -3);
    lua_pushboolean(L, 1);
    return 1;
}

void tksp_lua_open_audit(lua_State *L) {
    static const luaL_Reg functions[] = {{"audit", audit}, {NULL, NULL}};
    tksp_lua_set_functions(L, functions);
}
