/* lua_run.h - operations for drivers written in Lua: tokenstore.nginx. See lua_run.c. */
#ifndef TKSP_LUA_RUN_H
#define TKSP_LUA_RUN_H

#include "lua_shared.h"

/* Adds run, run_start, … and clock, random to the table on top. */
void tksp_lua_open_run(lua_State *L);

#endif
