/* lua_store.h - the parts of tokenstore.core: lua_store.c, lua_operation.c, lua_raw.c. A function of theirs gives what it
 * made, or nil, message, code. */
#ifndef TKSP_LUA_STORE_H
#define TKSP_LUA_STORE_H

#include "lua_shared.h"
#include "lua_view.h"
#include "tokenstore/operation.h"

/* The userdata behind the object of a store; immutable once its object is made. */
typedef struct tksp_lua_store {
    const tks_store_type *type;
    void *core; /* NULL: not made */
    /* Where its gets may be found, kept alive by this; NULL: nowhere, as for types without `ask`. */
    const tksp_lua_viewer *viewer;
} tksp_lua_store;

/* Each adds its functions to the table on top. */

/* redis_tokens(options), sessions(options), tokenstore(options), redis_jwt(options): such a userdata. look_into(store, viewer), with
 * what the driver's `viewer` gave. find_view(store, app, type, token) and find_view_address, see lua_store.c; views, what these give the
 * numbers in; session_type, the type of a Sessions' tokens. And options, a table of the options of each store and of Client, as lua_options.h pushes them. */
void tksp_lua_open_store(lua_State *L);

/* operations: for each store a table of functions, operations.RedisTokens.get(handle, arguments) and so on, which make
 * an operation each. */
void tksp_lua_open_operations(lua_State *L);

/* execute, pipeline, ping */
void tksp_lua_open_raw(lua_State *L);

#endif
