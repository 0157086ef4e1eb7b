/* lua_args.h - the one table that a method is called with: tokens:create{ app = "a", … }.
 *
 * Purpose:   each function lists its parameters; the table is walked once, without metamethods. A key
 *            that is none of them, a missing one, or a wrong type raises and names the argument -
 *            never its value, which may be a secret.
 * Lifecycle: parameter i is left at stack index slot + i (nil where it was not given), and so is safe
 *            from the collector. */
#ifndef TKSP_LUA_ARGS_H
#define TKSP_LUA_ARGS_H

#include "lua_shared.h"

/* The type of a parameter that names somebody or something: a string, or a whole number, which is left as its
 * text. A float beyond 2^53-1 is refused: two numbers may have become one. */
#define TKSP_LUA_NAME 100

typedef struct tksp_lua_param {
    const char *name; /* snake_case; the same in camelCase is taken too. NULL: it cannot be given */
    int type; /* LUA_TSTRING, LUA_TNUMBER, LUA_TBOOLEAN, LUA_TTABLE; LUA_TNONE: any; TKSP_LUA_NAME */
    bool required;
} tksp_lua_param;

/* Reads the table at `table` into the slots, which hold nil. `where` is what messages put before a
 * name: "" or "[3].". Allocates nothing unless it raises, or a name is a number. */
void tksp_lua_read_args(lua_State *L, int table, const char *where, const tksp_lua_param *params,
                        int count, int slot);

/* The length of the list at `index`; raises unless it is one of values of `type`. `name` is what messages put behind
 * "bad argument". */
size_t tksp_lua_list_of(lua_State *L, int index, const char *name, int type);

/* The string in a slot, "" for nil. */
tks_bytes tksp_lua_to_bytes(lua_State *L, int slot);

/* The timeout of a call in a slot as milliseconds, 0 for nil. TKS_OK or TKS_ERR_DATA. */
tks_status tksp_lua_read_timeout(lua_State *L, int slot, int64_t *out_ms, tks_error *err);

/* The duration in a slot as milliseconds, 0 for nil. TKS_OK or TKS_ERR_DATA. */
tks_status tksp_lua_to_duration(lua_State *L, int slot, const char *name, int64_t *out_ms,
                                tks_error *err);

#endif
