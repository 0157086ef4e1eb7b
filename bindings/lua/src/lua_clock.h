/* lua_clock.h - clocks, and random bytes, for drivers written in Lua.
 *
 * Threads: no state. */
#ifndef TKSP_LUA_CLOCK_H
#define TKSP_LUA_CLOCK_H

#include <time.h>

#include "lua_shared.h"

/* Seconds, by a clock of time.h: CLOCK_MONOTONIC … */
double tksp_lua_clock(int clock);

/* Adds clock, boot_clock and random to the table on top. */
void tksp_lua_open_clock(lua_State *L);

#endif
