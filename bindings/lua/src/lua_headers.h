/* lua_headers.h - the part of tokenstore.core that finds a header of a request in nginx: tokenstore/nginx_headers.lua. */
#ifndef TKSP_LUA_HEADERS_H
#define TKSP_LUA_HEADERS_H

#include "lua_shared.h"

/* Adds find_header_address and find_bearer_address, see lua_headers.c, to the table on top. */
void tksp_lua_open_headers(lua_State *L);

#endif
