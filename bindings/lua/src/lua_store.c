/* lua_store.c - the handles of stores, and what makes them of their options. See lua_store.h. */
#include "lua_store.h"

#include "lua_args.h"
#include "lua_jwt.h"
#include "lua_options.h"
#include "tokenstore/spike.h"
#include "tokenstore/tokens.h"
#include "tokenstore/url.h"

static int store_gc(lua_State *L) {
    tksp_lua_store *self = tksp_lua_check(L, 1, TKSP_UP_STORE);
    if (self->core != NULL) {
        self->type->free(self->core);
        self->core = NULL;
    }
    return 0;
}

/* Pushes a handle that holds nothing yet. */
static tksp_lua_store *push_store(lua_State *L, const tks_store_type *type) {
    tksp_lua_store *self = lua_newuserdata(L, sizeof *self);
    self->type = type;
    self->core = NULL;
    self->viewer = NULL;
    tksp_lua_set_kind(L, TKSP_UP_STORE);
    return self;
}

/* redis_tokens(options) and so on, of the store's own options. */
static int make(lua_State *L, const tks_store_type *type) {
    tks_error err = TKS_ERROR_INIT;
    void *options;
    lua_settop(L, 1);
    tks_status status = tksp_lua_read_options(L, 1, type->options, NULL, &options, &err);
    tksp_lua_store *self = push_store(L, type);
    if (status == TKS_OK) status = type->make(options, &self->core, &err);
    return status == TKS_OK ? 1 : tksp_lua_fail(L, status, &err);
}

static int redis_tokens(lua_State *L) {
    return make(L, &tks_redis_tokens_type);
}

static int sessions(lua_State *L) {
    return make(L, &tks_sessions_type);
}

static int tokenstore(lua_State *L) {
    return make(L, &tks_tokenstore_type);
}

static int redis_jwt(lua_State *L) {
    return make(L, &tks_redis_jwt_type);
}

static int look_into(lua_State *L) {
    tksp_lua_store *self = tksp_lua_check(L, 1, TKSP_UP_STORE);
    lua_settop(L, 2);
    const tksp_lua_viewer *viewer = tksp_lua_to_viewer(L, 2);
    self->viewer = self->type->ask != NULL ? viewer : NULL;
    tksp_lua_keep(L, 1, 2);
    return 0;
}

/* The number of the view that was left for a get of this token; 0: there is none. Only of RedisTokens and Sessions. */
static int find(const tksp_lua_store *store, tks_bytes app, tks_bytes type, tks_bytes token) {
    tks_near_question question;
    if (store->viewer == NULL || !tks_tokens_ask(store->core, app, type, token, &question)) {
        return 0;
    }
    return (int)(intptr_t)store->viewer->find(store->viewer, &question);
}

/* The same for LuaJIT's FFI. */
static int find_by_ffi(const tksp_lua_store *store, const char *app, size_t app_size,
                       const char *type, size_t type_size, const char *token, size_t token_size) {
    return find(store, tks_bytes_of(app, app_size), tks_bytes_of(type, type_size),
                tks_bytes_of(token, token_size));
}

/* The same as a function. */
static int find_view(lua_State *L) {
    const tksp_lua_store *store = tksp_lua_check(L, 1, TKSP_UP_STORE);
    lua_settop(L, 4);
    lua_pushinteger(
        L, find(store, tksp_lua_to_bytes(L, 2), tksp_lua_to_bytes(L, 3), tksp_lua_to_bytes(L, 4)));
    return 1;
}

void tksp_lua_open_store(lua_State *L) {
    static const tks_store_type *const types[] = {&tks_redis_tokens_type, &tks_sessions_type,
                                                  &tks_tokenstore_type, &tks_redis_jwt_type};
    static const luaL_Reg functions[] = {{"redis_tokens", redis_tokens},
                                         {"sessions", sessions},
                                         {"tokenstore", tokenstore},
                                         {"redis_jwt", redis_jwt},
                                         {"look_into", look_into},
                                         {"find_view", find_view},
                                         {NULL, NULL}};
    tksp_lua_set_gc(L, TKSP_UP_STORE, store_gc);
    tksp_lua_set_jwt_functions(L, functions); /* RedisJWT has keys */
    lua_newtable(L);
    for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
        tksp_lua_push_options(L, types[i]->options);
        lua_setfield(L, -2, types[i]->name);
    }
    tksp_lua_push_options(L, &tks_target_options);
    lua_setfield(L, -2, "Client");
    tksp_lua_push_options(L, &tks_spike_table);
    lua_setfield(L, -2, "Spike");
    lua_setfield(L, -2, "options");
    int (*function)(const tksp_lua_store *, const char *, size_t, const char *, size_t,
                    const char *, size_t) = find_by_ffi;
    tksp_lua_set_address(L, "find_view_address", &function, sizeof function);
    lua_pushliteral(L, TKS_SESSION_TYPE);
    lua_setfield(L, -2, "session_type");
    tksp_lua_push_one(L, TKSP_UP_VIEWS);
    lua_setfield(L, -2, "views");
}
