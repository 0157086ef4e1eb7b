/* lua_store.c - the handles of stores, and what makes them of their options. See lua_store.h. */
#include "lua_store.h"

#include "lua_jwt.h"
#include "lua_options.h"
#include "tokenstore/spike.h"
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
    self->viewer = tksp_lua_to_viewer(L, 2);
    tksp_lua_keep(L, 1, 2);
    return 0;
}

void tksp_lua_open_store(lua_State *L) {
    static const tks_store_type *const types[] = {&tks_redis_tokens_type, &tks_sessions_type,
                                                  &tks_tokenstore_type, &tks_redis_jwt_type};
    static const luaL_Reg functions[] = {{"redis_tokens", redis_tokens}, {"sessions", sessions},
                                         {"tokenstore", tokenstore},     {"redis_jwt", redis_jwt},
                                         {"look_into", look_into},       {NULL, NULL}};
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
}
