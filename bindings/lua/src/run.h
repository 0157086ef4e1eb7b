/* run.h - operations for drivers that are written in Lua: tokenstore.nginx. See run.c. */
#ifndef TOKENSTORE_LUA_RUN_H
#define TOKENSTORE_LUA_RUN_H

#include "shared.h"

/* Adds run, run_start, … and clock, random to the table on top. */
void tksp_lua_open_run(lua_State *L);

#endif
