/* lua_meter.h - what operations have cost (tokenstore/meter.h), for Lua.
 *
 * Threads: the state's. */
#ifndef TKSP_LUA_METER_H
#define TKSP_LUA_METER_H

#include "lua_shared.h"
#include "tokenstore/meter.h"

/* Pushes a list of the sums of each operation: { store, operation, outcomes, durations, took, … }. */
void tksp_lua_push_sums(lua_State *L, const tks_meter *meter);

/* Adds meter_sums and meter_bounds to the table on top. */
void tksp_lua_open_meter(lua_State *L);

#endif
