/* blocking.c - the module tokenstore.blocking: a client, which runs operations to their end.
 *
 * Ctrl-C: the interpreters' SIGINT handler sets a debug hook, which raises "interrupted!" as soon as
 * Lua code goes on. A wait that was interrupted compares the hook with the one at entry: another one
 * means that somebody wants to stop, and the run is given up. Two hooks do not get their turn then: PUC
 * Lua sets it on the main coroutine alone, and code that LuaJIT has compiled never looks. There the
 * error is raised here. */
#include "convert.h"
#include "tokenstore/client.h"
#include "tokenstore/secret.h"

typedef struct client_box {
    tks_target *target; /* while the client is being made */
    tks_client *client; /* NULL: not made */
} client_box;

typedef struct hook_watch {
    lua_State *L;
    lua_Hook before;
} hook_watch;

/* Upvalues after the shared ones: the main coroutine as a light userdata, or nil; is this LuaJIT? */
enum { UP_MAIN = TKSP_UP_COUNT + 1, UP_JIT };

static bool hook_changed(void *context) {
    hook_watch *watch = context;
    return lua_gethook(watch->L) != watch->before;
}

static hook_watch watch_hook(lua_State *L) {
    lua_State *main = lua_touserdata(L, lua_upvalueindex(UP_MAIN));
    hook_watch watch = {main != NULL ? main : L, NULL};
    watch.before = lua_gethook(watch.L);
    return watch;
}

static int fail(lua_State *L, const hook_watch *watch, tks_status status, const tks_error *err) {
    if (status == TKS_ERR_INTERRUPTED && lua_toboolean(L, lua_upvalueindex(UP_JIT))) {
        lua_sethook(L, NULL, 0, 0); /* or it would raise again while the error is handled */
        return luaL_error(L, "interrupted!");
    }
    if (status == TKS_ERR_INTERRUPTED && watch->L != L) {
        return luaL_error(L, "interrupted!");
    }
    return tksp_lua_fail(L, status, err);
}

/* ---- the client ------------------------------------------------------------------------------- */

static client_box *check_client(lua_State *L) {
    client_box *box = tksp_lua_check(L, 1, TKSP_UP_CLIENT);
    if (box->client == NULL) {
        tksp_lua_raise(L, "this client was never made");
    }
    return box;
}

/* Sets the options of the table at index 2: names and texts or numbers. */
static tks_status set_options(lua_State *L, tks_target *target, tks_buf *text, tks_error *err) {
    tks_status status = TKS_OK;
    lua_pushnil(L);
    while (status == TKS_OK && lua_next(L, 2) != 0) {
        tks_bytes value = {0};
        if (lua_type(L, -1) == LUA_TNUMBER) {
            tks_buf_reset(text);
            status = tksp_lua_write_number(L, -1, text, NULL);
            value = tks_buf_bytes(text);
            if (status != TKS_OK) {
                status = tks_fail(err, TKS_ERR_CONFIGURATION, "%s must be a finite number",
                                  lua_tostring(L, -2));
            }
        } else {
            value.data = lua_tolstring(L, -1, &value.size);
        }
        if (status == TKS_OK) {
            status = tks_target_set(target, lua_tostring(L, -2), value, err);
        }
        lua_pop(L, 1);
    }
    return status;
}

/* client(url, options): connects nothing yet, but starts the server of embedded:. */
static int client(lua_State *L) {
    size_t size = 0;
    const char *url = luaL_checklstring(L, 1, &size);
    hook_watch watch = watch_hook(L);
    tks_interrupt interrupt = {hook_changed, &watch};
    tks_error err = TKS_ERROR_INIT;
    tks_status status = TKS_OK;
    tksp_lua_scratch *scratch = NULL;
    client_box *box = NULL;

    luaL_checktype(L, 2, LUA_TTABLE);
    lua_settop(L, 2);
    scratch = tksp_lua_scratch_new(L);
    box = lua_newuserdata(L, sizeof *box);
    box->target = NULL;
    box->client = NULL;
    tksp_lua_set_kind(L, TKSP_UP_CLIENT);

    status = tks_target_parse(tks_bytes_of(url, size), &box->target, &err);
    if (status == TKS_OK) {
        status = set_options(L, box->target, &scratch->text, &err);
    }
    tksp_lua_scratch_clear(scratch);
    if (status == TKS_OK) {
        tks_target *target = box->target;
        box->target = NULL;
        status = tks_client_new(target, &interrupt, &box->client, &err);
    }
    return status == TKS_OK ? 1 : fail(L, &watch, status, &err);
}

static int client_gc(lua_State *L) {
    client_box *box = tksp_lua_check(L, 1, TKSP_UP_CLIENT);
    tks_target_free(box->target);
    tks_client_free(box->client);
    box->target = NULL;
    box->client = NULL;
    return 0;
}

/* close(client) */
static int client_close(lua_State *L) {
    tks_client_close(check_client(L)->client);
    return 0;
}

/* url(client): where the server is, without user, password and options. */
static int client_url(lua_State *L) {
    client_box *box = check_client(L);
    tksp_lua_scratch *scratch = tksp_lua_scratch_new(L);
    if (tks_target_describe(tks_client_get_target(box->client), &scratch->text) != TKS_OK) {
        return luaL_error(L, "not enough memory");
    }
    lua_pushlstring(L, scratch->text.data, scratch->text.size);
    tksp_lua_scratch_clear(scratch);
    return 1;
}

/* run(client, operation) gives the operation's result; run(client, nil, message, code) gives the
 * last three back, so that a method is one line: run(client, core.get(store, args)). */
static int run(lua_State *L) {
    client_box *box = check_client(L);
    hook_watch watch = watch_hook(L);
    tks_interrupt interrupt = {hook_changed, &watch};
    tks_error err = TKS_ERROR_INIT;
    tks_status status = TKS_OK;
    tksp_lua_op *op = NULL;
    int results = 0;

    if (lua_isnil(L, 2)) {
        return lua_gettop(L) - 1;
    }
    op = tksp_lua_check(L, 2, TKSP_UP_OP);
    if (op->op == NULL) {
        return luaL_error(L, "this operation was run before");
    }
    status = tks_client_run(box->client, op->op, op->timeout_ms, &interrupt, &err);
    if (status == TKS_OK) {
        results = tksp_lua_push_result(L, op);
    }
    tksp_lua_op_clear(op);
    return status == TKS_OK ? results : fail(L, &watch, status, &err);
}

TKSP_LUA_OPEN int luaopen_tokenstore_blocking(lua_State *L);

int luaopen_tokenstore_blocking(lua_State *L) {
    static const luaL_Reg functions[] = {{"client", client},
                                         {"close", client_close},
                                         {"url", client_url},
                                         {"run", run},
                                         {NULL, NULL}};
    lua_State *main = tksp_lua_main(L);
    tks_error err = TKS_ERROR_INIT;
    if (tks_secret_start(&err) != TKS_OK) {
        return luaL_error(L, "tokenstore: %s", err.message);
    }
    lua_newtable(L);
    for (const luaL_Reg *f = functions; f->name != NULL; f++) {
        tksp_lua_push_shared(L);
        if (main != NULL) {
            lua_pushlightuserdata(L, main);
        } else {
            lua_pushnil(L);
        }
        lua_getfield(L, LUA_REGISTRYINDEX, "_LOADED");
        lua_getfield(L, -1, "jit");
        lua_remove(L, -2);
        lua_pushcclosure(L, f->func, UP_JIT);
        lua_setfield(L, -2, f->name);
    }
    tksp_lua_set_gc(L, TKSP_UP_CLIENT, client_gc);
    return 1;
}
