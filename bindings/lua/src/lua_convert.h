/* lua_convert.h - Lua values to JSON text, and JSON trees and results to Lua values.
 *
 * Rules:     table with string keys <-> object, sequence 1..n <-> array. An empty table is an object
 *            unless its metatable is that of tokenstore.array; arrays that are read get it, so that they
 *            remain arrays. null is tokenstore.null. Without an integer type (5.1, LuaJIT), a whole number
 *            within ±(2^53-1) is written as an integer.
 * Lifecycle: functions that push may longjmp (out of memory): their input must be owned by a userdata.
 *            Functions that write allocate nothing in Lua except stack space. */
#ifndef TKSP_LUA_CONVERT_H
#define TKSP_LUA_CONVERT_H

#include "lua_shared.h"
#include "tokenstore/json.h"

/* Appends the object text of the table at `index` to `out`. `root`: its name in messages. TKS_OK,
 * TKS_ERR_DATA (`err` names the path), TKS_ERR_MEMORY. */
tks_status tksp_lua_write_object(lua_State *L, int index, tks_buf *out, size_t max_size,
                                 const char *root, tks_error *err);

/* The same without the top-level members that are tokenstore.unset. With `absent` their names follow as the text of an
 * array. */
tks_status tksp_lua_write_patch(lua_State *L, int index, bool absent, tks_buf *out, size_t max_size,
                                const char *root, tks_error *err);

/* Appends the list of `count` strings at `index`, as the text of an array. */
tks_status tksp_lua_write_names(lua_State *L, int index, size_t count, tks_buf *out,
                                size_t max_size, const char *root, tks_error *err);

/* The same for any value. */
tks_status tksp_lua_write_value(lua_State *L, int index, tks_buf *out, size_t max_size,
                                const char *root, tks_error *err);

/* Appends the number at `index` as text for a command, independent of the locale: whole numbers without a
 * fraction. TKS_ERR_DATA for NaN and infinities. */
tks_status tksp_lua_write_number(lua_State *L, int index, tks_buf *out, tks_error *err);

/* Pushes one value. */
void tksp_lua_push_json(lua_State *L, const tks_json *node);

/* Pushes the result of a finished operation; returns the number of values. */
int tksp_lua_push_result(lua_State *L, const tksp_lua_op *box);

/* The same in two steps. The first runs while waiting for the reply: it pushes what can be created without
 * it, the table of a token or nil, and returns the id in the table. The second takes that id, with the pushed
 * value on top. */
tks_bytes tksp_lua_push_expected(lua_State *L, const tksp_lua_op *box);
int tksp_lua_end_result(lua_State *L, const tksp_lua_op *box, tks_bytes id);

/* Pushes what is known beyond the message of a failed operation: { owner, sid } of a reused token, { replicas, result } of
 * a change that was not replicated. The number of results, 0 or 1. */
int tksp_lua_push_detail(lua_State *L, const tksp_lua_op *box);

#endif
