/* lua_blocking.c - the module tokenstore.blocking: a client that runs operations and waits for their results.
 * */
#include <string.h>

#include "lua_audit.h"
#include "lua_convert.h"
#include "lua_credentials.h"
#include "lua_driver.h"
#include "lua_meter.h"
#include "lua_near.h"
#include "lua_session_events.h"
#include "lua_target.h"
#include "tokenstore/secret.h"

/* ---- the client ------------------------------------------------------------------------------- */

static tksp_lua_client *check_client(lua_State *L) {
    tksp_lua_client *box = tksp_lua_check(L, 1, TKSP_UP_CLIENT);
    if (box->client == NULL) {
        tksp_lua_raise(L, "this client was not initialized");
    }
    return box;
}

enum { NOTES_MAX = 16 * 1024 };

static tks_status let_ask(tks_target *target, tks_error *err) {
    if (target->transport == TKS_EMBEDDED) {
        return tks_fail(
            err, TKS_ERR_CONFIGURATION,
            "credentials cannot be used with embedded: an embedded server has no password");
    }
    target->asks = true;
    return TKS_OK;
}

static void *find_view(const tksp_lua_viewer *viewer, const tks_near_question *question) {
    const tksp_lua_client *self = (const tksp_lua_client *)viewer;
    return self->client == NULL ? NULL : tks_client_find_view(self->client, question);
}

/* viewer(client): itself, for operations that may be near; nil: there is no near cache. */
static int viewer(lua_State *L) {
    const tks_target *target = tks_client_get_target(check_client(L)->client);
    lua_settop(L, 1);
    return target->near_cache > 0 ? 1 : 0;
}

/* client(url, options, keep, asks): does not connect yet, but starts the server of embedded:. With `keep`, it
 * collects the notes of operations for take_notes; with `asks`, operations run by run_asking. */
static int client(lua_State *L) {
    tksp_lua_watch watch;
    tks_interrupt interrupt = tksp_lua_watch_hook(L, &watch);
    tks_error err = TKS_ERROR_INIT;
    tks_status status = TKS_OK;
    tksp_lua_client *box = NULL;

    lua_settop(L, 4);
    box = lua_newuserdata(L, sizeof *box);
    box->viewer.find = find_view;
    box->keeps_notes = lua_toboolean(L, 3) != 0;
    tks_notes_init(&box->notes, NOTES_MAX);
    box->target = NULL;
    box->client = NULL;
    box->flight = NULL;
    tksp_lua_set_kind(L, TKSP_UP_CLIENT);

    status = tksp_lua_read_target(L, &box->target, &err);
    if (status == TKS_OK && lua_toboolean(L, 4)) {
        status = let_ask(box->target, &err);
    }
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
    const void *view = NULL;
    while (box->client != NULL && (view = tks_client_reap_view(box->client, true)) != NULL) {
        tksp_lua_free_view(L, view);
    }
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

/* url(client): the server's URL without user, password and options. */
static int client_url(lua_State *L) {
    tksp_lua_push_url(L, tks_client_get_target(check_client(L)->client));
    return 1;
}

/* near_cache_stats(client): a table; nil: there is no near cache. */
static int near_cache_stats(lua_State *L) {
    tks_near_stats stats;
    if (!tks_client_get_near_stats(check_client(L)->client, &stats)) {
        return 0;
    }
    tksp_lua_push_near_stats(L, &stats);
    return 1;
}

/* operation_stats(client): a list; from the first call on, operations are measured. */
static int operation_stats(lua_State *L) {
    tks_client *client = check_client(L)->client;
    if (tks_client_measure(client) != TKS_OK) {
        return luaL_error(L, "not enough memory");
    }
    tksp_lua_push_sums(L, tks_client_get_target(client)->meter);
    return 1;
}

/* pool_stats(client): { limit, idle, used, waiting, opened, timeouts } */
static int pool_stats(lua_State *L) {
    tks_pool_stats stats = tks_client_get_pool_stats(check_client(L)->client);
    const struct {
        const char *name;
        uint64_t number;
    } fields[] = {{"limit", stats.limit},   {"idle", stats.idle},
                  {"used", stats.used},     {"waiting", stats.waiting},
                  {"opened", stats.opened}, {"timeouts", stats.timeouts}};
    lua_newtable(L);
    for (size_t i = 0; i < sizeof fields / sizeof fields[0]; i++) {
        tksp_lua_push_integer(L, (int64_t)fields[i].number);
        lua_setfield(L, -2, fields[i].name);
    }
    return 1;
}

/* take_notes(client): the collected log lines: a letter for the level, i or w, the text, a newline; nil if
 * there are none. */
static int take_notes(lua_State *L) {
    tksp_lua_client *box = check_client(L);
    tksp_lua_scratch *scratch = NULL;
    if (tks_notes_is_empty(&box->notes)) {
        return 0;
    }
    scratch = tksp_lua_scratch_new(L);
    if (tks_notes_take(&box->notes, &scratch->text) != TKS_OK) {
        return 0; /* they remain for the next call */
    }
    lua_pushlstring(L, scratch->text.data, scratch->text.size);
    tksp_lua_scratch_clear(scratch);
    return 1;
}

/* Runs the operation, and pushes the expected result while waiting for the reply: Lua's work on tables and
 * garbage takes as long as the rest of a `get`, and is free there. */
static tks_status run_op(lua_State *L, tksp_lua_client *box, tksp_lua_op *op,
                         const tks_interrupt *interrupt, tks_bytes *id, tks_error *err) {
    tks_flight *flight = NULL;
    tks_status status = TKS_OK;
    if (box->flight != NULL) { /* called from a finalizer during another call */
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

/* run(client, operation): the operation's result; run(client, nil, message, code): the last three, so that a
 * method is one line: run(client, core.get(store, args)). */
static int run(lua_State *L) {
    tksp_lua_client *box = check_client(L);
    tksp_lua_watch watch;
    tks_interrupt interrupt = tksp_lua_watch_hook(L, &watch);
    tks_error err;
    tks_status status = TKS_OK;
    tksp_lua_op *op = NULL;
    tks_bytes id;
    int results = 0;
    tks_error_init(&err);

    if (lua_isnil(L, 2)) {
        return lua_gettop(L) - 1;
    }
    op = tksp_lua_check(L, 2, TKSP_UP_OP);
    if (op->op == NULL) {
        return luaL_error(L, "this operation has already been run");
    }
    status = run_op(L, box, op, &interrupt, &id, &err);
    if (box->keeps_notes && !tks_notes_is_empty(tks_op_get_notes(op->op))) {
        tks_notes_move(tks_op_get_notes(op->op), &box->notes);
    }
    if (status == TKS_OK) {
        results = tksp_lua_end_result(L, op, id);
    } else {
        results = tksp_lua_fail_wait(L, &watch, status, &err);
        results += tksp_lua_push_detail(L, op);
    }
    tksp_lua_tell(L, op->op);
    tksp_lua_op_clear(op);
    return results;
}

/* ---- a client with a credentials function ----------------------------------------------------- */

/* A run returns to Lua before a connection is opened, and may never be continued: then the garbage collector
 * ends it. It holds no connection of the pool meanwhile. */
typedef struct lua_flight {
    tksp_lua_client *client; /* kept alive by this userdata */
    tksp_lua_op op;          /* owned */
    tksp_lua_watch watch;
    tks_interrupt interrupt; /* borrowed by `flight` */
    tks_flight *flight;      /* NULL: not begun, or ended */
} lua_flight;

static void end_flight(lua_flight *self) {
    tks_flight_free(self->flight);
    self->flight = NULL;
}

static int flight_gc(lua_State *L) {
    lua_flight *self = tksp_lua_check(L, 1, TKSP_UP_FLIGHT);
    end_flight(self);
    tksp_lua_op_clear(&self->op);
    return 0;
}

/* Pushes nil and the results of the method. */
static int push_end(lua_State *L, lua_flight *self, tks_status status, const tks_error *err) {
    int results = 0;
    end_flight(self);
    if (self->client->keeps_notes && !tks_notes_is_empty(tks_op_get_notes(self->op.op))) {
        tks_notes_move(tks_op_get_notes(self->op.op), &self->client->notes);
    }
    lua_pushnil(L);
    if (status == TKS_OK) {
        results = tksp_lua_push_result(L, &self->op);
    } else {
        results = tksp_lua_fail_wait(L, &self->watch, status, err);
        results += tksp_lua_push_detail(L, &self->op);
    }
    tksp_lua_tell(L, self->op.op);
    tksp_lua_op_clear(&self->op);
    return 1 + results;
}

/* Continues until credentials are needed, or to the end. The flight is on top. */
static int go_on(lua_State *L, lua_flight *self) {
    tks_error err = TKS_ERROR_INIT;
    bool asks = false;
    tks_status status = tks_flight_proceed(self->flight, &asks, &err);
    return asks ? 1 : push_end(L, self, status, &err);
}

/* run_asking(client, operation): nil and the operation's result; or, if user and password are needed for a
 * new connection, a flight for run_given. The operation is empty afterwards. */
static int run_asking(lua_State *L) {
    tksp_lua_client *box = check_client(L);
    tksp_lua_op *op = tksp_lua_check(L, 2, TKSP_UP_OP);
    tks_error err = TKS_ERROR_INIT;
    tks_status status = TKS_OK;
    lua_flight *self = NULL;
    if (op->op == NULL) {
        return luaL_error(L, "this operation has already been run");
    }
    lua_settop(L, 2);
    self = lua_newuserdata(L, sizeof *self);
    memset(self, 0, sizeof *self);
    tks_buf_init(&self->op.scratch, 0);
    tksp_lua_set_kind(L, TKSP_UP_FLIGHT);
    tksp_lua_keep(L, 3, 1);
    self->client = box;
    self->op = *op;
    op->op = NULL;
    tks_buf_init(&op->scratch, SIZE_MAX);
    tksp_lua_op_clear(op);
    self->interrupt = tksp_lua_watch_hook(L, &self->watch);
    status = tks_client_begin(box->client, self->op.op, self->op.timeout_ms, &self->interrupt,
                              &self->flight, &err);
    return status == TKS_OK ? go_on(L, self) : push_end(L, self, status, &err);
}

/* run_given(flight, user, password): as run_asking. */
static int run_given(lua_State *L) {
    lua_flight *self = tksp_lua_check(L, 1, TKSP_UP_FLIGHT);
    tks_error err = TKS_ERROR_INIT;
    tks_credentials made;
    tks_status status = TKS_OK;
    if (self->flight == NULL || self->client->client == NULL) {
        return luaL_error(L, "this run has ended");
    }
    lua_settop(L, 3);
    self->interrupt = tksp_lua_watch_hook(L, &self->watch); /* the function may have set a hook */
    status = tksp_lua_read_credentials(L, 2, &made, &err);
    if (status != TKS_OK) {
        return push_end(L, self, status, &err);
    }
    tks_flight_give(self->flight, &made);
    lua_settop(L, 1);
    return go_on(L, self);
}

TKSP_LUA_OPEN int luaopen_tokenstore_blocking(lua_State *L);

int luaopen_tokenstore_blocking(lua_State *L) {
    static const luaL_Reg functions[] = {{"client", client},
                                         {"close", client_close},
                                         {"url", client_url},
                                         {"viewer", viewer},
                                         {"run", run},
                                         {"take_notes", take_notes},
                                         {"run_asking", run_asking},
                                         {"run_given", run_given},
                                         {"near_cache_stats", near_cache_stats},
                                         {"operation_stats", operation_stats},
                                         {"pool_stats", pool_stats},
                                         {NULL, NULL}};
    tks_error err = TKS_ERROR_INIT;
    if (tks_secret_start(&err) != TKS_OK) {
        return luaL_error(L, "tokenstore: %s", err.message);
    }
    lua_newtable(L);
    tksp_lua_set_drivers(L, functions);
    tksp_lua_set_gc(L, TKSP_UP_CLIENT, client_gc);
    tksp_lua_set_gc(L, TKSP_UP_FLIGHT, flight_gc);
    tksp_lua_open_session_events(L);
    return 1;
}
