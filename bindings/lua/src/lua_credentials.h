/* lua_credentials.h - what the function `credentials` returned: user and password for one new connection. */
#ifndef TKSP_LUA_CREDENTIALS_H
#define TKSP_LUA_CREDENTIALS_H

#include "lua_shared.h"
#include "tokenstore/greeting.h"

/* Reads the user at `index` and the password behind it. `out`: the caller's to clear, empty on failure. TKS_OK,
 * TKS_ERR_CONFIGURATION (not two strings, a zero byte), TKS_ERR_MEMORY. The message holds neither. Never
 * longjmps. */
tks_status tksp_lua_read_credentials(lua_State *L, int index, tks_credentials *out, tks_error *err);

#endif
