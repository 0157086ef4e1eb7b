/* lua_remote_keys.h - keys at a URL, for tokenstore.oauth. */
#ifndef TKSP_LUA_REMOTE_KEYS_H
#define TKSP_LUA_REMOTE_KEYS_H

#include "lua_shared.h"

/* Adds its functions to the table on top. */
void tksp_lua_open_remote_keys(lua_State *L);

#endif
