/* lua_near.c - see lua_near.h.
 *
 * Purpose:   a link is a connection to one server that hears of changes. The driver opens it, and then
 *
 *                 near_track(link) ─► an operation to run on it ─► near_subscribe(link) ─► bytes to send, or none
 *                 near_feed(link, bytes) for all that it reads; near_ping(link) ─► bytes to send, now and then, and at once while
 *                 near_wants(link)
 *                 near_lose(link) when it has ended
 * Lifecycle: one link for each connection; the garbage collector frees it.
 * Rules:     as lua_shared.h. */
#define _POSIX_C_SOURCE 200809L

#include "lua_near.h"

#include <string.h>

#include "lua_args.h"
#include "lua_clock.h"
#include "lua_target.h"
#include "tokenstore/resp.h"

typedef struct near_link {
    tks_near *near;     /* held */
    tks_router *router; /* held; NULL: there is one server */
    tks_reader *reader;
    int node; /* -1: there is one server */
    bool subscribed;
    unsigned version;  /* of the prefixes that it tells of */
    size_t answers;    /* so many come before that of PING */
    int64_t pinged_ms; /* 0: no PING is unanswered */
} near_link;

static int64_t boot_ms(void) {
    return (int64_t)(tksp_lua_clock(CLOCK_BOOTTIME) * 1e3);
}

static near_link *check_link(lua_State *L) {
    return tksp_lua_check(L, 1, TKSP_UP_NEAR_LINK);
}

/* The target at index 1, which must have a near cache. */
static const tksp_lua_target *check_target(lua_State *L) {
    const tksp_lua_target *self = tksp_lua_check(L, 1, TKSP_UP_TARGET);
    luaL_argcheck(L, self->near != NULL, 1, "a target with near_cache expected");
    return self;
}

/* ---- links ------------------------------------------------------------------------------------ */

static int link_gc(lua_State *L) {
    near_link *link = check_link(L);
    tks_reader_free(link->reader);
    tks_near_free(link->near);
    tks_router_free(link->router);
    memset(link, 0, sizeof *link);
    return 0;
}

/* near_link(target, node): to a node of a cluster by its number; -1: to the one server. */
static int link_new(lua_State *L) {
    const tksp_lua_target *target = check_target(L);
    lua_Number node = luaL_checknumber(L, 2);
    tks_error err = TKS_ERROR_INIT;
    luaL_argcheck(L, node >= -1 && node < TKS_NODES_MAX, 2, "the number of a node expected");
    near_link *link = lua_newuserdata(L, sizeof *link);
    memset(link, 0, sizeof *link);
    tksp_lua_set_kind(L, TKSP_UP_NEAR_LINK);
    link->node = (int)node;
    link->near = tks_near_hold(target->near);
    link->router = target->router != NULL ? tks_router_hold(target->router) : NULL;
    if (tks_reader_new(target->target->max_reply_size, &link->reader, &err) != TKS_OK) {
        return luaL_error(L, "not enough memory");
    }
    return 1;
}

/* Pushes what was formatted. */
static int push_formatted(lua_State *L, tksp_lua_scratch *scratch, tks_status status) {
    if (status != TKS_OK) {
        return luaL_error(L, "not enough memory");
    }
    lua_pushlstring(L, scratch->text.data, scratch->text.size);
    tksp_lua_scratch_clear(scratch);
    return 1;
}

static int track(lua_State *L) {
    near_link *link = check_link(L);
    tks_error err = TKS_ERROR_INIT;
    tksp_lua_op *box = tksp_lua_op_new(L, TKSP_FORM_TOKEN);
    tks_status status = tks_near_track_new(link->near, &link->version, &box->op, &err);
    return tksp_lua_op_finish(L, box, status, &err);
}

static bool is_by_key(const near_link *link) {
    return tks_near_get_tracking(link->near) == TKS_NEAR_KEYS;
}

static void open_link(near_link *link) {
    link->subscribed = true;
    tks_near_open(link->near, link->node, link->version, boot_ms());
    tks_near_fail(link->near, NULL);
}

/* near_subscribe(link): nil if there is nothing to subscribe to. */
static int subscribe(lua_State *L) {
    const tks_bytes words[] = {TKS_LITERAL("SUBSCRIBE"), TKS_LITERAL(TKS_NEAR_CHANNEL)};
    near_link *link = check_link(L);
    if (is_by_key(link)) {
        open_link(link);
        return 0;
    }
    tksp_lua_scratch *scratch = tksp_lua_scratch_new(L);
    return push_formatted(L, scratch, tks_resp_format(&scratch->text, 2, words));
}

/* near_ping(link): PING, and before it what the server is asked; nil while an earlier one is unanswered. */
static int ping(lua_State *L) {
    const tks_bytes words[] = {TKS_LITERAL("PING")};
    near_link *link = check_link(L);
    tks_status status = TKS_OK;
    if (link->pinged_ms != 0) {
        return 0;
    }
    tksp_lua_scratch *scratch = tksp_lua_scratch_new(L);
    link->pinged_ms = boot_ms();
    if (is_by_key(link)) {
        status = tks_near_ask(link->near, link->node, &scratch->text, &link->answers);
    }
    if (status == TKS_OK) {
        status = tks_resp_format(&scratch->text, 1, words);
    }
    return push_formatted(L, scratch, status);
}

/* near_wants(link): is there something to ask? */
static int wants(lua_State *L) {
    const near_link *link = check_link(L);
    lua_pushboolean(
        L, link->pinged_ms == 0 && is_by_key(link) && tks_near_wants(link->near, link->node));
    return 1;
}

static void prove(near_link *link) {
    int64_t sent_ms = link->pinged_ms, clock_ms = (int64_t)(tksp_lua_clock(CLOCK_MONOTONIC) * 1e3);
    link->pinged_ms = 0;
    tks_near_prove(link->near, link->router, link->node, sent_ms, boot_ms(), clock_ms);
}

/* False: it is none that was asked for. */
static bool take(near_link *link, const tks_reply *reply) {
    if (tks_reply_is_push(reply, TKS_LITERAL("message"), 3)) {
        tks_near_take(link->near, tks_reply_get_item(reply, 2));
        return true;
    }
    if (tks_reply_is_push(reply, TKS_LITERAL("subscribe"), 3)) {
        open_link(link);
        return true;
    }
    if (is_by_key(link) && tks_near_hear(link->near, reply)) {
        return true;
    }
    if (link->answers > 0) {
        link->answers--;
        tks_near_answer(link->near, link->node, reply);
        return true;
    }
    /* An error may only be the answer to PING of a user who may not: the server lives. */
    bool answer = tks_reply_is_push(reply, TKS_LITERAL("pong"), 2) ||
                  tks_reply_get_type(reply) == TKS_REPLY_ERROR ||
                  (is_by_key(link) && tks_reply_get_type(reply) == TKS_REPLY_STATUS);
    if (!link->subscribed || !answer || link->pinged_ms == 0) {
        return false;
    }
    prove(link);
    return true;
}

/* near_feed(link, bytes): true; or nil, message, code, and then the connection is unusable. */
static int feed(lua_State *L) {
    near_link *link = check_link(L);
    tks_error err = TKS_ERROR_INIT;
    luaL_checktype(L, 2, LUA_TSTRING);
    tks_bytes bytes = tksp_lua_to_bytes(L, 2);
    tks_reply *reply = NULL;
    tks_status status = tks_reader_feed(link->reader, bytes.data, bytes.size, &err);
    do {
        if (status == TKS_OK) {
            status = tks_reader_next(link->reader, &reply, &err);
        }
        if (status == TKS_OK && reply != NULL && !take(link, reply)) {
            char text[TKS_ERROR_SIZE] = "it was not requested";
            if (tks_reply_get_type(reply) == TKS_REPLY_ERROR) {
                tks_reply_describe_error(reply, text, sizeof text);
            }
            status = tks_fail(&err, TKS_ERR_CONNECTION, "unexpected answer: %.300s", text);
        }
        tks_reply_free(reply);
    } while (status == TKS_OK && reply != NULL);
    if (status != TKS_OK) {
        return tksp_lua_fail(L, status, &err);
    }
    lua_pushboolean(L, 1);
    return 1;
}

static int lose(lua_State *L) {
    const near_link *link = check_link(L);
    tks_near_lose(link->near, link->node);
    return 0;
}

/* near_is_current(link): does it tell of all keys that are wanted, and is its node a primary? */
static int is_current(lua_State *L) {
    const near_link *link = check_link(L);
    lua_pushboolean(L, link->version == tks_near_get_version(link->near) &&
                           (link->router == NULL || tks_router_serves(link->router, link->node)));
    return 1;
}

/* ---- targets ---------------------------------------------------------------------------------- */

/* near_is_wanted(target): has anything been asked for? */
static int is_wanted(lua_State *L) {
    lua_pushboolean(L, tks_near_get_version(check_target(L)->near) > 0);
    return 1;
}

/* near_fail(target, message): no link can be opened; nil: one is again. */
static int fail(lua_State *L) {
    tks_near_fail(check_target(L)->near, luaL_optstring(L, 2, NULL));
    return 0;
}

/* near_primaries(target, seconds): the numbers of the nodes that serve. The map is to be asked for again if that was done longer
 * ago. */
static int primaries(lua_State *L) {
    const tksp_lua_target *target = check_target(L);
    int64_t age_ms = (int64_t)(luaL_checknumber(L, 2) * 1e3);
    luaL_argcheck(L, target->router != NULL, 1, "the target of a cluster expected");
    tks_router_renew(target->router, (int64_t)(tksp_lua_clock(CLOCK_MONOTONIC) * 1e3), age_ms);
    tks_member *members = lua_newuserdata(L, TKS_NODES_MAX * sizeof *members);
    size_t count = tks_router_list(target->router, false, members, TKS_NODES_MAX);
    lua_createtable(L, (int)count, 0);
    for (size_t i = 0; i < count; i++) {
        lua_pushnumber(L, members[i].node);
        lua_rawseti(L, -2, (int)i + 1);
    }
    return 1;
}

static void set_count(lua_State *L, const char *name, uint64_t value) {
    tksp_lua_push_integer(L, (int64_t)value);
    lua_setfield(L, -2, name);
}

void tksp_lua_push_near_stats(lua_State *L, const tks_near_stats *stats) {
    lua_newtable(L);
    set_count(L, "hits", stats->hits);
    set_count(L, "misses", stats->misses);
    set_count(L, "invalidations", stats->invalidations);
    set_count(L, "evictions", stats->evictions);
    set_count(L, "flushes", stats->flushes);
    set_count(L, "entries", stats->entries);
    set_count(L, "bytes", stats->bytes);
    lua_pushnumber(L, (lua_Number)stats->oldest_ms / 1e3);
    lua_setfield(L, -2, "oldest_proof");
    lua_pushboolean(L, stats->alive);
    lua_setfield(L, -2, "alive");
}

static int stats(lua_State *L) {
    tks_near_stats now = tks_near_get_stats(check_target(L)->near, boot_ms());
    tksp_lua_push_near_stats(L, &now);
    return 1;
}

void tksp_lua_open_near(lua_State *L) {
    static const luaL_Reg functions[] = {{"near_link", link_new},
                                         {"near_track", track},
                                         {"near_subscribe", subscribe},
                                         {"near_ping", ping},
                                         {"near_wants", wants},
                                         {"near_feed", feed},
                                         {"near_lose", lose},
                                         {"near_is_current", is_current},
                                         {"near_is_wanted", is_wanted},
                                         {"near_fail", fail},
                                         {"near_primaries", primaries},
                                         {"near_stats", stats},
                                         {NULL, NULL}};
    tksp_lua_set_gc(L, TKSP_UP_NEAR_LINK, link_gc);
    tksp_lua_set_functions(L, functions);
}
