/* lua_shared.h - what tokenstore.core, tokenstore.blocking and tokenstore.oauth have in common.
 *
 * Purpose:   the modules are shared objects with the same C core in each, out of one build. They meet
 *            in one Lua state: an operation made by one is run by another. So metatables
 *            and sentinels stand in that state's registry, made by whoever is loaded first, and
 *            every C function carries them as upvalues (TKSP_UP_*).
 * Rules:     C never calls Lua: arguments are read without metamethods, and nothing yields. Whenever
 *            Lua allocates it may longjmp out, and it may run finalizers, which are Lua code. Hence:
 *            what must be freed lives in a userdata that got its metatable first, and no pointer
 *            into a table of the caller's is kept while Lua allocates.
 * Threads:   as the Lua state. */
#ifndef TKSP_LUA_SHARED_H
#define TKSP_LUA_SHARED_H

#include "lua_compat.h"
#include "tokenstore/op.h"

/* The upvalues of every function of all modules. */
enum {
    TKSP_UP_OP = 1,  /* metatable of tksp_lua_op */
    TKSP_UP_SPARE,   /* an operation for whoever comes first: most programs need no second one */
    TKSP_UP_STORE,   /* metatable of tksp_lua_store */
    TKSP_UP_SCRATCH, /* metatable of tksp_lua_scratch */
    TKSP_UP_CLIENT,  /* metatable of the blocking module's client */
    TKSP_UP_NULL,    /* tokenstore.null */
    TKSP_UP_ARRAY,   /* metatable of arrays */
    TKSP_UP_BIG,     /* metatable of integers that this Lua has not */
    TKSP_UP_TOKEN,   /* metatable of Token values */
    TKSP_UP_SESSION, /* metatable of Session values */
    TKSP_UP_REPLY_ERROR,    /* metatable of an error reply among other replies */
    TKSP_UP_SPIKE,          /* metatable of what is behind a Spike, made by tokenstore.oauth */
    TKSP_UP_CREATOR,        /* metatable of get_token_creator's options while they are read */
    TKSP_UP_TARGET,         /* metatable of tksp_lua_target */
    TKSP_UP_RUN,            /* metatable of lua_run.c's runs */
    TKSP_UP_SESSION_EVENTS, /* metatable of what is behind SessionEvents */
    TKSP_UP_FLIGHT,         /* metatable of the blocking module's runs that ask for credentials */
    TKSP_UP_REMOTE_KEYS, /* metatable of what is behind KeySet.from_url, made by tokenstore.oauth */
    TKSP_UP_COUNT = TKSP_UP_REMOTE_KEYS
};

/* How the result of an operation is given to Lua. */
typedef enum tksp_lua_form {
    TKSP_FORM_TOKEN,   /* tokens as Token tables */
    TKSP_FORM_SESSION, /* tokens as Session tables */
    TKSP_FORM_REPLY,   /* the one reply of execute */
    TKSP_FORM_REPLIES, /* the list of pipeline; an error among them is a failure */
    TKSP_FORM_REPLIES_AND_ERRORS
} tksp_lua_form;

typedef struct tksp_lua_op {
    bool in_use;     /* from tksp_lua_op_new to tksp_lua_op_clear */
    tks_op *op;      /* NULL: not made yet, or run already */
    tks_buf scratch; /* texts, while the operation is being made */
    tksp_lua_form form;
    int64_t timeout_ms; /* 0: the client's */
} tksp_lua_op;

/* What a function needs for itself and must not lose to a longjmp. */
typedef struct tksp_lua_scratch {
    tks_buf text;
    tks_json *tree;
} tksp_lua_scratch;

/* Pushes the upvalues, TKSP_UP_COUNT of them, for lua_pushcclosure. */
void tksp_lua_push_shared(lua_State *L);

/* Pushes one of them. */
void tksp_lua_push_one(lua_State *L, int up);

/* Makes `gc`, with these upvalues, the finalizer of userdata of kind `up`. */
void tksp_lua_set_gc(lua_State *L, int up, lua_CFunction gc);

/* Adds functions with these upvalues to the table on top. */
void tksp_lua_set_functions(lua_State *L, const luaL_Reg *functions);

/* The userdata at `arg` when its metatable is upvalue `up`; raises for anything else. */
void *tksp_lua_check(lua_State *L, int arg, int up);

/* Gives the userdata on top the metatable that is upvalue `up`. */
void tksp_lua_set_kind(lua_State *L, int up);

/* Pushes an empty operation: the spare one if it is free, for a finalizer less to run. What ends by a
 * longjmp before tksp_lua_op_clear keeps the spare to itself until the state closes; nothing is lost. */
tksp_lua_op *tksp_lua_op_new(lua_State *L, tksp_lua_form form);

/* Pushes an empty scratch; clear it as soon as it is not needed. */
tksp_lua_scratch *tksp_lua_scratch_new(lua_State *L);
void tksp_lua_scratch_clear(tksp_lua_scratch *scratch);

/* What a function returns that made an operation, which is on top: that, or its failure. */
int tksp_lua_op_finish(lua_State *L, tksp_lua_op *box, tks_status status, const tks_error *err);

/* Frees what it holds; it stays a valid, empty userdata. */
void tksp_lua_op_clear(tksp_lua_op *box);

/* What a method returns for a failure: nil, message, code. */
int tksp_lua_fail(lua_State *L, tks_status status, const tks_error *err);

/* Raises an error that points at the caller of the Lua method that called C. `format` as of
 * lua_pushfstring. Never returns. */
int tksp_lua_raise(lua_State *L, const char *format, ...);

/* The length of the table at `index`, which must be a list: raises where it has names or holes, for what
 * is not among the items would be passed over. `name` is what messages put behind "bad argument". */
size_t tksp_lua_list_size(lua_State *L, int index, const char *name);

#endif
