/* lua_target.h - where a client connects to, read from a URL and a table of options.
 *
 * tokenstore.blocking makes a client of it; for drivers written in Lua it is a userdata, and what they
 * need of it is told in a table. */
#ifndef TKSP_LUA_TARGET_H
#define TKSP_LUA_TARGET_H

#include "lua_shared.h"
#include "lua_view.h"
#include "tokenstore/meter.h"
#include "tokenstore/near.h"
#include "tokenstore/router.h"
#include "tokenstore/url.h"

typedef struct tksp_lua_target {
    tksp_lua_viewer viewer;
    tks_target *target;
    tks_router *router; /* NULL: it is one server */
    tks_near *near;     /* NULL: there is no near cache */
} tksp_lua_target;

/* What operations on a target share; it may outlive the target. */
typedef struct tksp_lua_facts {
    tks_server *server;
    tks_router *router; /* NULL: it is one server */
    tks_near *near;     /* NULL: there is no near cache */
    tks_meter *meter;
} tksp_lua_facts;

void tksp_lua_facts_hold(tksp_lua_facts *out, const tksp_lua_target *target);
void tksp_lua_facts_give(const tksp_lua_facts *facts, tks_op *op);
void tksp_lua_facts_clear(tksp_lua_facts *facts);

/* Parses the URL at index 1 and sets the options of the table at index 2, names and texts or numbers.
 * *out, which must belong to a userdata, is set on failure too. TKS_OK, TKS_ERR_CONFIGURATION,
 * TKS_ERR_MEMORY. */
tks_status tksp_lua_read_target(lua_State *L, tks_target **out, tks_error *err);

/* Pushes the URL without user, password and options. */
void tksp_lua_push_url(lua_State *L, const tks_target *target);

/* Adds target and target_info to the table on top. */
void tksp_lua_open_target(lua_State *L);

#endif
