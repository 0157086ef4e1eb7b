/* lua_oauth_creator.c - see lua_oauth_creator.h. */
#include "lua_oauth_creator.h"

#include "lua_args.h"
#include "tokenstore/spike_creator.h"

typedef struct creator_box {
    tks_creator *creator;
} creator_box;

static int creator_gc(lua_State *L) {
    creator_box *box = tksp_lua_check(L, 1, TKSP_UP_CREATOR);
    tks_creator_free(box->creator);
    box->creator = NULL;
    return 0;
}

static void set_option(lua_State *L, tks_creator *creator) {
    tks_creator_value value = {.type = TKS_CREATOR_OTHER};
    switch (lua_type(L, -1)) {
    case LUA_TSTRING:
        value.type = TKS_CREATOR_TEXT;
        value.text = tksp_lua_to_bytes(L, -1);
        break;
    case LUA_TBOOLEAN:
        value.type = TKS_CREATOR_BOOL;
        value.number = lua_toboolean(L, -1);
        break;
    case LUA_TNUMBER:
        value.type = TKS_CREATOR_NUMBER;
        value.number = lua_tonumber(L, -1);
        break;
    default: break;
    }
    tks_creator_set(creator, tksp_lua_to_bytes(L, -2), &value);
}

/* Sets a field of the table on top, unless the text is empty. */
static void push_text(lua_State *L, const char *name, tks_bytes text) {
    if (text.size > 0) {
        lua_pushlstring(L, text.data, text.size);
        lua_setfield(L, -2, name);
    }
}

static void push_options(lua_State *L, const tks_creator_options *o) {
    lua_createtable(L, 0, 16);
    push_text(L, "client_id", o->client_id);
    push_text(L, "client_secret", o->client_secret);
    push_text(L, "token_url", o->token_url);
    push_text(L, "key_url", o->key_url);
    push_text(L, "key_path", o->key_path);
    push_text(L, "grant_type", o->grant_type);
    push_text(L, "audience", o->audience);
    push_text(L, "redis_key", o->redis_key);
    push_text(L, "redis_string", o->redis_string);
    push_text(L, "redis_host", o->redis_host);
    push_text(L, "host_header", o->host_header);
    lua_pushboolean(L, o->validate);
    lua_setfield(L, -2, "validate");
    lua_pushnumber(L, o->retries);
    lua_setfield(L, -2, "retries");
    lua_pushnumber(L, o->sleep_ms / 1000.0);
    lua_setfield(L, -2, "sleep");
    lua_pushnumber(L, o->budget_ms / 1000.0);
    lua_setfield(L, -2, "total");
}

int tksp_lua_creator(lua_State *L) {
    tks_creator_options options;
    tks_error err = TKS_ERROR_INIT;
    tks_status status = TKS_OK;
    creator_box *box = NULL;

    luaL_checktype(L, 1, LUA_TTABLE);
    lua_settop(L, 1);
    box = lua_newuserdata(L, sizeof *box);
    box->creator = NULL;
    tksp_lua_set_kind(L, TKSP_UP_CREATOR);
    box->creator = tks_creator_new();
    if (box->creator == NULL) {
        return luaL_error(L, "not enough memory");
    }
    lua_pushnil(L);
    while (lua_next(L, 1) != 0) {
        if (lua_type(L, -2) != LUA_TSTRING) {
            return tksp_lua_raise(L, "bad option: a name expected, got a %s", luaL_typename(L, -2));
        }
        set_option(L, box->creator);
        lua_pop(L, 1);
    }
    status = tks_creator_finish(box->creator, &options, &err);
    if (status == TKS_OK) {
        push_options(L, &options);
    }
    tks_creator_free(box->creator);
    box->creator = NULL;
    return status == TKS_OK ? 1 : tksp_lua_fail(L, status, &err);
}

void tksp_lua_set_creator_gc(lua_State *L) {
    tksp_lua_set_gc(L, TKSP_UP_CREATOR, creator_gc);
}
