/* lua_remote_keys.c - part of tokenstore.oauth: the implementation of jwt.KeySet.from_url. Log lines are
 * returned as a fourth result, because C does not call the logger.
 *
 * Lifecycle: the finalizer waits for a fetch in progress, at most 50 ms.
 * Threads:   a fetch runs in a thread of the core, which never uses the Lua state. */
#include "lua_remote_keys.h"

#include "lua_args.h"
#include "lua_driver.h"
#include "lua_jwt.h"
#include "tokenstore/remote_keys.h"

typedef struct keys_box {
    tks_remote_keys *keys; /* NULL: not made */
} keys_box;

/* Stack of `keys_open`: 1 the table, then the options in this order. */
enum { TABLE = 1, URL, CA, CERT, KEY, PROXY, INSECURE, MAX_AGE, MAX_STALE, MIN_INTERVAL, TIMEOUT };

/* As passed by remote_keys.lua. */
static const tksp_lua_param option_params[] = {
    {"url", LUA_TSTRING, true},          {"ca", LUA_TSTRING, false},
    {"cert", LUA_TSTRING, false},        {"key", LUA_TSTRING, false},
    {"proxy", LUA_TSTRING, false},       {"insecure", LUA_TBOOLEAN, true},
    {"max_age", LUA_TNUMBER, true},      {"max_stale", LUA_TNUMBER, true},
    {"min_interval", LUA_TNUMBER, true}, {"timeout", LUA_TNUMBER, true},
};
enum { OPTION_COUNT = sizeof option_params / sizeof option_params[0] };

/* An invalid number of seconds becomes -1, which the core rejects. */
static int64_t read_ms(lua_State *L, int slot) {
    lua_Number seconds = lua_tonumber(L, slot);
    return seconds >= 0 && seconds <= 1e10 ? (int64_t)(seconds * 1000 + 0.5) : -1;
}

/* A path; *good becomes false if it contains a NUL. */
static const char *read_path(lua_State *L, int slot, bool *good) {
    size_t size = 0;
    const char *text = lua_tolstring(L, slot, &size);
    *good = *good && (text == NULL || strlen(text) == size);
    return text;
}

/* keys_open(options): does not connect yet */
static int keys_open(lua_State *L) {
    tks_remote_keys_options options = TKS_REMOTE_KEYS_OPTIONS_INIT;
    tks_http_options http = {0};
    tks_error err = TKS_ERROR_INIT;
    tks_status status = TKS_OK;
    keys_box *box = NULL;
    bool good = true;

    luaL_checkstack(L, OPTION_COUNT + LUA_MINSTACK, "not enough memory");
    lua_settop(L, TABLE);
    lua_settop(L, TABLE + OPTION_COUNT);
    tksp_lua_read_args(L, TABLE, "", option_params, OPTION_COUNT, URL);
    box = lua_newuserdata(L, sizeof *box);
    box->keys = NULL;
    tksp_lua_set_kind(L, TKSP_UP_REMOTE_KEYS);
    options.url = tksp_lua_to_bytes(L, URL);
    options.max_age_ms = read_ms(L, MAX_AGE);
    options.max_stale_ms = read_ms(L, MAX_STALE);
    options.interval_ms = read_ms(L, MIN_INTERVAL);
    options.timeout_ms = read_ms(L, TIMEOUT);
    http.ca = read_path(L, CA, &good);
    http.cert = read_path(L, CERT, &good);
    http.key = read_path(L, KEY, &good);
    http.proxy = read_path(L, PROXY, &good);
    http.insecure = lua_toboolean(L, INSECURE) != 0;
    status =
        good ? tks_remote_keys_new(&options, &http, &box->keys, &err)
             : tks_fail(&err, TKS_ERR_CONFIGURATION, "ca, cert, key or proxy contains a NUL byte");
    return status == TKS_OK ? 1 : tksp_lua_fail(L, status, &err);
}

static int keys_gc(lua_State *L) {
    keys_box *box = tksp_lua_check(L, 1, TKSP_UP_REMOTE_KEYS);
    tks_remote_keys_free(box->keys);
    box->keys = NULL;
    return 0;
}

static tks_remote_keys *check_keys(lua_State *L) {
    keys_box *box = tksp_lua_check(L, 1, TKSP_UP_REMOTE_KEYS);
    if (box->keys == NULL) {
        tksp_lua_raise(L, "this key set was not initialized");
    }
    return box->keys;
}

/* Ends a function with `results` on top: the notes become the fourth. */
static int finish(lua_State *L, tks_remote_keys *keys, int results) {
    tksp_lua_scratch *scratch = NULL;
    if (!tks_remote_keys_has_notes(keys)) {
        return results;
    }
    for (; results < 3; results++) {
        lua_pushnil(L);
    }
    scratch = tksp_lua_scratch_new(L);
    if (tks_remote_keys_take_notes(keys, &scratch->text) != TKS_OK) {
        lua_pop(L, 1); /* they remain for the next call */
        return results;
    }
    lua_pushlstring(L, scratch->text.data, scratch->text.size);
    tksp_lua_scratch_clear(scratch);
    lua_remove(L, -2);
    return 4;
}

/* keys_get(keys, seen): a KeySet and its version; false if there are none newer than `seen` (0: any) */
static int keys_get(lua_State *L) {
    tks_remote_keys *keys = check_keys(L);
    lua_Number seen = luaL_checknumber(L, 2);
    tksp_lua_keyset *box = tksp_lua_keyset_new(L);
    tksp_lua_watch watch;
    tks_interrupt interrupt = tksp_lua_watch_hook(L, &watch);
    tks_error err = TKS_ERROR_INIT;
    uint64_t version = 0;
    tks_status status =
        tks_remote_keys_get(keys, (uint64_t)seen, &interrupt, NULL, &box->set, &version, &err);
    if (status != TKS_OK) {
        return finish(L, keys, tksp_lua_fail_wait(L, &watch, status, &err));
    }
    if (box->set == NULL) {
        lua_pushboolean(L, false);
    }
    lua_pushnumber(L, (lua_Number)version);
    return finish(L, keys, 2);
}

/* keys_helped(keys): a token was valid only with newer ones */
static int keys_helped(lua_State *L) {
    tks_remote_keys_helped(check_keys(L));
    return 0;
}

/* keys_download(keys): the received text, and for how many seconds it is fresh */
static int keys_download(lua_State *L) {
    tks_remote_keys *keys = check_keys(L);
    tksp_lua_scratch *scratch = tksp_lua_scratch_new(L);
    tks_error err = TKS_ERROR_INIT;
    int64_t fresh_ms = 0;
    tks_buf_init(&scratch->text, TKS_JWK_SIZE_MAX);
    tks_status status = tks_remote_keys_download(keys, NULL, &scratch->text, &fresh_ms, &err);
    if (status == TKS_OK) {
        lua_pushlstring(L, scratch->text.data, scratch->text.size);
        lua_pushnumber(L, (lua_Number)fresh_ms / 1000);
    }
    tksp_lua_scratch_clear(scratch);
    return status == TKS_OK ? 2 : tksp_lua_fail(L, status, &err);
}

/* keys_close(keys): true */
static int keys_close(lua_State *L) {
    tks_remote_keys *keys = check_keys(L);
    tks_remote_keys_close(keys);
    lua_pushboolean(L, true);
    return finish(L, keys, 1);
}

void tksp_lua_open_remote_keys(lua_State *L) {
    static const luaL_Reg functions[] = {
        {"keys_open", keys_open},         {"keys_get", keys_get},     {"keys_helped", keys_helped},
        {"keys_download", keys_download}, {"keys_close", keys_close}, {NULL, NULL}};
    tksp_lua_set_drivers(L, functions);
    tksp_lua_set_gc(L, TKSP_UP_REMOTE_KEYS, keys_gc);
}
