/* probe.h - does anybody listen there? For the driver in nginx, which logs each connection that fails. */
#ifndef TOKENSTORE_LUA_PROBE_H
#define TOKENSTORE_LUA_PROBE_H

#include "shared.h"

/* Adds `probe` to the table on top. */
void tksp_lua_open_probe(lua_State *L);

#endif
