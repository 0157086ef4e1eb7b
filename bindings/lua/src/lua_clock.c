/* lua_clock.c - see lua_clock.h. */
#define _POSIX_C_SOURCE 200809L

#include "lua_clock.h"

#include "tokenstore/secret.h"

double tksp_lua_clock(int clock) {
    struct timespec now;
    (void)clock_gettime(clock, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* boot_clock(): seconds, monotonic, including the machine's sleep; the same in all processes. */
static int boot_seconds(lua_State *L) {
    lua_pushnumber(L, tksp_lua_clock(CLOCK_BOOTTIME));
    return 1;
}

/* clock(): seconds, monotonic. */
static int clock_seconds(lua_State *L) {
    lua_pushnumber(L, tksp_lua_clock(CLOCK_MONOTONIC));
    return 1;
}

/* random(size): that many random bytes. */
static int random_bytes(lua_State *L) {
    char bytes[TKS_PEPPER_MAX];
    lua_Number size = luaL_checknumber(L, 1);
    luaL_argcheck(L, size >= 1 && size <= TKS_PEPPER_MAX, 1, "1 to 64 expected");
    tks_random(bytes, (size_t)size);
    lua_pushlstring(L, bytes, (size_t)size);
    return 1;
}

void tksp_lua_open_clock(lua_State *L) {
    static const luaL_Reg functions[] = {{"clock", clock_seconds},
                                         {"boot_clock", boot_seconds},
                                         {"random", random_bytes},
                                         {NULL, NULL}};
    tksp_lua_set_functions(L, functions);
}
