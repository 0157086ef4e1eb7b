/* lua_oauth_creator.h - the options of get_token_creator, for tokenstore.oauth. */
#ifndef TKSP_LUA_OAUTH_CREATOR_H
#define TKSP_LUA_OAUTH_CREATOR_H

#include "lua_driver.h"

/* creator(options): what options of spike-get-token say, in a table of our own names. */
int tksp_lua_creator(lua_State *L);

/* For the module's set-up. */
void tksp_lua_set_creator_gc(lua_State *L);

#endif
