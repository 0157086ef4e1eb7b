/* lua_convert.h - Lua values to JSON text, and JSON trees and results to Lua values.
 *
 * Rules:     table with string keys <-> object, sequence 1..n <-> array. An empty table is an object
 *            unless its metatable is that of tokenstore.array; arrays that are read get it, so they
 *            stay arrays. null is tokenstore.null. Integers are integers where Lua has them; where
 *            it has not (5.1, LuaJIT) a whole number within ±(2^53-1) is written as an integer.
 * Lifecycle: the functions that push may longjmp (memory): whatever they read from must belong to a
 *            userdata. Those that write do not allocate in Lua but for room on its stack. */
#ifndef TKSP_LUA_CONVERT_H
#define TKSP_LUA_CONVERT_H

#include "lua_shared.h"
#include "tokenstore/json.h"

/* Appends the object text of the table at `index` to `out`. `root` is its name in messages. TKS_OK,
 * TKS_ERR_DATA (`err` names the path), TKS_ERR_MEMORY. */
tks_status tksp_lua_write_object(lua_State *L, int index, tks_buf *out, size_t max_size,
                                 const char *root, tks_error *err);

/* The same for any value. */
tks_status tksp_lua_write_value(lua_State *L, int index, tks_buf *out, size_t max_size,
                                const char *root, tks_error *err);

/* Appends the number at `index` as text for a command, the same in every locale: whole ones without a
 * fraction. TKS_ERR_DATA for NaN and infinities. */
tks_status tksp_lua_write_number(lua_State *L, int index, tks_buf *out, tks_error *err);

/* Pushes one value. */
void tksp_lua_push_json(lua_State *L, const tks_json *node);

/* Pushes what a finished operation gives; returns how many values. */
int tksp_lua_push_result(lua_State *L, const tksp_lua_op *box);

/* The same in two halves. The first is for the time in which the answer is on its way: it pushes what can
 * be made of the result without it, the table of a token or nil, and returns the id in there. The second
 * takes that id, and what was pushed on top. */
tks_bytes tksp_lua_push_expected(lua_State *L, const tksp_lua_op *box);
int tksp_lua_end_result(lua_State *L, const tksp_lua_op *box, tks_bytes id);

#endif
