/* lua_driver.h - what the modules that wait have in common: tokenstore.blocking and tokenstore.oauth.
 *
 * Ctrl-C: the interpreters' SIGINT handler sets a debug hook, which raises "interrupted!" as soon as
 * Lua code goes on. A wait that was interrupted compares the hook with the one at entry: another one
 * means that somebody wants to stop, and the run is given up. Two hooks do not get their turn then: PUC
 * Lua sets it on the main coroutine alone, and code that LuaJIT has compiled never looks. There the
 * error is raised here. */
#ifndef TKSP_LUA_DRIVER_H
#define TKSP_LUA_DRIVER_H

#include "lua_shared.h"
#include "tokenstore/client.h"

/* The userdata of tokenstore.blocking's client. */
typedef struct tksp_lua_client {
    tks_target *target; /* while the client is being made */
    tks_client *client; /* NULL: not made */
    tks_flight
        *flight; /* the call under way, while Lua has a chance to raise; what it leaves by that
                         * keeps its connection until the client goes */
    bool keeps_notes;
    tks_notes notes; /* of operations, for take_notes */
} tksp_lua_client;

typedef struct tksp_lua_watch {
    lua_State *L;
    lua_Hook before;
} tksp_lua_watch;

/* Pushes `function` with the shared upvalues and those that watching needs. */
void tksp_lua_push_driver(lua_State *L, lua_CFunction function);

/* Adds functions made so to the table on top. */
void tksp_lua_set_drivers(lua_State *L, const luaL_Reg *functions);

/* Remembers the hook. `out` is the context of the interrupt, which is true when it has changed. */
tks_interrupt tksp_lua_watch_hook(lua_State *L, tksp_lua_watch *out);

/* What a function returns for a failure of what may have waited. Raises where the hook cannot. */
int tksp_lua_fail_wait(lua_State *L, const tksp_lua_watch *watch, tks_status status,
                       const tks_error *err);

#endif
