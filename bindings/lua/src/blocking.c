/* blocking.c - the module tokenstore.blocking: a client, which runs operations to their end. */
#include "convert.h"
#include "driver.h"
#include "session_events.h"
#include "target.h"
#include "tokenstore/secret.h"

/* ---- the client ------------------------------------------------------------------------------- */

static tksp_lua_client *check_client(lua_State *L) {
    tksp_lua_client *box = tksp_lua_check(L, 1, TKSP_UP_CLIENT);
    if (box->client == NULL) {
        tksp_lua_raise(L, "this client was never made");
    }
    return box;
}

enum { NOTES_MAX = 16 * 1024 };

/* client(url, options, keep): connects nothing yet, but starts the server of embedded:. Where `keep` is true, it keeps
 * what operations note for take_notes. */
static int client(lua_State *L) {
    tksp_lua_watch watch;
    tks_interrupt interrupt = tksp_lua_watch_hook(L, &watch);
    tks_error err = TKS_ERROR_INIT;
    tks_status status = TKS_OK;
    tksp_lua_client *box = NULL;

    lua_settop(L, 3);
    box = lua_newuserdata(L, sizeof *box);
    box->keeps_notes = lua_toboolean(L, 3) != 0;
    tks_notes_init(&box->notes, NOTES_MAX);
    box->target = NULL;
    box->client = NULL;
    box->flight = NULL;
    tksp_lua_set_kind(L, TKSP_UP_CLIENT);

    status = tksp_lua_read_target(L, &box->target, &err);
    if (status == TKS_OK) {
        tks_target *target = box->target;
        box->target = NULL;
        status = tks_client_new(target, &interrupt, &box->client, &err);
    }
    return status == TKS_OK ? 1 : tksp_lua_fail_wait(L, &watch, status, &err);
}

static int client_gc(lua_State *L) {
    tksp_lua_client *box = tksp_lua_check(L, 1, TKSP_UP_CLIENT);
    tks_target_free(box->target);
    tks_flight_free(box->flight);
    tks_client_free(box->client);
    tks_notes_clear(&box->notes);
    box->flight = NULL;
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
    tksp_lua_push_url(L, tks_client_get_target(check_client(L)->client));
    return 1;
}

/* take_notes(client): what operations noted for the log, as lines: a letter for the level, i or w, the text, a
 * newline; nil where that is nothing. */
static int take_notes(lua_State *L) {
    tksp_lua_client *box = check_client(L);
    tksp_lua_scratch *scratch = NULL;
    if (tks_notes_is_empty(&box->notes)) {
        return 0;
    }
    scratch = tksp_lua_scratch_new(L);
    if (tks_notes_take(&box->notes, &scratch->text) != TKS_OK) {
        return 0; /* they stay for the next time */
    }
    lua_pushlstring(L, scratch->text.data, scratch->text.size);
    tksp_lua_scratch_clear(scratch);
    return 1;
}

/* Runs the operation, and pushes what is expected of it while the answer is on its way: Lua's work on
 * tables and garbage takes as long as ours on the whole of a `get`, and costs nothing there. */
static tks_status run_op(lua_State *L, tksp_lua_client *box, tksp_lua_op *op,
                         const tks_interrupt *interrupt, tks_bytes *id, tks_error *err) {
    tks_flight *flight = NULL;
    tks_status status = TKS_OK;
    if (box->flight != NULL) { /* this is a finalizer, and the call it came into has the place */
        status = tks_client_run(box->client, op->op, op->timeout_ms, interrupt, err);
        *id = tksp_lua_push_expected(L, op);
        return status;
    }
    status = tks_client_begin(box->client, op->op, op->timeout_ms, interrupt, &box->flight, err);
    if (status != TKS_OK) {
        return status;
    }
    *id = tksp_lua_push_expected(L, op);
    flight = box->flight;
    box->flight = NULL;
    return tks_flight_end(flight, err);
}

/* run(client, operation) gives the operation's result; run(client, nil, message, code) gives the
 * last three back, so that a method is one line: run(client, core.get(store, args)). */
static int run(lua_State *L) {
    tksp_lua_client *box = check_client(L);
    tksp_lua_watch watch;
    tks_interrupt interrupt = tksp_lua_watch_hook(L, &watch);
    tks_error err = TKS_ERROR_INIT;
    tks_status status = TKS_OK;
    tksp_lua_op *op = NULL;
    tks_bytes id;
    int results = 0;

    if (lua_isnil(L, 2)) {
        return lua_gettop(L) - 1;
    }
    op = tksp_lua_check(L, 2, TKSP_UP_OP);
    if (op->op == NULL) {
        return luaL_error(L, "this operation was run before");
    }
    status = run_op(L, box, op, &interrupt, &id, &err);
    if (box->keeps_notes && !tks_notes_is_empty(tks_op_get_notes(op->op))) {
        tks_notes_move(tks_op_get_notes(op->op), &box->notes);
    }
    if (status == TKS_OK) {
        results = tksp_lua_end_result(L, op, id);
    }
    tksp_lua_op_clear(op);
    return status == TKS_OK ? results : tksp_lua_fail_wait(L, &watch, status, &err);
}

TKSP_LUA_OPEN int luaopen_tokenstore_blocking(lua_State *L);

int luaopen_tokenstore_blocking(lua_State *L) {
    static const luaL_Reg functions[] = {{"client", client},         {"close", client_close},
                                         {"url", client_url},        {"run", run},
                                         {"take_notes", take_notes}, {NULL, NULL}};
    tks_error err = TKS_ERROR_INIT;
    if (tks_secret_start(&err) != TKS_OK) {
        return luaL_error(L, "tokenstore: %s", err.message);
    }
    lua_newtable(L);
    tksp_lua_set_drivers(L, functions);
    tksp_lua_set_gc(L, TKSP_UP_CLIENT, client_gc);
    tksp_lua_open_session_events(L);
    return 1;
}
