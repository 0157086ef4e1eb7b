/* lua_core.c - the module tokenstore.core: operations, data conversion, values; it never waits.
 *
 * It links neither OpenSSL nor a driver, so that any host can load it; drivers run the operations
 * (tokenstore.blocking, tokenstore.nginx). */
#include "lua_audit.h"
#include "lua_clock.h"
#include "lua_convert.h"
#include "lua_headers.h"
#include "lua_jwt.h"
#include "lua_meter.h"
#include "lua_near.h"
#include "lua_probe.h"
#include "lua_run.h"
#include "lua_store.h"
#include "lua_target.h"
#include "tokenstore/secret.h"
#include "tokenstore/version.h"

/* array(t): marks t, or a new table, as an array. */
static int array(lua_State *L) {
    if (lua_isnoneornil(L, 1)) {
        lua_settop(L, 0);
        lua_newtable(L);
    } else if (!lua_istable(L, 1)) {
        tksp_lua_raise(L, "bad argument #1 to 'array' (table expected, got %s)",
                       luaL_typename(L, 1));
    }
    lua_settop(L, 1);
    tksp_lua_set_kind(L, TKSP_UP_ARRAY);
    return 1;
}

/* The size limit of a text: argument 2, if given. */
static size_t max_size(lua_State *L) {
    lua_Number size = luaL_optnumber(L, 2, TKS_JSON_SIZE_DEFAULT);
    luaL_argcheck(L, size >= 0 && size <= INT_MAX, 2, "a number of bytes expected");
    return (size_t)size;
}

/* encode(value, max_size): its JSON text, as data is stored. */
static int encode(lua_State *L) {
    tks_error err = TKS_ERROR_INIT;
    tks_status status = TKS_OK;
    tksp_lua_scratch *scratch = NULL;
    size_t max = max_size(L);
    luaL_checkany(L, 1);
    scratch = tksp_lua_scratch_new(L);
    status = tksp_lua_write_value(L, 1, &scratch->text, max, "value", &err);
    if (status == TKS_OK) {
        lua_pushlstring(L, scratch->text.data, scratch->text.size);
    }
    tksp_lua_scratch_clear(scratch);
    return status == TKS_OK ? 1 : tksp_lua_fail(L, status, &err);
}

/* decode(text, max_size): the value of a JSON text, with the rules for data. */
static int decode(lua_State *L) {
    size_t size = 0;
    const char *text = luaL_checklstring(L, 1, &size);
    size_t max = max_size(L);
    tks_error err = TKS_ERROR_INIT;
    tksp_lua_scratch *scratch = tksp_lua_scratch_new(L);
    tks_status status = tks_json_parse(tks_bytes_of(text, size), max, &scratch->tree, &err);
    if (status == TKS_OK) {
        tksp_lua_push_json(L, scratch->tree);
    }
    tksp_lua_scratch_clear(scratch);
    return status == TKS_OK ? 1 : tksp_lua_fail(L, status, &err);
}

TKSP_LUA_OPEN int luaopen_tokenstore_core(lua_State *L);

int luaopen_tokenstore_core(lua_State *L) {
    static const luaL_Reg functions[] = {{"array", array},
                                         {"encode", encode},
                                         {"decode", decode},
                                         {NULL, NULL}};
    tks_error err = TKS_ERROR_INIT;
    if (tks_secret_start(&err) != TKS_OK) {
        return luaL_error(L, "tokenstore: %s", err.message);
    }
    lua_newtable(L);
    tksp_lua_set_functions(L, functions);
    tksp_lua_open_store(L);
    tksp_lua_open_operations(L);
    tksp_lua_open_raw(L);
    tksp_lua_open_jwt(L);
    tksp_lua_open_target(L);
    tksp_lua_open_near(L);
    tksp_lua_open_audit(L);
    tksp_lua_open_meter(L);
    tksp_lua_open_probe(L);
    tksp_lua_open_headers(L);
    tksp_lua_open_run(L);
    tksp_lua_open_clock(L);
    tksp_lua_push_one(L, TKSP_UP_NULL);
    lua_setfield(L, -2, "null");
    tksp_lua_push_one(L, TKSP_UP_UNSET);
    lua_setfield(L, -2, "unset");
    lua_pushstring(L, tks_version());
    lua_setfield(L, -2, "version");
    return 1;
}
