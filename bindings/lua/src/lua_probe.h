/* lua_probe.h - checks whether a server is reachable. For the nginx driver: nginx logs each failed
 * connection. */
#ifndef TKSP_LUA_PROBE_H
#define TKSP_LUA_PROBE_H

#include "lua_shared.h"

/* Adds `probe` to the table on top. */
void tksp_lua_open_probe(lua_State *L);

#endif
