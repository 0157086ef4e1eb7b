/* lua_oauth.c - the module tokenstore.oauth: what is behind a Spike. (Keys at a URL, in it too, are in lua_remote_keys.c.)
 *
 * It links OpenSSL and libcurl, and is loaded when the first Spike is made. What was noted for the log
 * comes back as fourth result, for C does not call the logger.
 *
 * Lifecycle: a Spike keeps the client's userdata alive whose tks_client it uses. Collectors run
 *            finalizers in the reverse order of creation, so the Spike's comes first even when both die
 *            together; it waits for a renewal under way, at most 50 ms.
 * Threads:   renewals run in threads of the core's, which never see the Lua state. */
#include <math.h>

#include "lua_args.h"
#include "lua_driver.h"
#include "lua_oauth_creator.h"
#include "lua_remote_keys.h"
#include "tokenstore/secret.h"
#include "tokenstore/spike_client.h"

typedef struct spike_box {
    tks_spike_client *client; /* NULL: not made */
} spike_box;

/* ---- making ----------------------------------------------------------------------------------- */

/* Stack of `spike`: 1 the client or nil, 2 the table, then the options as they are numbered here. */
enum {
    CLIENT = 1,
    TABLE,
    DISCOVER,
    TOKEN_URL,
    KEY_URL,
    KEY_TEXT,
    CLIENT_ID,
    CLIENT_SECRET,
    CLIENT_AUTH,
    CLIENT_KEY,
    CLIENT_CERTIFICATE,
    CLIENT_ALGORITHM,
    ASSERTION_AUDIENCE,
    GRANT_TYPE,
    SCOPE,
    AUDIENCE_PARAMETER,
    EXPECT_AUDIENCE,
    HOST_HEADER,
    REDIS_KEY,
    REDIS_STRING,
    ISSUER,
    CLIENT_FILE,
    CA,
    CERT,
    KEY,
    PROXY,
    FAULTS,
    PARAMETERS,
    HEADERS,
    JSON_BODY,
    OPAQUE,
    ANY_AUDIENCE,
    CLIENT_GIVEN,
    INSECURE,
    EXPIRATION_OFFSET,
    DEFAULT_LIFETIME,
    CONNECT_TIMEOUT,
    RETRIES,
    FACTOR,
    MIN,
    MAX,
    TOTAL
};

/* As spike.lua hands them over. */
static const tksp_lua_param option_params[] = {
    {"discover", LUA_TSTRING, false},
    {"token_url", LUA_TSTRING, false},
    {"key_url", LUA_TSTRING, false},
    {"key_text", LUA_TSTRING, false},
    {"client_id", LUA_TSTRING, true},
    {"client_secret", LUA_TSTRING, false},
    {"client_auth", LUA_TSTRING, true},
    {"client_key", LUA_TSTRING, false},
    {"client_certificate", LUA_TSTRING, false},
    {"client_algorithm", LUA_TSTRING, false},
    {"assertion_audience", LUA_TSTRING, false},
    {"grant_type", LUA_TSTRING, false},
    {"scope", LUA_TSTRING, false},
    {"audience_parameter", LUA_TSTRING, false},
    {"expect_audience", LUA_TSTRING, false},
    {"host_header", LUA_TSTRING, false},
    {"redis_key", LUA_TSTRING, false},
    {"redis_string", LUA_TSTRING, false},
    {"issuer", LUA_TSTRING, false},
    {"client_file", LUA_TSTRING, false},
    {"ca", LUA_TSTRING, false},
    {"cert", LUA_TSTRING, false},
    {"key", LUA_TSTRING, false},
    {"proxy", LUA_TSTRING, false},
    {"faults", LUA_TSTRING, false},
    {"parameters", LUA_TTABLE, true},
    {"headers", LUA_TTABLE, true},
    {"json_body", LUA_TBOOLEAN, true},
    {"opaque", LUA_TBOOLEAN, true},
    {"any_audience", LUA_TBOOLEAN, true},
    {"client_given", LUA_TBOOLEAN, true},
    {"insecure", LUA_TBOOLEAN, true},
    {"expiration_offset", LUA_TNUMBER, true},
    {"default_lifetime", LUA_TNUMBER, true},
    {"connect_timeout", LUA_TNUMBER, true},
    {"retries", LUA_TNUMBER, true},
    {"factor", LUA_TNUMBER, true},
    {"min", LUA_TNUMBER, true},
    {"max", LUA_TNUMBER, true},
    {"total", LUA_TNUMBER, true},
};
enum { OPTION_COUNT = sizeof option_params / sizeof option_params[0] };

#define SECONDS_MAX 315360000.0

/* Readers note what is wrong with an option, and give something in its place. */

static void note_fault(tks_buf *faults, const char *name, const char *problem) {
    (void)tks_buf_append(faults, "; ", faults->size > 0 ? 2 : 0);
    (void)tks_buf_append(faults, name, strlen(name));
    (void)tks_buf_append(faults, problem, strlen(problem));
}

static int64_t read_ms(lua_State *L, int slot, const char *name, tks_buf *faults) {
    lua_Number seconds = lua_tonumber(L, slot);
    if (seconds >= 0 && seconds <= SECONDS_MAX) {
        return (int64_t)(seconds * 1000 + 0.5);
    }
    note_fault(faults, name, " must be 0 to 315360000 seconds");
    return 1000;
}

/* What does not fit is out of the core's limits too, which says so. */
static uint32_t read_pause(lua_State *L, int slot, const char *name, tks_buf *faults) {
    int64_t ms = read_ms(L, slot, name, faults);
    return ms < UINT32_MAX ? (uint32_t)ms : UINT32_MAX;
}

static const char *read_path(lua_State *L, int slot, tks_buf *faults) {
    size_t size = 0;
    const char *text = lua_tolstring(L, slot, &size);
    if (text != NULL && strlen(text) != size) {
        note_fault(faults, option_params[slot - DISCOVER].name, " holds a NUL");
        text = NULL;
    }
    return text;
}

static uint32_t read_retries(lua_State *L, tks_buf *faults) {
    lua_Number number = lua_tonumber(L, RETRIES);
    if (number >= 0 && number <= 100 && floor(number) == number) {
        return (uint32_t)number;
    }
    note_fault(faults, "retries", " must be a whole number, 0 to 100");
    return 0;
}

/* Pairs of an option, and how many. */
typedef struct pairs {
    tks_spike_parameter *list;
    size_t count;
} pairs;

/* The list { name, value, name, value, … } in a slot, which they are borrowed from. Leaves a userdata on top. */
static pairs read_pairs(lua_State *L, int slot) {
    size_t count = lua_rawlen(L, slot) / 2;
    tks_spike_parameter *out = lua_newuserdata(L, (count + 1) * sizeof *out);
    for (size_t i = 0; i < count; i++) {
        tksp_lua_get_item(L, slot, 2 * i + 1);
        tksp_lua_get_item(L, slot, 2 * i + 2);
        out[i].name = tksp_lua_to_bytes(L, -2);
        out[i].value = tksp_lua_to_bytes(L, -1);
        lua_pop(L, 2);
    }
    return (pairs){out, count};
}

static tks_status make(lua_State *L, pairs parameters, pairs headers, tks_buf *faults,
                       spike_box *box, tks_error *err) {
    tks_client *redis = NULL;
    tks_spike_options o = TKS_SPIKE_OPTIONS_INIT;
    tks_http_options h = {
        .ca = read_path(L, CA, faults),
        .cert = read_path(L, CERT, faults),
        .key = read_path(L, KEY, faults),
        .proxy = read_path(L, PROXY, faults),
        .insecure = lua_toboolean(L, INSECURE) != 0,
        .connect_timeout_ms = read_ms(L, CONNECT_TIMEOUT, "connect_timeout", faults),
    };
    o.discover = tksp_lua_to_bytes(L, DISCOVER);
    o.token_url = tksp_lua_to_bytes(L, TOKEN_URL);
    o.key_url = tksp_lua_to_bytes(L, KEY_URL);
    o.key_text = tksp_lua_to_bytes(L, KEY_TEXT);
    o.client_id = tksp_lua_to_bytes(L, CLIENT_ID);
    o.client_secret = tksp_lua_to_bytes(L, CLIENT_SECRET);
    o.client_auth = tks_client_auth_find(tksp_lua_to_bytes(L, CLIENT_AUTH));
    o.client_key_text = tksp_lua_to_bytes(L, CLIENT_KEY);
    o.client_certificate = tksp_lua_to_bytes(L, CLIENT_CERTIFICATE);
    o.client_algorithm = tksp_lua_to_bytes(L, CLIENT_ALGORITHM);
    o.assertion_audience = tksp_lua_to_bytes(L, ASSERTION_AUDIENCE);
    o.grant_type = tksp_lua_to_bytes(L, GRANT_TYPE);
    o.scope = tksp_lua_to_bytes(L, SCOPE);
    o.audience_parameter = tks_audience_parameter_find(tksp_lua_to_bytes(L, AUDIENCE_PARAMETER));
    o.expect_audience = tksp_lua_to_bytes(L, EXPECT_AUDIENCE);
    o.any_audience = lua_toboolean(L, ANY_AUDIENCE) != 0;
    o.host_header = tksp_lua_to_bytes(L, HOST_HEADER);
    o.redis_key = tksp_lua_to_bytes(L, REDIS_KEY);
    o.redis_string = tksp_lua_to_bytes(L, REDIS_STRING);
    o.issuer = tksp_lua_to_bytes(L, ISSUER);
    o.parameters = parameters.list;
    o.parameter_count = parameters.count;
    o.headers = headers.list;
    o.header_count = headers.count;
    o.client_given = lua_toboolean(L, CLIENT_GIVEN) != 0;
    o.client_file = tksp_lua_to_bytes(L, CLIENT_FILE);
    o.json_body = lua_toboolean(L, JSON_BODY) != 0;
    o.opaque = lua_toboolean(L, OPAQUE) != 0;
    o.offset_ms = read_ms(L, EXPIRATION_OFFSET, "expiration_offset", faults);
    o.default_lifetime_ms = read_ms(L, DEFAULT_LIFETIME, "default_lifetime", faults);
    o.retries = read_retries(L, faults);
    o.factor = lua_tonumber(L, FACTOR);
    o.pause_ms = read_pause(L, MIN, "retry's min", faults);
    o.pause_max_ms = read_pause(L, MAX, "retry's max", faults);
    o.budget_ms = read_pause(L, TOTAL, "retry's total", faults);
    if (!lua_isnil(L, CLIENT)) {
        redis = ((tksp_lua_client *)lua_touserdata(L, CLIENT))->client;
    }
    if (faults->status != TKS_OK) {
        return tks_fail_memory(err);
    }
    o.faults = tks_buf_bytes(faults);
    return tks_spike_client_open(&o, &h, redis, &box->client, err);
}

/* spike(client, options): `client` is one of tokenstore.blocking, or nil; connects nothing yet. */
static int spike(lua_State *L) {
    tks_error err = TKS_ERROR_INIT;
    tks_status status = TKS_OK;
    tks_buf faults;
    pairs parameters, headers;
    spike_box *box = NULL;

    luaL_checkstack(L, OPTION_COUNT + LUA_MINSTACK, "not enough memory");
    if (!lua_isnil(L, CLIENT)) {
        (void)tksp_lua_check(L, CLIENT, TKSP_UP_CLIENT);
    }
    lua_settop(L, TABLE);
    lua_settop(L, TABLE + OPTION_COUNT);
    tksp_lua_read_args(L, TABLE, "", option_params, OPTION_COUNT, DISCOVER);
    parameters = read_pairs(L, PARAMETERS);
    headers = read_pairs(L, HEADERS);
    box = lua_newuserdata(L, sizeof *box);
    box->client = NULL;
    tksp_lua_set_kind(L, TKSP_UP_SPIKE);
    tksp_lua_keep(L, lua_gettop(L), CLIENT);
    tks_buf_init(&faults, SIZE_MAX);
    (void)tks_buf_append_bytes(&faults, tksp_lua_to_bytes(L, FAULTS));
    status = make(L, parameters, headers, &faults, box, &err);
    tks_buf_clear(&faults);
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
