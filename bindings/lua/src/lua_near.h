/* lua_near.h - the near cache for drivers written in Lua, which own the connections that listen. */
#ifndef TKSP_LUA_NEAR_H
#define TKSP_LUA_NEAR_H

#include "lua_shared.h"
#include "tokenstore/near.h"

/* Pushes a table of what it does. */
void tksp_lua_push_near_stats(lua_State *L, const tks_near_stats *stats);

/* Adds near_* to the table on top. */
void tksp_lua_open_near(lua_State *L);

#endif
