/* lua_audit.h - the events of audited operations. See audit.lua. */
#ifndef TKSP_LUA_AUDIT_H
#define TKSP_LUA_AUDIT_H

#include "lua_shared.h"

/* The operation has ended, and is about to be freed: if it has events, they go to the table that was given for them. */
void tksp_lua_tell(lua_State *L, const tks_op *op);

/* Adds audit() to the table on top. */
void tksp_lua_open_audit(lua_State *L);

#endif
