/* lua_shared.h - shared by tokenstore.core, tokenstore.blocking and tokenstore.oauth.
 *
 * Purpose:   each module is a shared object with a copy of the C core, from one build. They work together in
 *            one Lua state: an operation created by one is run by another. So the metatables and sentinels
 *            are in that state's registry, created by the module that is loaded first, and every C function
 *            has them as upvalues (TKSP_UP_*).
 * Rules:     C never calls Lua: arguments are read without metamethods, and nothing yields. Any allocation in
 *            Lua may longjmp, or run finalizers, which are Lua code. Hence: memory that must be freed is
 *            owned by a userdata that already has its metatable, and no pointer into a caller's table is kept
 *            while Lua allocates.
 * Threads:   those of the Lua state. */
#ifndef TKSP_LUA_SHARED_H
#define TKSP_LUA_SHARED_H

#include "lua_compat.h"
#include "tokenstore/near.h"
#include "tokenstore/op.h"

/* The upvalues of every function of all modules. */
enum {
    TKSP_UP_OP = 1,         /* metatable of tksp_lua_op */
    TKSP_UP_SPARE,          /* a spare operation: most programs need only one at a time */
    TKSP_UP_STORE,          /* metatable of tksp_lua_store */
    TKSP_UP_SCRATCH,        /* metatable of tksp_lua_scratch */
    TKSP_UP_CLIENT,         /* metatable of the blocking module's client */
    TKSP_UP_NULL,           /* tokenstore.null */
    TKSP_UP_UNSET,          /* tokenstore.unset */
    TKSP_UP_ARRAY,          /* metatable of arrays */
    TKSP_UP_BIG,            /* metatable of integers that this Lua cannot represent */
    TKSP_UP_TOKEN,          /* metatable of Token values */
    TKSP_UP_SESSION,        /* metatable of Session values */
    TKSP_UP_REPLY_ERROR,    /* metatable of an error reply among other replies */
    TKSP_UP_SPIKE,          /* metatable of a Spike's userdata, created by tokenstore.oauth */
    TKSP_UP_CREATOR,        /* metatable of get_token_creator's options while they are read */
    TKSP_UP_TARGET,         /* metatable of tksp_lua_target */
    TKSP_UP_RUN,            /* metatable of lua_run.c's runs */
    TKSP_UP_SESSION_EVENTS, /* metatable of the userdata of SessionEvents */
    TKSP_UP_FLIGHT,      /* metatable of the blocking module's runs with a credentials function */
    TKSP_UP_REMOTE_KEYS, /* metatable of the userdata of KeySet.from_url, created by tokenstore.oauth */
    TKSP_UP_NEAR_LINK, /* metatable of lua_near.c's links */
    TKSP_UP_VIEWS,     /* the views by their numbers: lua_view.h */
    TKSP_UP_COUNT = TKSP_UP_VIEWS
};

/* The form of an operation's result in Lua. */
typedef enum tksp_lua_form {
    TKSP_FORM_TOKEN,   /* tokens as Token tables */
    TKSP_FORM_SESSION, /* tokens as Session tables */
    TKSP_FORM_REPLY,   /* the reply of execute */
    TKSP_FORM_REPLIES, /* the list of pipeline; an error among them is a failure */
    TKSP_FORM_REPLIES_AND_ERRORS
} tksp_lua_form;

typedef struct tksp_lua_op {
    bool in_use;     /* from tksp_lua_op_new to tksp_lua_op_clear */
    tks_op *op;      /* NULL: not created yet, or already run */
    bool borrowed;   /* `op` is a part of another operation, which frees it */
    tks_buf scratch; /* texts during creation */
    tksp_lua_form form;
    int64_t timeout_ms; /* 0: the client's */
    bool asks;          /* `question` is what it asks: see lua_view.h */
    tks_near_question question;
} tksp_lua_op;

/* Temporary memory that must be freed after a longjmp. */
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

/* Sets a field of the table on top to the address of a function, for LuaJIT's FFI. `function` points to the pointer to it, of this size. */
void tksp_lua_set_address(lua_State *L, const char *field, const void *function, size_t size);

/* The userdata at `arg` if its metatable is upvalue `up`; raises otherwise. */
void *tksp_lua_check(lua_State *L, int arg, int up);

/* Sets the metatable of the userdata on top to upvalue `up`. */
void tksp_lua_set_kind(lua_State *L, int up);

/* Pushes an empty operation: the spare one if it is free, which saves a finalizer. A longjmp before
 * tksp_lua_op_clear leaves the spare in use until the state closes; nothing leaks. */
tksp_lua_op *tksp_lua_op_new(lua_State *L, tksp_lua_form form);

/* Pushes an empty scratch; clear it as soon as possible. */
tksp_lua_scratch *tksp_lua_scratch_new(lua_State *L);
void tksp_lua_scratch_clear(tksp_lua_scratch *scratch);

/* Returns the new operation on top, or the failure. */
int tksp_lua_op_finish(lua_State *L, tksp_lua_op *box, tks_status status, const tks_error *err);

/* Frees its contents; it remains a valid, empty userdata. */
void tksp_lua_op_clear(tksp_lua_op *box);

/* Returns a method's failure: nil, message, code. */
int tksp_lua_fail(lua_State *L, tks_status status, const tks_error *err);

/* Raises an error that points at the caller of the Lua method that called C. `format` as for lua_pushfstring.
 * Never returns. */
int tksp_lua_raise(lua_State *L, const char *format, ...);

/* The length of the table at `index`, which must be a list: raises if it has names or holes, which would
 * otherwise be ignored. `name` follows "bad argument" in messages. */
size_t tksp_lua_list_size(lua_State *L, int index, const char *name);

#endif
