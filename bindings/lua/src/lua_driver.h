/* lua_driver.h - shared by the modules that wait: tokenstore.blocking and tokenstore.oauth.
 *
 * Ctrl-C: the interpreters' SIGINT handler sets a debug hook, which raises "interrupted!" when Lua code
 * continues. An interrupted wait compares the hook with the one at entry: if it has changed, the run ends. In
 * two cases the hook does not run: PUC Lua sets it only on the main coroutine, and code compiled by LuaJIT
 * does not check it. Then the error is raised here. */
#ifndef TKSP_LUA_DRIVER_H
#define TKSP_LUA_DRIVER_H

#include "lua_shared.h"
#include "lua_view.h"
#include "tokenstore/client.h"

/* The userdata of tokenstore.blocking's client. */
typedef struct tksp_lua_client {
    tksp_lua_viewer viewer;
    tks_target *target; /* during creation */
    tks_client *client; /* NULL: not made */
    tks_flight *
        flight; /* the current call, while Lua may raise; if it does, the connection is kept until the client
                         * is freed */
    bool keeps_notes;
    tks_notes notes; /* of operations, for take_notes */
} tksp_lua_client;

typedef struct tksp_lua_watch {
    lua_State *L;
    lua_Hook before;
} tksp_lua_watch;

/* Pushes `function` with the shared upvalues and those for watching the hook. */
void tksp_lua_push_driver(lua_State *L, lua_CFunction function);

/* Adds such functions to the table on top. */
void tksp_lua_set_drivers(lua_State *L, const luaL_Reg *functions);

/* Stores the current hook. `out` is the context of the interrupt, which returns true when the hook has
 * changed. */
tks_interrupt tksp_lua_watch_hook(lua_State *L, tksp_lua_watch *out);

/* Returns the failure of a function that may have waited. Raises if the hook cannot. */
int tksp_lua_fail_wait(lua_State *L, const tksp_lua_watch *watch, tks_status status,
                       const tks_error *err);

#endif
