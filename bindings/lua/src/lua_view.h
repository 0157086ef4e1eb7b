/* lua_view.h - tables that are kept ready beside the near cache's records: its views (tokenstore/near.h).
 *
 * Purpose:   a view is the table of a token without its token, in the table core.views; the near cache has its number there. What a caller gets
 *            is a copy of it (tokenstore/near.lua).
 * Threads:   those of the Lua state. */
#ifndef TKSP_LUA_VIEW_H
#define TKSP_LUA_VIEW_H

#include "lua_shared.h"
#include "tokenstore/near.h"

/* The first member of the userdata of a blocking client and of a target: finds a view, NULL: there is none. A function, because only
 * tokenstore.blocking knows of clients. */
typedef struct tksp_lua_viewer {
    void *(*find)(const struct tksp_lua_viewer *self, const tks_near_question *question);
} tksp_lua_viewer;

/* The viewer at `arg`; NULL: there is nothing. Raises for anything else. */
const tksp_lua_viewer *tksp_lua_to_viewer(lua_State *L, int arg);

/* Keeps a copy of the table on top, the result of `box`, if it may be found again. */
void tksp_lua_leave_view(lua_State *L, const tksp_lua_op *box);

void tksp_lua_free_view(lua_State *L, const void *view);

#endif
