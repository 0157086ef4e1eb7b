/* lua_options.h - options: from Lua values to the members that the rows of a table name (tokenstore/option.h).
 *
 * Lifecycle: values are borrowed from what stays on the stack.
 * Threads:   as the Lua state. */
#ifndef TKSP_LUA_OPTIONS_H
#define TKSP_LUA_OPTIONS_H

#include "lua_shared.h"
#include "tokenstore/option.h"

/* Pushes { name = type, … }: "string", "number", "boolean", or "any" for what options.lua cannot check. */
void tksp_lua_push_options(lua_State *L, const tks_options *table);

/* The value at `index`, which may push one that it is borrowed from. Raises for one of another type than the row's. */
tks_value tksp_lua_to_option(lua_State *L, int index, const tks_option *row);

/* Fills a struct from the table at `index`; pushes the struct and what it borrows from. Raises for unknown names and
 * wrong types. What is wrong with values is added to `faults`, which belongs to a userdata; NULL: the first is the
 * error. TKS_OK, TKS_ERR_CONFIGURATION. */
tks_status tksp_lua_read_options(lua_State *L, int index, const tks_options *table, tks_buf *faults,
                                 void **out, tks_error *err);

#endif
