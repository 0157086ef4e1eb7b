/* lua_oauth_creator.h - the options of get_token_creator, for tokenstore.oauth. */
#ifndef TKSP_LUA_OAUTH_CREATOR_H
#define TKSP_LUA_OAUTH_CREATOR_H

#include "lua_driver.h"

/* creator(options): converts options of spike-get-token to a table of our options. */
int tksp_lua_creator(lua_State *L);

/* Called when the module is loaded. */
void tksp_lua_set_creator_gc(lua_State *L);

#endif
