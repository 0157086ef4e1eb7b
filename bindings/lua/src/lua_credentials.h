/* lua_credentials.h - the results of the function `credentials`: user and password for one new connection. */
#ifndef TKSP_LUA_CREDENTIALS_H
#define TKSP_LUA_CREDENTIALS_H

#include "lua_shared.h"
#include "tokenstore/greeting.h"

/* Reads the user at `index` and the password after it. The caller clears `out`, which is empty on failure.
 * TKS_OK, TKS_ERR_CONFIGURATION (not two strings, a NUL byte), TKS_ERR_MEMORY. The message contains neither.
 * Never longjmps. */
tks_status tksp_lua_read_credentials(lua_State *L, int index, tks_credentials *out, tks_error *err);

#endif
