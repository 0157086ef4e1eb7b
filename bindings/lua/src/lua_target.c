/* lua_target.c - see lua_target.h. */
#define _POSIX_C_SOURCE 200809L

#include "lua_target.h"

#include <math.h>
#include <string.h>

#include "lua_clock.h"
#include "lua_options.h"
#include "tokenstore/greeting.h"
#include "tokenstore/secret.h"

/* ---- reading ---------------------------------------------------------------------------------- */

tks_status tksp_lua_read_target(lua_State *L, tks_target **out, tks_error *err) {
    size_t size = 0;
    const char *url = luaL_checklstring(L, 1, &size);
    luaL_checktype(L, 2, LUA_TTABLE);
    tks_status status = tks_target_parse(tks_bytes_of(url, size), out, err);
    lua_pushnil(L);
    while (status == TKS_OK && lua_next(L, 2) != 0) {
        const char *name = lua_type(L, -2) == LUA_TSTRING ? lua_tostring(L, -2) : "";
        const tks_option *row =
            tks_option_find(&tks_target_options, tks_bytes_of(name, strlen(name)));
        if (row == NULL) {
            status = tks_target_set(*out, name, tks_bytes_of(NULL, 0), err); /* says so */
        } else {
            tks_value value = tksp_lua_to_option(L, -1, row);
            status = tks_target_set_option(*out, row, &value, err);
        }
        lua_pop(L, 1);
    }
    return status;
}

void tksp_lua_push_url(lua_State *L, const tks_target *target) {
    tksp_lua_scratch *scratch = tksp_lua_scratch_new(L);
    if (tks_target_describe(target, &scratch->text) != TKS_OK) {
        luaL_error(L, "not enough memory");
    }
    lua_pushlstring(L, scratch->text.data, scratch->text.size);
    tksp_lua_scratch_clear(scratch);
    lua_remove(L, -2);
}

/* ---- what operations share ------------------------------------------------------------------- */

void tksp_lua_facts_hold(tksp_lua_facts *out, const tksp_lua_target *target) {
    out->server = tks_server_hold(target->target->server_facts);
    out->router = target->router != NULL ? tks_router_hold(target->router) : NULL;
    out->near = target->near != NULL ? tks_near_hold(target->near) : NULL;
    out->meter = tks_meter_hold(target->target->meter);
}

void tksp_lua_facts_give(const tksp_lua_facts *facts, tks_op *op) {
    tks_op_set_server(op, facts->server);
    tks_op_set_meter(op, facts->meter);
    if (facts->router != NULL) {
        tks_op_set_router(op, facts->router);
    }
    if (facts->near != NULL) {
        tks_op_set_near(op, facts->near);
    }
}

void tksp_lua_facts_clear(tksp_lua_facts *facts) {
    tks_server_free(facts->server);
    tks_router_free(facts->router);
    tks_near_free(facts->near);
    tks_meter_free(facts->meter);
    *facts = (tksp_lua_facts){NULL, NULL, NULL, NULL};
}

/* ---- for drivers written in Lua --------------------------------------------------------------- */

static void free_views(lua_State *L, tks_near *near) {
    const void *view = NULL;
    while (near != NULL && (view = tks_near_reap(near, true)) != NULL) {
        tksp_lua_free_view(L, view);
    }
}

static void *find_view(const tksp_lua_viewer *viewer, const tks_near_question *question) {
    const tksp_lua_target *self = (const tksp_lua_target *)viewer;
    int64_t now_ms = (int64_t)(tksp_lua_clock(CLOCK_BOOTTIME) * 1e3);
    return self->near == NULL ? NULL
                              : tks_near_find_view(self->near, self->router, question, now_ms);
}

static int target_gc(lua_State *L) {
    tksp_lua_target *self = tksp_lua_check(L, 1, TKSP_UP_TARGET);
    tks_target_free(self->target);
    tks_router_free(self->router);
    free_views(L, self->near);
    tks_near_free(self->near);
    self->target = NULL;
    self->router = NULL;
    self->near = NULL;
    return 0;
}

static tksp_lua_target *push_target(lua_State *L) {
    tksp_lua_target *self = lua_newuserdata(L, sizeof *self);
    self->target = NULL;
    self->router = NULL;
    self->near = NULL;
    self->viewer.find = find_view;
    tksp_lua_set_kind(L, TKSP_UP_TARGET);
    return self;
}

/* target(url, options, asks): where `asks` is true, each new connection wants run_give. */
static int target(lua_State *L) {
    tks_error err = TKS_ERROR_INIT;
    tks_status status = TKS_OK;
    tksp_lua_target *self = NULL;
    lua_settop(L, 3);
    self = push_target(L);
    status = tksp_lua_read_target(L, &self->target, &err);
    if (status != TKS_OK) {
        return tksp_lua_fail(L, status, &err);
    }
    self->target->asks = lua_toboolean(L, 3) != 0;
    if (self->target->near_cache > 0) {
        self->near = tks_near_new(self->target->near_cache, self->target->near_cache_staleness_ms,
                                  self->target->near_cache_tracking);
        if (self->near == NULL) {
            return luaL_error(L, "not enough memory");
        }
    }
    if (self->target->host_count > 0) {
        self->router = tks_router_new(self->target);
        if (self->router == NULL) {
            return luaL_error(L, "not enough memory");
        }
    }
    return 1;
}

/* ---- the nodes of a cluster ------------------------------------------------------------------- */

/* The target of a cluster at index 1. */
static tksp_lua_target *check_cluster(lua_State *L) {
    tksp_lua_target *self = tksp_lua_check(L, 1, TKSP_UP_TARGET);
    luaL_argcheck(L, self->router != NULL, 1, "the target of a cluster expected");
    return self;
}

static int check_node(lua_State *L) {
    lua_Number node = luaL_checknumber(L, 2);
    luaL_argcheck(L, node >= 0 && node < TKS_NODES_MAX, 2, "the number of a node expected");
    return (int)node;
}

/* node(target, number): the target of a node of the cluster. */
static int node(lua_State *L) {
    const tksp_lua_target *cluster = check_cluster(L);
    int number = check_node(L);
    tksp_lua_target *self = push_target(L);
    self->target = tks_router_target(cluster->router, cluster->target, number);
    return self->target != NULL ? 1 : luaL_error(L, "not enough memory");
}

/* serves(target, number): does the node serve slots? */
static int serves(lua_State *L) {
    const tksp_lua_target *cluster = check_cluster(L);
    lua_pushboolean(L, tks_router_serves(cluster->router, check_node(L)));
    return 1;
}

/* refresh(target): the operation that asks for the map of the cluster, if that is due; else nil. */
static int refresh(lua_State *L) {
    const tksp_lua_target *cluster = check_cluster(L);
    tks_error err = TKS_ERROR_INIT;
    int64_t now_ms = (int64_t)(tksp_lua_clock(CLOCK_MONOTONIC) * 1e3);
    if (!tks_router_is_due(cluster->router, now_ms)) {
        return 0;
    }
    tksp_lua_op *box = tksp_lua_op_new(L, TKSP_FORM_TOKEN);
    box->op = tks_router_refresh(cluster->router, now_ms);
    return tksp_lua_op_finish(L, box, box->op != NULL ? TKS_OK : TKS_ERR_MEMORY, &err);
}

static void set_text(lua_State *L, const char *name, const char *text) {
    if (text != NULL) {
        lua_pushstring(L, text);
        lua_setfield(L, -2, name);
    }
}

/* A name for connections to `target` which no other has: a digest, keyed by `salt`, of all that makes a
 * connection what it is, its password too. */
static void set_identity(lua_State *L, const tks_target *target, tks_bytes salt) {
    const char *texts[] = {target->host,     target->path,        target->user,
                           target->password, target->client_name, target->ca,
                           target->cert,     target->key,         target->server_name};
    enum { TEXTS = sizeof texts / sizeof texts[0] };
    const int64_t numbers[] = {target->transport, target->tls, target->port, target->db,
                               target->max_connection_age_ms};
    tks_bytes fields[2 * TEXTS + 1];
    char digest[TKS_DIGEST_TEXT_SIZE];
    for (size_t i = 0; i < TEXTS; i++) {
        bool given = texts[i] != NULL; /* "" and nothing are two things */
        fields[2 * i] = given ? TKS_LITERAL("+") : TKS_LITERAL("-");
        fields[2 * i + 1] = tks_bytes_of(texts[i], given ? strlen(texts[i]) : 0);
    }
    fields[2 * TEXTS] = tks_bytes_of((const char *)numbers, sizeof numbers);
    tks_digest(salt, fields, sizeof fields / sizeof fields[0], digest);
    lua_pushlstring(L, digest, sizeof digest);
    lua_setfield(L, -2, "identity");
}

/* target_info(target, salt): { transport, tls, host, port, path, … } and a name for its connections. */
static int target_info(lua_State *L) {
    static const char *const transports[] = {"tcp", "unix", "embedded", "cluster", "sentinel"};
    const tksp_lua_target *self = tksp_lua_check(L, 1, TKSP_UP_TARGET);
    const tks_target *of = self->target;
    size_t size = 0;
    const char *salt = luaL_checklstring(L, 2, &size);
    luaL_argcheck(L, of != NULL, 1, "a whole target expected");
    luaL_argcheck(L, size <= TKS_PEPPER_MAX, 2, "the salt is too long");
    lua_createtable(L, 0, 20);
    tksp_lua_push_url(L, of);
    lua_setfield(L, -2, "url");
    set_text(L, "transport", transports[of->transport]);
    lua_pushboolean(L, of->tls);
    lua_setfield(L, -2, "tls");
    set_text(L, "host", of->host);
    tksp_lua_push_integer(L, of->port);
    lua_setfield(L, -2, "port");
    set_text(L, "path", of->path);
    set_text(L, "ca", of->ca);
    set_text(L, "cert", of->cert);
    set_text(L, "key", of->key);
    set_text(L, "server_name", of->server_name);
    set_text(L, "greeting_hint", tks_greeting_get_hint(of));
    lua_pushnumber(L, (lua_Number)of->connect_timeout_ms / 1e3);
    lua_setfield(L, -2, "connect_timeout");
    lua_pushnumber(L, (lua_Number)of->timeout_ms / 1e3);
    lua_setfield(L, -2, "timeout");
    tksp_lua_push_integer(L, (int64_t)of->pool_size);
    lua_setfield(L, -2, "pool_size");
    if (self->near != NULL) {
        lua_pushnumber(L, (lua_Number)of->near_cache_staleness_ms / 1e3);
        lua_setfield(L, -2, "near_cache_staleness");
        lua_pushstring(L, of->near_cache_tracking == TKS_NEAR_KEYS ? "keys" : "broadcast");
        lua_setfield(L, -2, "near_cache_tracking");
    }
    set_identity(L, of, tks_bytes_of(salt, size));
    return 1;
}

/* draw_age(target): for how many seconds a connection that is opened now may be used; math.huge: without
 * end. */
static int draw_age(lua_State *L) {
    const tksp_lua_target *self = tksp_lua_check(L, 1, TKSP_UP_TARGET);
    luaL_argcheck(L, self->target != NULL, 1, "a whole target expected");
    int64_t ms = tks_target_draw_age(self->target);
    lua_pushnumber(L, ms == INT64_MAX ? (lua_Number)HUGE_VAL : (lua_Number)ms / 1e3);
    return 1;
}

void tksp_lua_open_target(lua_State *L) {
    static const luaL_Reg functions[] = {
        {"target", target}, {"target_info", target_info}, {"draw_age", draw_age},
        {"node", node},     {"serves", serves},           {"refresh", refresh},
        {NULL, NULL}};
    tksp_lua_set_gc(L, TKSP_UP_TARGET, target_gc);
    tksp_lua_set_functions(L, functions);
}
