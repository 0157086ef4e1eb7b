/* lua_options.c - see lua_options.h. */
#include "lua_options.h"

#include <string.h>

#include "lua_args.h"
#include "lua_jwt.h"

static int type_of(const tks_option *row) {
    switch (row->type) {
    case TKS_OPTION_TEXT:
    case TKS_OPTION_STRING:
    case TKS_OPTION_PATH:
    case TKS_OPTION_CHOICE: return LUA_TSTRING;
    case TKS_OPTION_COUNT:
    case TKS_OPTION_DURATION:
    case TKS_OPTION_NUMBER: return LUA_TNUMBER;
    case TKS_OPTION_FLAG: return LUA_TBOOLEAN;
    case TKS_OPTION_PAIRS: return LUA_TTABLE;
    case TKS_OPTION_MAP: /* a table, too, of which client.lua makes a text */
    case TKS_OPTION_TEXTS:
    case TKS_OPTION_KEYS: break;
    }
    return LUA_TNONE;
}

void tksp_lua_push_options(lua_State *L, const tks_options *table) {
    lua_createtable(L, 0, (int)table->count);
    for (size_t i = 0; i < table->count; i++) {
        int type = type_of(&table->rows[i]);
        lua_pushstring(L, type == LUA_TNONE ? "any" : lua_typename(L, type));
        lua_setfield(L, -2, table->rows[i].name);
    }
}

/* The list { name, value, name, value, … } at `index`, which they are borrowed from. Pushes a userdata. */
static tks_value read_pairs(lua_State *L, int index) {
    tks_value value;
    value.count = lua_rawlen(L, index) / 2;
    tks_pair *pairs = lua_newuserdata(L, (value.count + 1) * sizeof *pairs);
    for (size_t i = 0; i < value.count; i++) {
        tksp_lua_get_item(L, index, 2 * i + 1);
        tksp_lua_get_item(L, index, 2 * i + 2);
        pairs[i] = (tks_pair){tksp_lua_to_bytes(L, -2), tksp_lua_to_bytes(L, -1)};
        lua_pop(L, 2);
    }
    value.items = pairs;
    return value;
}

/* The string at `index`, or the list of strings, which they are borrowed from. Pushes a userdata. */
static tks_value read_texts(lua_State *L, int index, const char *name) {
    bool many = lua_type(L, index) == LUA_TTABLE;
    tks_value value;
    if (!many && lua_type(L, index) != LUA_TSTRING) {
        tksp_lua_raise(L, "bad option '%s' (string or list of strings expected, got %s)", name,
                       luaL_typename(L, index));
    }
    value.count = many ? lua_rawlen(L, index) : 1;
    tks_bytes *texts = lua_newuserdata(L, (value.count + 1) * sizeof *texts);
    for (size_t i = 0; i < value.count; i++) {
        if (many) {
            tksp_lua_get_item(L, index, i + 1);
        } else {
            lua_pushvalue(L, index);
        }
        if (lua_type(L, -1) != LUA_TSTRING) {
            tksp_lua_raise(L, "bad option '%s' (string expected, got %s, as item %d)", name,
                           luaL_typename(L, -1), (int)i + 1);
        }
        texts[i] = tksp_lua_to_bytes(L, -1);
        lua_pop(L, 1);
    }
    value.items = texts;
    return value;
}

tks_value tksp_lua_to_option(lua_State *L, int index, const tks_option *row) {
    int type = row->type == TKS_OPTION_MAP ? LUA_TSTRING : type_of(row);
    tks_value value = {.count = 0};
    if (type != LUA_TNONE && lua_type(L, index) != type) {
        tksp_lua_raise(L, "bad option '%s' (%s expected, got %s)", row->name, lua_typename(L, type),
                       luaL_typename(L, index));
    }
    if (type == LUA_TSTRING) {
        value.text = tksp_lua_to_bytes(L, index);
    } else if (type == LUA_TNUMBER) {
        value.number = lua_tonumber(L, index);
    } else if (type == LUA_TBOOLEAN) {
        value.flag = lua_toboolean(L, index) != 0;
    } else if (type == LUA_TTABLE) {
        value = read_pairs(L, index);
    } else if (row->type == TKS_OPTION_TEXTS) {
        value = read_texts(L, index, row->name);
    } else {
        tks_key *const *keys;
        value.count = tksp_lua_get_keys(L, index, &keys);
        value.items = keys;
    }
    return value;
}

tks_status tksp_lua_read_options(lua_State *L, int index, const tks_options *table, tks_buf *faults,
                                 void **out, tks_error *err) {
    tksp_lua_param params[TKS_OPTIONS_MAX];
    int first = lua_gettop(L) + 1, count = (int)table->count;
    tks_status status = TKS_OK;
    for (int i = 0; i < count; i++) {
        params[i] = (tksp_lua_param){table->rows[i].name, type_of(&table->rows[i]), false};
    }
    luaL_checkstack(L, 2 * count + LUA_MINSTACK, "not enough memory");
    lua_settop(L, first + count - 1);
    tksp_lua_read_args(L, index, "", params, count, first);
    *out = lua_newuserdata(L, table->size);
    memcpy(*out, table->initial, table->size);
    for (int i = 0; i < count && status == TKS_OK; i++) {
        if (lua_isnil(L, first + i)) continue;
        tks_value value = tksp_lua_to_option(L, first + i, &table->rows[i]);
        tks_error why = TKS_ERROR_INIT;
        status = tks_option_set(&table->rows[i], *out, &value, faults == NULL ? err : &why);
        if (status != TKS_OK && faults != NULL) {
            tks_faults_add(faults, why.message);
            status = TKS_OK;
        }
    }
    return status;
}
