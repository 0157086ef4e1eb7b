/* lua_compat.h - the differences between Lua 5.1 / LuaJIT and 5.3 / 5.4.
 *
 * Rules:   a build for 5.1 also runs on LuaJIT, so nothing here may call functions that only one of them has
 *          (LuaJIT has parts of the 5.2 API).
 * Threads: a lua_State belongs to one thread at a time. */
#ifndef TKSP_LUA_COMPAT_H
#define TKSP_LUA_COMPAT_H

#include <lauxlib.h>
#include <limits.h>
#include <lua.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The only exported symbols of a module: luaopen_*. */
#define TKSP_LUA_OPEN __attribute__((visibility("default")))

#if LUA_VERSION_NUM < 502
#define lua_rawlen lua_objlen
#endif

/* t[i] without metamethods; pushes the value. */
static inline void tksp_lua_get_item(lua_State *L, int table, size_t i) {
#if LUA_VERSION_NUM < 503
    lua_rawgeti(L, table, i > INT_MAX ? 0 : (int)i);
#else
    lua_rawgeti(L, table, (lua_Integer)i);
#endif
}

/* t[i] = the value on top, which is popped; without metamethods. */
static inline void tksp_lua_set_item(lua_State *L, int table, size_t i) {
#if LUA_VERSION_NUM < 503
    lua_rawseti(L, table, (int)i);
#else
    lua_rawseti(L, table, (lua_Integer)i);
#endif
}

/* An integer within ±(2^53-1); a double represents it exactly if this Lua has no integers. */
static inline void tksp_lua_push_integer(lua_State *L, int64_t value) {
#if LUA_VERSION_NUM < 503
    lua_pushnumber(L, (lua_Number)value);
#else
    lua_pushinteger(L, (lua_Integer)value);
#endif
}

/* A new table with room for `items` of a list or `fields` of a record. */
static inline void tksp_lua_new_table(lua_State *L, size_t items, size_t fields) {
    lua_createtable(L, items > INT_MAX ? INT_MAX : (int)items,
                    fields > INT_MAX ? INT_MAX : (int)fields);
}

/* Keeps the value at index `value` alive as long as the userdata at index `userdata`. */
static inline void tksp_lua_keep(lua_State *L, int userdata, int value) {
    lua_createtable(L, 1, 0);
    lua_pushvalue(L, value);
    lua_rawseti(L, -2, 1);
    lua_pushvalue(L, userdata);
    lua_insert(L, -2);
#if LUA_VERSION_NUM < 502
    lua_setfenv(L, -2);
#else
    lua_setuservalue(L, -2);
#endif
    lua_pop(L, 1);
}

/* The main coroutine, where lua.c's SIGINT handler sets its hook; NULL: unknown. */
static inline lua_State *tksp_lua_main(lua_State *L) {
    lua_State *main = NULL;
#if LUA_VERSION_NUM < 502
    if (lua_pushthread(L)) {
        main = L;
    }
    lua_pop(L, 1);
#else
    lua_rawgeti(L, LUA_REGISTRYINDEX, LUA_RIDX_MAINTHREAD);
    main = lua_tothread(L, -1);
    lua_pop(L, 1);
#endif
    return main;
}

#endif
