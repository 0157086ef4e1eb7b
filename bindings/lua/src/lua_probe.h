/* lua_probe.h - does anybody listen there? For the driver in nginx, which logs each connection that fails. */
#ifndef TKSP_LUA_PROBE_H
#define TKSP_LUA_PROBE_H

#include "lua_shared.h"

/* Adds `probe` to the table on top. */
void tksp_lua_open_probe(lua_State *L);

#endif
