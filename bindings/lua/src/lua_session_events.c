/* lua_session_events.c - session events: part of tokenstore.blocking, the only module that can wait. */
#include "lua_session_events.h"

#include <math.h>

#include "lua_credentials.h"
#include "lua_driver.h"
#include "tokenstore/session_events.h"

typedef struct lua_events {
    tks_session_events *events; /* NULL: not made */
} lua_events;

/* The time in seconds at `arg` as milliseconds, rounded up; `none` for nil. */
static int64_t read_time(lua_State *L, int arg, int64_t none) {
    lua_Number seconds = 0;
    if (lua_isnoneornil(L, arg)) {
        return none;
    }
    seconds = luaL_checknumber(L, arg);
    luaL_argcheck(L, seconds >= 0 && seconds <= 315360000, arg, "0 to 315360000 seconds expected");
    return (int64_t)ceil(seconds * 1000);
}

/* session_events(client, configure, keepalive): does not connect. */
static int session_events(lua_State *L) {
    tksp_lua_client *client = tksp_lua_check(L, 1, TKSP_UP_CLIENT);
    tks_session_events_options options = {lua_toboolean(L, 2) != 0, read_time(L, 3, 0)};
    tks_error err = TKS_ERROR_INIT;
    tks_status status = TKS_OK;
    lua_events *self = NULL;
    luaL_argcheck(L, client->client != NULL, 1, "an initialized client expected");
    lua_settop(L, 3);
    self = lua_newuserdata(L, sizeof *self);
    self->events = NULL;
    tksp_lua_set_kind(L, TKSP_UP_SESSION_EVENTS);
    tksp_lua_keep(L, 4, 1);
    status = tks_session_events_new(client->client, &options, &self->events, &err);
    return status == TKS_OK ? 1 : tksp_lua_fail(L, status, &err);
}

static lua_events *check_events(lua_State *L) {
    lua_events *self = tksp_lua_check(L, 1, TKSP_UP_SESSION_EVENTS);
    if (self->events == NULL) {
        tksp_lua_raise(L, "these events were not initialized");
    }
    return self;
}

/* session_events_open(events): true: it listens; false: session_events_give must be called first. */
static int session_events_open(lua_State *L) {
    lua_events *self = check_events(L);
    tksp_lua_watch watch;
    tks_interrupt interrupt = tksp_lua_watch_hook(L, &watch);
    tks_error err = TKS_ERROR_INIT;
    bool asks = false;
    tks_status status = tks_session_events_open(self->events, &interrupt, &asks, &err);
    if (status != TKS_OK) {
        return tksp_lua_fail_wait(L, &watch, status, &err);
    }
    lua_pushboolean(L, !asks);
    return 1;
}

/* session_events_give(events, user, password): the results of `credentials`. True, or nil, message, code. */
static int session_events_give(lua_State *L) {
    lua_events *self = check_events(L);
    tks_error err = TKS_ERROR_INIT;
    tks_credentials made;
    tks_status status = TKS_OK;
    lua_settop(L, 3);
    status = tksp_lua_read_credentials(L, 2, &made, &err);
    if (status != TKS_OK) {
        return tksp_lua_fail(L, status, &err);
    }
    tks_session_events_give(self->events, &made);
    lua_pushboolean(L, 1);
    return 1;
}

static int push_notice(lua_State *L, const tks_session_notice *notice) {
    switch (notice->type) {
    case TKS_SESSION_ENDED:
        lua_pushstring(L, tks_session_end_name(notice->event.kind));
        lua_pushlstring(L, notice->event.id.data, notice->event.id.size);
        lua_pushlstring(L, notice->event.rjwt.data, notice->event.rjwt.size);
        return 3;
    case TKS_SESSION_GAP:
        lua_pushliteral(L, "gap");
        lua_pushnumber(L, (lua_Number)notice->lost_ms / 1e3);
        lua_pushnumber(L, (lua_Number)notice->restored_ms / 1e3);
        return 3;
    case TKS_SESSION_LOST: lua_pushliteral(L, "lost"); return 1;
    case TKS_SESSION_ASKS: lua_pushliteral(L, "asks"); return 1;
    case TKS_SESSION_NOTHING: break;
    }
    lua_pushnil(L);
    return 1;
}

/* session_events_next(events, timeout): "expired" or "del", the id and the rjwt; "gap" and two times; "lost";
 * "asks" if session_events_give must be called; or nil after the timeout, in seconds. No timeout: waits
 * forever. */
static int session_events_next(lua_State *L) {
    lua_events *self = check_events(L);
    int64_t timeout_ms = read_time(L, 2, -1);
    tksp_lua_watch watch;
    tks_interrupt interrupt = tksp_lua_watch_hook(L, &watch);
    tks_session_notice notice;
    tks_error err = TKS_ERROR_INIT;
    tks_status status =
        tks_session_events_next(self->events, timeout_ms, &interrupt, &notice, &err);
    return status == TKS_OK ? push_notice(L, &notice) : tksp_lua_fail_wait(L, &watch, status, &err);
}

static int session_events_close(lua_State *L) {
    tks_session_events_close(check_events(L)->events);
    return 0;
}

static int events_gc(lua_State *L) {
    lua_events *self = tksp_lua_check(L, 1, TKSP_UP_SESSION_EVENTS);
    tks_session_events_free(self->events);
    self->events = NULL;
    return 0;
}

void tksp_lua_open_session_events(lua_State *L) {
    static const luaL_Reg functions[] = {{"session_events", session_events},
                                         {"session_events_open", session_events_open},
                                         {"session_events_give", session_events_give},
                                         {"session_events_next", session_events_next},
                                         {"session_events_close", session_events_close},
                                         {NULL, NULL}};
    tksp_lua_set_gc(L, TKSP_UP_SESSION_EVENTS, events_gc);
    tksp_lua_set_drivers(L, functions);
}
