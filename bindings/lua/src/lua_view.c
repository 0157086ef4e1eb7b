/* lua_view.c - see lua_view.h. */
#include "lua_view.h"

enum { FIELDS = 8 /* of most tokens */ };

const tksp_lua_viewer *tksp_lua_to_viewer(lua_State *L, int arg) {
    const void *data = lua_touserdata(L, arg);
    if (data == NULL || !lua_getmetatable(L, arg)) {
        luaL_argcheck(L, lua_isnoneornil(L, arg), arg, "a client or a target expected");
        return NULL;
    }
    bool good = lua_rawequal(L, -1, lua_upvalueindex(TKSP_UP_CLIENT)) ||
                lua_rawequal(L, -1, lua_upvalueindex(TKSP_UP_TARGET));
    lua_pop(L, 1);
    luaL_argcheck(L, good, arg, "a client or a target expected");
    return data;
}

/* Pushes a copy of the table at `from`, and of the tables in it. */
static void push_copy(lua_State *L, int from) {
    int size = (int)lua_rawlen(L, from);
    luaL_checkstack(L, 6, "the data nests too deeply");
    lua_createtable(L, size, size == 0 ? FIELDS : 0);
    int to = lua_gettop(L);
    lua_pushnil(L);
    while (lua_next(L, from) != 0) {
        lua_pushvalue(L, -2);
        if (lua_istable(L, -2)) {
            push_copy(L, lua_gettop(L) - 1);
        } else {
            lua_pushvalue(L, -2);
        }
        lua_rawset(L, to);
        lua_pop(L, 1);
    }
    if (lua_getmetatable(L, from)) {
        lua_setmetatable(L, to);
    }
}

void tksp_lua_leave_view(lua_State *L, const tksp_lua_op *box) {
    if (!box->asks || !tks_op_is_viewable(box->op)) {
        return;
    }
    push_copy(L, lua_gettop(L));
    lua_pushnil(L);
    lua_setfield(L, -2, "token");
    const void *view = (void *)(intptr_t)luaL_ref(L, lua_upvalueindex(TKSP_UP_VIEWS));
    if (!tks_op_leave_view(box->op, &box->question, (void *)view)) {
        tksp_lua_free_view(L, view);
    }
    while ((view = tks_near_reap(tks_op_get_near(box->op), false)) != NULL) {
        tksp_lua_free_view(L, view);
    }
}

void tksp_lua_free_view(lua_State *L, const void *view) {
    luaL_unref(L, lua_upvalueindex(TKSP_UP_VIEWS), (int)(intptr_t)view);
}
