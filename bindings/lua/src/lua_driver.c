/* lua_driver.c - see lua_driver.h. */
#include "lua_driver.h"

/* Upvalues after the shared ones: the main coroutine as a light userdata, or nil; whether this is LuaJIT */
enum { UP_MAIN = TKSP_UP_COUNT + 1, UP_JIT };

void tksp_lua_push_driver(lua_State *L, lua_CFunction function) {
    lua_State *main = tksp_lua_main(L);
    tksp_lua_push_shared(L);
    if (main != NULL) {
        lua_pushlightuserdata(L, main);
    } else {
        lua_pushnil(L);
    }
    lua_getfield(L, LUA_REGISTRYINDEX, "_LOADED");
    lua_getfield(L, -1, "jit");
    lua_remove(L, -2);
    lua_pushcclosure(L, function, UP_JIT);
}

void tksp_lua_set_drivers(lua_State *L, const luaL_Reg *functions) {
    for (; functions->name != NULL; functions++) {
        tksp_lua_push_driver(L, functions->func);
        lua_setfield(L, -2, functions->name);
    }
}

static bool hook_changed(void *context) {
    tksp_lua_watch *watch = context;
    return lua_gethook(watch->L) != watch->before;
}

tks_interrupt tksp_lua_watch_hook(lua_State *L, tksp_lua_watch *out) {
    lua_State *main = lua_touserdata(L, lua_upvalueindex(UP_MAIN));
    out->L = main != NULL ? main : L;
    out->before = lua_gethook(out->L);
    return (tks_interrupt){hook_changed, out};
}

int tksp_lua_fail_wait(lua_State *L, const tksp_lua_watch *watch, tks_status status,
                       const tks_error *err) {
    if (status == TKS_ERR_INTERRUPTED && lua_toboolean(L, lua_upvalueindex(UP_JIT))) {
        lua_sethook(L, NULL, 0, 0); /* so that it does not raise again during error handling */
        return luaL_error(L, "interrupted!");
    }
    if (status == TKS_ERR_INTERRUPTED && watch->L != L) {
        return luaL_error(L, "interrupted!");
    }
    return tksp_lua_fail(L, status, err);
}
