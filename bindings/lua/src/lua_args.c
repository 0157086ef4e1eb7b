/* lua_args.c - see lua_args.h. */
#include "lua_args.h"

#include <ctype.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>

#include "tokenstore/tokens.h"

/* Is `given` the name, or the name in camelCase? */
static bool is_name(const char *name, const char *given) {
    if (name == NULL) {
        return false;
    }
    for (; *name != '\0'; name++, given++) {
        if (*name == '_' && *given != '_') {
            name++;
            if (*given != (char)toupper((unsigned char)*name)) {
                return false;
            }
        } else if (*given != *name) {
            return false;
        }
    }
    return *given == '\0';
}

/* The key at `index`, which is not converted: lua_next needs it as it is. "" for what is no name. */
static const char *key_text(lua_State *L, int index) {
    size_t size = 0;
    const char *text = lua_type(L, index) == LUA_TSTRING ? lua_tolstring(L, index, &size) : "";
    return strlen(text) == size ? text : "";
}

/* Raises for the key on the stack at `key`. */
static void raise_unknown(lua_State *L, int key, const char *where, const tksp_lua_param *params,
                          int count) {
    const char *separator = "";
    lua_pushliteral(L, "");
    for (int i = 0; i < count; i++) {
        if (params[i].name != NULL) {
            lua_pushfstring(L, "%s%s%s", lua_tostring(L, -1), separator, params[i].name);
            lua_remove(L, -2);
            separator = ", ";
        }
    }
    if (lua_type(L, key) != LUA_TSTRING) {
        tksp_lua_raise(L,
                       "bad argument: a table of names and values expected (%s), got a %s as name",
                       lua_tostring(L, -1), luaL_typename(L, key));
    }
    tksp_lua_raise(L, "unknown argument '%s%s' (known are: %s)", where, lua_tostring(L, key),
                   lua_tostring(L, -1));
}

/* Writes a whole number as its text. False: it is not whole, or too large for a float. */
static bool write_whole(lua_State *L, int slot, char *out, size_t size) {
    lua_Number number = lua_tonumber(L, slot);
#if LUA_VERSION_NUM >= 503
    if (lua_isinteger(L, slot)) {
        snprintf(out, size, "%" PRId64, (int64_t)lua_tointeger(L, slot));
        return true;
    }
#endif
    if (!(fabs(number) <= (lua_Number)TKS_JSON_INTEGER_MAX) || floor(number) != number) {
        return false;
    }
    snprintf(out, size, "%" PRId64, (int64_t)number);
    return true;
}

/* Leaves the text of a name in its slot; raises for what is no name. */
static void read_name(lua_State *L, int slot, const char *where, const char *name) {
    char text[24];
    int type = lua_type(L, slot);
    if (type == LUA_TSTRING) {
        return;
    }
    if (type != LUA_TNUMBER) {
        tksp_lua_raise(L, "bad argument '%s%s' (string or whole number expected, got %s)", where,
                       name, lua_typename(L, type));
    }
    if (!write_whole(L, slot, text, sizeof text)) {
        tksp_lua_raise(L,
                       "bad argument '%s%s' (a number that is not whole, or beyond 2^53-1: give "
                       "it as a string)",
                       where, name);
    }
    lua_pushstring(L, text);
    lua_replace(L, slot);
}

void tksp_lua_read_args(lua_State *L, int table, const char *where, const tksp_lua_param *params,
                        int count, int slot) {
    if (!lua_istable(L, table)) {
        tksp_lua_raise(L, "bad argument: a table such as { app = \"…\" } expected, got %s",
                       luaL_typename(L, table));
    }
    lua_pushnil(L);
    while (lua_next(L, table) != 0) {
        const char *given = key_text(L, -2);
        int i = 0;
        while (i < count && !is_name(params[i].name, given)) {
            i++;
        }
        if (i == count) {
            raise_unknown(L, lua_gettop(L) - 1, where, params, count);
        }
        lua_replace(L, slot + i);
    }
    for (int i = 0; i < count; i++) {
        const char *name = params[i].name;
        int type = lua_type(L, slot + i);
        bool fits = type == params[i].type || (params[i].type == LUA_TNONE && type != LUA_TNIL);
        if (name != NULL && params[i].type == TKSP_LUA_NAME &&
            (type != LUA_TNIL || params[i].required)) {
            read_name(L, slot + i, where, name);
        } else if (name != NULL && !fits && (type != LUA_TNIL || params[i].required)) {
            tksp_lua_raise(L, "bad argument '%s%s' (%s expected, got %s)", where, name,
                           lua_typename(L, params[i].type), lua_typename(L, type));
        }
    }
}

size_t tksp_lua_list_of(lua_State *L, int index, const char *name, int type) {
    size_t size = 0;
    if (!lua_istable(L, index)) {
        tksp_lua_raise(L, "bad argument%s (list expected, got %s)", name, luaL_typename(L, index));
    }
    size = tksp_lua_list_size(L, index, name);
    for (size_t i = 1; i <= size; i++) {
        tksp_lua_get_item(L, index, i);
        if (lua_type(L, -1) != type) {
            tksp_lua_raise(L, "bad argument%s: number %d of the list (%s expected, got %s)", name,
                           (int)i, lua_typename(L, type), luaL_typename(L, -1));
        }
        lua_pop(L, 1);
    }
    return size;
}

tks_bytes tksp_lua_to_bytes(lua_State *L, int slot) {
    size_t size = 0;
    const char *data = lua_tolstring(L, slot, &size);
    return tks_bytes_of(data, size);
}

tks_status tksp_lua_to_duration(lua_State *L, int slot, const char *name, int64_t *out_ms,
                                tks_error *err) {
    *out_ms = 0;
    return lua_isnil(L, slot) ? TKS_OK : tks_duration(lua_tonumber(L, slot), name, out_ms, err);
}

tks_status tksp_lua_read_timeout(lua_State *L, int slot, int64_t *out_ms, tks_error *err) {
    *out_ms = 0;
    return lua_isnil(L, slot) ? TKS_OK : tks_timeout(lua_tonumber(L, slot), out_ms, err);
}
