/* lua_oauth.c - the module tokenstore.oauth: what is behind a Spike. (Keys at a URL, in it too, are in lua_remote_keys.c.)
 *
 * It links OpenSSL and libcurl, and is loaded when the first Spike is made. What was noted for the log
 * comes back as fourth result, for C does not call the logger.
 *
 * Lifecycle: a Spike keeps the client's userdata alive whose tks_client it uses. Collectors run
 *            finalizers in the reverse order of creation, so the Spike's comes first even when both die
 *            together; it waits for a renewal under way, at most 50 ms.
 * Threads:   renewals run in threads of the core's, which never see the Lua state. */
#include "lua_args.h"
#include "lua_driver.h"
#include "lua_oauth_creator.h"
#include "lua_options.h"
#include "lua_remote_keys.h"
#include "tokenstore/secret.h"
#include "tokenstore/spike_client.h"

typedef struct spike_box {
    tks_spike_client *client; /* NULL: not made */
} spike_box;

/* ---- making ----------------------------------------------------------------------------------- */

/* Pushes a field of our own table at `index`. */
static void push_field(lua_State *L, int index, const char *name) {
    lua_pushstring(L, name);
    lua_rawget(L, index);
}

/* Reads the table in a field of the one at 2. */
static void *read_part(lua_State *L, const char *name, const tks_options *table, tks_buf *faults) {
    void *options;
    push_field(L, 2, name);
    (void)!tksp_lua_read_options(L, lua_gettop(L), table, faults, &options, NULL); /* in `faults` */
    return options;
}

/* spike(client, { spike = …, http = …, faults = … }): `client` is one of tokenstore.blocking, or nil; `faults` is what
 * spike.lua has found wrong. Connects nothing yet. */
static int spike(lua_State *L) {
    tks_error err = TKS_ERROR_INIT;
    tks_client *redis = NULL;

    if (!lua_isnil(L, 1)) {
        redis = ((tksp_lua_client *)tksp_lua_check(L, 1, TKSP_UP_CLIENT))->client;
    }
    lua_settop(L, 2);
    luaL_checktype(L, 2, LUA_TTABLE);
    tksp_lua_scratch *scratch = tksp_lua_scratch_new(L);
    push_field(L, 2, "faults");
    (void)tks_buf_append_bytes(&scratch->text, tksp_lua_to_bytes(L, -1)); /* errors stick */
    tks_spike_options *o = read_part(L, "spike", &tks_spike_table, &scratch->text);
    const tks_http_options *http = read_part(L, "http", &tks_http_table, &scratch->text);
    spike_box *box = lua_newuserdata(L, sizeof *box);
    box->client = NULL;
    tksp_lua_set_kind(L, TKSP_UP_SPIKE);
    tksp_lua_keep(L, lua_gettop(L), 1);
    o->faults = tks_buf_bytes(&scratch->text);
    tks_status status = scratch->text.status == TKS_OK
                            ? tks_spike_client_open(o, http, redis, &box->client, &err)
                            : tks_fail_memory(&err);
    tksp_lua_scratch_clear(scratch);
    return status == TKS_OK ? 1 : tksp_lua_fail(L, status, &err);
}

static int spike_gc(lua_State *L) {
    spike_box *box = tksp_lua_check(L, 1, TKSP_UP_SPIKE);
    tks_spike_client_free(box->client);
    box->client = NULL;
    return 0;
}

/* ---- methods ---------------------------------------------------------------------------------- */

static tks_spike_client *check_spike(lua_State *L) {
    spike_box *box = tksp_lua_check(L, 1, TKSP_UP_SPIKE);
    if (box->client == NULL) {
        tksp_lua_raise(L, "this Spike was not initialized");
    }
    return box->client;
}

/* Sets a field of the table on top, unless the text is empty. */
static void set_text(lua_State *L, const char *name, const char *text) {
    if (text[0] != '\0') {
        lua_pushstring(L, text);
        lua_setfield(L, -2, name);
    }
}

/* What the server said, as a table. */
static void push_answer(lua_State *L, const tks_spike_answer *answer) {
    lua_createtable(L, 0, 6);
    if (answer->status > 0) {
        lua_pushinteger(L, answer->status);
        lua_setfield(L, -2, "status");
    }
    if (answer->retry_after_ms > 0) {
        lua_pushnumber(L, (lua_Number)answer->retry_after_ms / 1000);
        lua_setfield(L, -2, "retry_after");
    }
    if (answer->of_client) {
        lua_pushboolean(L, true);
        lua_setfield(L, -2, "of_client");
    }
    set_text(L, "error", answer->error);
    set_text(L, "error_description", answer->description);
    set_text(L, "error_uri", answer->uri);
    set_text(L, "location", answer->location);
}

/* It says something of failures of the server's alone. */
static const tks_spike_answer *answer_of(tks_status status, const tks_spike_answer *answer) {
    return status == TKS_ERR_SPIKE || status == TKS_ERR_SPIKE_AUTH ? answer : NULL;
}

/* The end of a method whose `results` are on top, 1 or, for a failure, 3: the notes become the fourth, what the
 * server said the fifth. `answer` NULL: it was not asked. */
static int finish(lua_State *L, tks_spike_client *client, int results,
                  const tks_spike_answer *answer) {
    tksp_lua_scratch *scratch = NULL;
    bool has_notes = tks_spike_client_has_notes(client);
    if (!has_notes && answer == NULL) {
        return results;
    }
    for (; results < 3; results++) {
        lua_pushnil(L);
    }
    lua_pushnil(L);
    if (has_notes) {
        scratch = tksp_lua_scratch_new(L);
        if (tks_spike_client_take_notes(client, &scratch->text) == TKS_OK) {
            lua_pushlstring(L, scratch->text.data, scratch->text.size);
            lua_replace(L, -3);
        } /* else they stay for the next call */
        tksp_lua_scratch_clear(scratch);
        lua_pop(L, 1);
    }
    if (answer == NULL) {
        return 4;
    }
    push_answer(L, answer);
    return 5;
}

static int finish_wait(lua_State *L, tks_spike_client *client, const tksp_lua_watch *watch,
                       tks_status status, const tks_spike_answer *answer, const tks_error *err) {
    if (status == TKS_OK) {
        lua_pushboolean(L, true);
        return finish(L, client, 1, NULL);
    }
    return finish(L, client, tksp_lua_fail_wait(L, watch, status, err), answer_of(status, answer));
}

/* What is asked for, as spike.lua writes it. */
static tks_bytes check_request(lua_State *L) {
    if (lua_type(L, 2) != LUA_TSTRING) {
        tksp_lua_raise(L, "bad argument 'request' (string expected, got %s)", luaL_typename(L, 2));
    }
    return tksp_lua_to_bytes(L, 2);
}

/* get(spike, request, held, timeout, given): the token; false where the client's secret or assertion, which may be
 * `given`, is needed first. `held` is what the last call gave, or nil: if that is still
 * the one, it is given back as it is, and Lua need not make the same string again. */
static int get(lua_State *L) {
    tks_spike_client *client = check_spike(L);
    tks_bytes request = check_request(L);
    int64_t timeout_ms = 0;
    tksp_lua_watch watch;
    tks_interrupt interrupt;
    tks_error err = TKS_ERROR_INIT;
    tks_status status = TKS_OK;
    tks_spike_answer answer;
    tksp_lua_scratch *scratch = NULL;
    bool asks = false;

    if (lua_type(L, 3) == LUA_TSTRING &&
        tks_spike_client_is_current(client, request, tksp_lua_to_bytes(L, 3))) {
        lua_settop(L, 3);
        return finish(L, client, 1, NULL);
    }
    lua_settop(L, 5);
    status = tksp_lua_read_timeout(L, 4, &timeout_ms, &err);
    if (status != TKS_OK) {
        return tksp_lua_fail(L, status, &err);
    }
    interrupt = tksp_lua_watch_hook(L, &watch);
    scratch = tksp_lua_scratch_new(L);
    status = tks_spike_client_get(client, request, timeout_ms, tksp_lua_to_bytes(L, 5), &interrupt,
                                  &asks, &scratch->text, &answer, &err);
    if (asks) {
        lua_pushboolean(L, false);
    } else if (status == TKS_OK) {
        lua_pushlstring(L, scratch->text.data, scratch->text.size);
    }
    tksp_lua_scratch_clear(scratch);
    return status == TKS_OK ? finish(L, client, 1, NULL)
                            : finish(L, client, tksp_lua_fail_wait(L, &watch, status, &err),
                                     answer_of(status, &answer));
}

/* wants(spike, request): is the token to be renewed, and a secret or an assertion for that to be given to renew? */
static int wants(lua_State *L) {
    tks_spike_client *client = check_spike(L);
    lua_pushboolean(L, tks_spike_client_wants(client, check_request(L)));
    return 1;
}

/* renew(spike, request, given): in the background */
static int renew(lua_State *L) {
    tks_spike_client *client = check_spike(L);
    tks_bytes request = check_request(L);
    luaL_checktype(L, 3, LUA_TSTRING);
    tks_spike_client_renew(client, request, tksp_lua_to_bytes(L, 3));
    return 0;
}

/* times(spike, request): for how many seconds the token in memory is good, and in how many the next one should be
 * asked for; nothing where there is none. */
static int times(lua_State *L) {
    tks_spike_client *client = check_spike(L);
    int64_t good_for_ms, renew_in_ms;
    if (!tks_spike_client_get_times(client, check_request(L), &good_for_ms, &renew_in_ms)) {
        return 0;
    }
    lua_pushnumber(L, (lua_Number)good_for_ms / 1e3);
    lua_pushnumber(L, (lua_Number)renew_in_ms / 1e3);
    return 2;
}

/* invalidate(spike, request, token): true */
static int invalidate(lua_State *L) {
    tks_spike_client *client = check_spike(L);
    tks_bytes request = check_request(L);
    tksp_lua_watch watch;
    tks_interrupt interrupt = tksp_lua_watch_hook(L, &watch);
    tks_error err = TKS_ERROR_INIT;
    luaL_checktype(L, 3, LUA_TSTRING);
    return finish_wait(
        L, client, &watch,
        tks_spike_client_invalidate(client, request, tksp_lua_to_bytes(L, 3), &interrupt, &err),
        NULL, &err);
}

/* initialize(spike): true */
static int initialize(lua_State *L) {
    tks_spike_client *client = check_spike(L);
    tksp_lua_watch watch;
    tks_interrupt interrupt = tksp_lua_watch_hook(L, &watch);
    tks_error err = TKS_ERROR_INIT;
    tks_spike_answer answer;
    tks_status status = tks_spike_client_initialize(client, &interrupt, &answer, &err);
    return finish_wait(L, client, &watch, status, &answer, &err);
}

static int is_initialized(lua_State *L) {
    lua_pushboolean(L, tks_spike_client_is_initialized(check_spike(L)));
    return 1;
}

/* close(spike): true */
static int spike_close(lua_State *L) {
    tks_spike_client *client = check_spike(L);
    tks_spike_client_close(client);
    lua_pushboolean(L, true);
    return finish(L, client, 1, NULL);
}

TKSP_LUA_OPEN int luaopen_tokenstore_oauth(lua_State *L);

int luaopen_tokenstore_oauth(lua_State *L) {
    static const luaL_Reg functions[] = {{"spike", spike},
                                         {"get", get},
                                         {"times", times},
                                         {"wants", wants},
                                         {"renew", renew},
                                         {"invalidate", invalidate},
                                         {"initialize", initialize},
                                         {"is_initialized", is_initialized},
                                         {"close", spike_close},
                                         {"creator", tksp_lua_creator},
                                         {NULL, NULL}};
    tks_error err = TKS_ERROR_INIT;
    if (tks_secret_start(&err) != TKS_OK) {
        return luaL_error(L, "tokenstore: %s", err.message);
    }
    lua_newtable(L);
    tksp_lua_set_drivers(L, functions);
    tksp_lua_set_gc(L, TKSP_UP_SPIKE, spike_gc);
    tksp_lua_set_creator_gc(L);
    tksp_lua_open_remote_keys(L);
    return 1;
}
