/* lua_run.c - operations for drivers written in Lua, which own the sockets and do the waiting.
 *
 * Purpose:   a run takes ownership of an operation, returns what it needs, and parses the replies in the
 *            bytes that it is fed. The operation decides about retries and lost connections, as in all
 *            drivers.
 *
 *                 run_start ─► "send", bytes, patience, once[, node] ─► [run_give, run_greet, run_feed … run_greeted]
 *                                   run_answer until it returns the next need ─► …
 *                                   … or run_lost, run_deadline ─► …
 *                           ─► "sleep", seconds ─► run_awake or run_deadline ─► …
 *                           ─► "parts", operations, to be run all at once ─► run_joined ─► …
 *                           ─► "done" or "noted", the results of the method
 *                           ─► "failed" ─► run_error
 *            run_notes returns log lines.
 *
 *            A `get` in nginx is run_start and run_answer: each call of C is expensive for Lua.
 * Lifecycle: a run serves any number of operations in sequence. If its coroutine is killed, the garbage
 *            collector frees it.
 * Rules:     as lua_shared.h: C never calls Lua, and nothing yields. */
#define _POSIX_C_SOURCE 200809L

#include "lua_run.h"

#include <stdlib.h>
#include <string.h>

#include "lua_args.h"
#include "lua_audit.h"
#include "lua_clock.h"
#include "lua_convert.h"
#include "lua_credentials.h"
#include "lua_target.h"
#include "tokenstore/connecting.h"
#include "tokenstore/greeting.h"

enum { REPLIES_INLINE = 4, NOTES_MAX = 16 * 1024 };

typedef struct lua_run {
    tksp_lua_op op; /* owned; op.op is NULL between two operations */
    tks_need need;
    int64_t now_ms;       /* a clock that stands; 0: the machine's */
    tksp_lua_facts facts; /* the target's */
    size_t max_reply;
    tks_reader *reader;
    tks_greeting greeting;
    tks_credentials credentials; /* for the next connection; without a password: not given */
    tks_reply *few[REPLIES_INLINE];
    tks_reply **replies; /* `few`, or more on the heap */
    size_t due, got;
    tks_notes notes; /* of an operation that is done */
} lua_run;

/* ---- life ------------------------------------------------------------------------------------- */

static void forget_replies(lua_run *run) {
    for (size_t i = 0; i < run->got; i++) {
        tks_reply_free(run->replies[i]);
    }
    if (run->replies != run->few) {
        free(run->replies);
    }
    run->replies = run->few;
    run->due = 0;
    run->got = 0;
}

static void clear(lua_run *run) {
    forget_replies(run);
    tks_greeting_clear(&run->greeting);
    tks_credentials_clear(&run->credentials);
    tksp_lua_op_clear(&run->op);
    run->need = TKS_DONE;
}

static int run_gc(lua_State *L) {
    lua_run *run = tksp_lua_check(L, 1, TKSP_UP_RUN);
    clear(run);
    tks_notes_clear(&run->notes);
    tks_reader_free(run->reader);
    run->reader = NULL;
    tksp_lua_facts_clear(&run->facts);
    return 0;
}

/* run(target, now or nil): with `now`, in ms since 1970, the operations see a fixed time. */
static int run_new(lua_State *L) {
    const tksp_lua_target *target = tksp_lua_check(L, 1, TKSP_UP_TARGET);
    lua_Number now = luaL_optnumber(L, 2, 0);
    lua_run *run = NULL;
    luaL_argcheck(L, target->target != NULL, 1, "an initialized target expected");
    run = lua_newuserdata(L, sizeof *run);
    memset(run, 0, sizeof *run);
    run->replies = run->few;
    run->need = TKS_DONE;
    run->now_ms = (int64_t)now;
    run->max_reply = target->target->max_reply_size;
    tksp_lua_facts_hold(&run->facts, target);
    tks_buf_init(&run->op.scratch, 0);
    tks_buf_init(&run->greeting.out, 0);
    tks_notes_init(&run->notes, NOTES_MAX);
    tksp_lua_set_kind(L, TKSP_UP_RUN);
    return 1;
}

/* The run at index 1, whose operation must need `need`. */
static lua_run *check(lua_State *L, tks_need need) {
    lua_run *run = tksp_lua_check(L, 1, TKSP_UP_RUN);
    if (run->op.op == NULL || run->need != need) {
        luaL_error(L, "this run is in another state");
    }
    return run;
}

/* ---- stepping --------------------------------------------------------------------------------- */

/* Prepares an empty reader for `due` replies. */
static void expect(lua_State *L, lua_run *run, size_t due) {
    tks_error err = TKS_ERROR_INIT;
    forget_replies(run);
    if (run->reader != NULL && !tks_reader_is_idle(run->reader)) {
        tks_reader_free(run->reader);
        run->reader = NULL;
    }
    if (run->reader == NULL && tks_reader_new(run->max_reply, &run->reader, &err) != TKS_OK) {
        luaL_error(L, "not enough memory");
    }
    if (due > REPLIES_INLINE) {
        tks_reply **replies = calloc(due, sizeof *replies);
        if (replies == NULL) {
            luaL_error(L, "not enough memory");
        }
        run->replies = replies;
    }
    run->due = due;
}

/* Pushes the batch to send; the replies to it are fed next. */
static int push_batch(lua_State *L, lua_run *run) {
    const tks_batch *batch = tks_op_get_batch(run->op.op);
    expect(L, run, batch->replies);
    lua_pushliteral(L, "send");
    lua_pushlstring(L, batch->bytes.data, batch->bytes.size);
    lua_pushnumber(L, batch->patience_ms / 1e3);
    lua_pushboolean(L, batch->safety == TKS_ONCE);
    if (batch->node < 0) {
        return 4;
    }
    lua_pushnumber(L, batch->node);
    return 5;
}

/* Pushes the results of the method; the run is free for the next operation. */
static int push_result(lua_State *L, lua_run *run) {
    int results = tksp_lua_push_result(L, &run->op);
    if (!tks_notes_is_empty(tks_op_get_notes(run->op.op))) {
        tks_notes_move(tks_op_get_notes(run->op.op), &run->notes);
    }
    tksp_lua_tell(L, run->op.op);
    clear(run);
    if (tks_notes_is_empty(&run->notes)) {
        lua_pushliteral(L, "done");
    } else {
        lua_pushliteral(L, "noted");
    }
    lua_insert(L, -1 - results);
    return 1 + results;
}

/* Pushes the parts of the operation, to be run all at once. The run must outlive them. */
static int push_parts(lua_State *L, lua_run *run) {
    tks_op **parts = NULL;
    size_t count = tks_op_get_parts(run->op.op, &parts);
    lua_pushliteral(L, "parts");
    lua_createtable(L, (int)count, 0);
    for (size_t i = 0; i < count; i++) {
        tksp_lua_op *box = tksp_lua_op_new(L, TKSP_FORM_TOKEN);
        box->op = parts[i];
        box->borrowed = true;
        lua_rawseti(L, -2, (int)i + 1);
    }
    return 2;
}

/* Pushes what the operation needs now: a word and its details. */
static int push_need(lua_State *L, lua_run *run) {
    switch (run->need) {
    case TKS_NEED_SEND: return push_batch(L, run);
    case TKS_NEED_SLEEP:
        lua_pushliteral(L, "sleep");
        lua_pushnumber(L, tks_op_get_sleep(run->op.op) / 1e3);
        return 2;
    case TKS_NEED_PARTS: return push_parts(L, run);
    case TKS_DONE: return push_result(L, run);
    case TKS_FAILED: lua_pushliteral(L, "failed"); return 1;
    case TKS_NEED_HTTP: break;
    }
    return luaL_error(L, "this driver cannot run this operation");
}

static void advance(lua_run *run, tks_event *event) {
    event->now_ms =
        run->now_ms != 0 ? run->now_ms : (int64_t)(tksp_lua_clock(CLOCK_REALTIME) * 1e3);
    bool reads = tks_op_reads_boot(run->op.op);
    event->boot_ms = reads ? (int64_t)(tksp_lua_clock(CLOCK_BOOTTIME) * 1e3) : 0;
    run->need = tks_op_step(run->op.op, event);
}

static int step(lua_State *L, lua_run *run, tks_event *event) {
    advance(run, event);
    return push_need(L, run);
}

/* Pushes a number below the `results` values on top. */
static void push_before(lua_State *L, int results, lua_Number number) {
    lua_pushnumber(L, number);
    lua_insert(L, -1 - results);
}

/* run_start(run, operation): returns the current clock(), the operation's timeout in seconds (0: the
 * client's), and what it needs. The operation is empty afterwards. */
static int run_start(lua_State *L) {
    lua_run *run = tksp_lua_check(L, 1, TKSP_UP_RUN);
    tksp_lua_op *op = tksp_lua_check(L, 2, TKSP_UP_OP);
    tks_event event = {.type = TKS_EVENT_START};
    int results = 0;
    if (op->op == NULL) {
        return luaL_error(L, "this operation has already been run");
    }
    clear(run);
    run->op = *op;
    op->op = NULL;
    op->borrowed = false;
    tks_buf_init(&op->scratch, SIZE_MAX);
    tksp_lua_op_clear(op);
    tksp_lua_facts_give(&run->facts, run->op.op);
    results = step(L, run, &event);
    push_before(L, results, tksp_lua_clock(CLOCK_MONOTONIC));
    push_before(L, results, (lua_Number)run->op.timeout_ms / 1e3);
    return 2 + results;
}

static int run_awake(lua_State *L) {
    lua_run *run = check(L, TKS_NEED_SLEEP);
    tks_event event = {.type = TKS_EVENT_AWAKE};
    return step(L, run, &event);
}

/* run_joined(run): all parts have ended. */
static int run_joined(lua_State *L) {
    tks_event event = {.type = TKS_EVENT_PARTS};
    return step(L, check(L, TKS_NEED_PARTS), &event);
}

/* The status with the name `code` in Lua. */
static tks_status to_status(const char *code) {
    for (int status = 0; status < TKS_STATUS_COUNT; status++) {
        if (strcmp(tks_status_code((tks_status)status), code) == 0) {
            return (tks_status)status;
        }
    }
    return TKS_ERR_CONNECTION;
}

/* run_lost(run, sent, final, message, code) */
static int run_lost(lua_State *L) {
    lua_run *run = check(L, TKS_NEED_SEND);
    tks_error why = TKS_ERROR_INIT;
    tks_event event = {.type = TKS_EVENT_LOST, .why = &why};
    event.sent = lua_toboolean(L, 2) != 0;
    event.final = lua_toboolean(L, 3) != 0;
    tks_fail(&why, to_status(luaL_checkstring(L, 5)), "%s", luaL_checkstring(L, 4));
    forget_replies(run);
    return step(L, run, &event);
}

/* run_deadline(run, sent, message or nil) */
static int run_deadline(lua_State *L) {
    lua_run *run = tksp_lua_check(L, 1, TKSP_UP_RUN);
    const char *message = luaL_optstring(L, 3, NULL);
    tks_error why = TKS_ERROR_INIT;
    tks_event event = {.type = TKS_EVENT_DEADLINE};
    if (run->need != TKS_NEED_SLEEP) {
        run = check(L, TKS_NEED_SEND);
    }
    event.sent = lua_toboolean(L, 2) != 0;
    if (run->need == TKS_NEED_SEND && event.sent && run->reader != NULL &&
        tks_reader_check(run->reader, &why) != TKS_OK) {
        event.type = TKS_EVENT_LOST; /* a reply is arriving, and is too large */
        event.why = &why;
    } else if (message != NULL) {
        tks_fail(&why, TKS_ERR_TIMEOUT, "%s", message);
        event.why = &why;
    }
    forget_replies(run);
    return step(L, run, &event);
}

/* run_notes(run): after "noted", or between "failed" and run_error, log lines: a letter for the level, i or
 * w, the text, a newline. */
static int run_notes(lua_State *L) {
    lua_run *run = tksp_lua_check(L, 1, TKSP_UP_RUN);
    tksp_lua_scratch *scratch = tksp_lua_scratch_new(L);
    if (run->op.op != NULL) {
        tks_notes_move(tks_op_get_notes(run->op.op), &run->notes);
    }
    if (tks_notes_take(&run->notes, &scratch->text) != TKS_OK) {
        return luaL_error(L, "not enough memory");
    }
    lua_pushlstring(L, scratch->text.data, scratch->text.size);
    tksp_lua_scratch_clear(scratch);
    return 1;
}

/* run_error(run): the results of the method after "failed". */
static int run_error(lua_State *L) {
    lua_run *run = check(L, TKS_FAILED);
    tks_error err = *tks_op_get_error(run->op.op);
    int results = tksp_lua_fail(L, err.status, &err) + tksp_lua_push_detail(L, &run->op);
    tksp_lua_tell(L, run->op.op);
    clear(run);
    return results;
}

/* ---- bytes ------------------------------------------------------------------------------------ */

/* run_give(run, user, password): the results of `credentials`, for the next connection. True, or nil,
 * message, code. */
static int run_give(lua_State *L) {
    lua_run *run = check(L, TKS_NEED_SEND);
    tks_error err = TKS_ERROR_INIT;
    tks_status status = TKS_OK;
    lua_settop(L, 3);
    tks_credentials_clear(&run->credentials);
    status = tksp_lua_read_credentials(L, 2, &run->credentials, &err);
    if (status != TKS_OK) {
        return tksp_lua_fail(L, status, &err);
    }
    lua_pushboolean(L, 1);
    return 1;
}

static tks_credentials *given(lua_run *run) {
    return run->credentials.password != NULL ? &run->credentials : NULL;
}

/* run_greet(run, target): the bytes to send on a new connection; the replies to them are fed next. False if
 * run_give must be called first. */
static int run_greet(lua_State *L) {
    lua_run *run = check(L, TKS_NEED_SEND);
    const tksp_lua_target *target = tksp_lua_check(L, 2, TKSP_UP_TARGET);
    tks_error err = TKS_ERROR_INIT;
    tks_greeting_clear(&run->greeting);
    if (target->target->asks && given(run) == NULL) {
        lua_pushboolean(L, 0);
        return 1;
    }
    if (tks_greeting_init(&run->greeting, target->target, given(run), &err) != TKS_OK) {
        return luaL_error(L, "%s", err.message);
    }
    expect(L, run, run->greeting.count);
    lua_pushlstring(L, run->greeting.out.data, run->greeting.out.size);
    return 1;
}

/* run_greeted(run, target): true if the replies so far, complete or not, allow to go on; else nil, message,
 * code, final, and whether the given credentials were refused. The replies to the batch are fed next. */
static int run_greeted(lua_State *L) {
    lua_run *run = check(L, TKS_NEED_SEND);
    const tksp_lua_target *target = tksp_lua_check(L, 2, TKSP_UP_TARGET);
    tks_error err = TKS_ERROR_INIT;
    bool final = false, refused = false;
    tks_status status = tks_greeting_judge(&run->greeting, target->target, given(run), run->replies,
                                           run->got, &final, &err);
    tks_greeting_clear(&run->greeting);
    refused = run->credentials.refused;
    if (status == TKS_OK || refused) {
        tks_credentials_clear(&run->credentials); /* used for one connection only */
    }
    expect(L, run, tks_op_get_batch(run->op.op)->replies);
    if (status == TKS_OK) {
        lua_pushboolean(L, 1);
        return 1;
    }
    tksp_lua_fail(L, status, &err);
    lua_pushboolean(L, final);
    lua_pushboolean(L, refused);
    return 5;
}

/* Reads `bytes`. TKS_OK: exactly the expected replies have arrived, or (*whole is false) not all of them yet.
 * Anything else: the connection is unusable. */
static tks_status read_replies(lua_run *run, tks_bytes bytes, bool *whole, tks_error *err) {
    tks_status status = TKS_ERR_CONNECTION;
    *whole = false;
    if (run->reader != NULL) {
        status = tks_reader_feed(run->reader, bytes.data, bytes.size, err);
    }
    while (status == TKS_OK && run->got < run->due) {
        status = tks_reader_next(run->reader, &run->replies[run->got], err);
        if (status == TKS_OK && run->replies[run->got] == NULL) {
            return TKS_OK;
        }
        run->got += status == TKS_OK ? 1 : 0;
    }
    if (status == TKS_OK && !tks_reader_is_idle(run->reader)) {
        /* One of the replies belongs to another request, perhaps to an earlier one. */
        status = tks_fail(err, TKS_ERR_CONNECTION, "received more replies than requested");
    }
    *whole = status == TKS_OK;
    return status;
}

/* feed(run, bytes): true if the expected replies have arrived. Otherwise pushes the results: false if more
 * bytes are needed; nil, message, code if the connection is unusable. */
static bool feed(lua_State *L, lua_run *run, int *results) {
    tks_error err;
    bool whole = false;
    tks_status status = TKS_OK;
    tks_error_init(&err);
    luaL_checktype(L, 2, LUA_TSTRING);
    status = read_replies(run, tksp_lua_to_bytes(L, 2), &whole, &err);
    if (status != TKS_OK) {
        *results = tksp_lua_fail(L, status, &err);
        return false;
    }
    *results = 1;
    if (!whole) {
        lua_pushboolean(L, 0);
    }
    return whole;
}

/* run_feed(run, bytes): true, or the results of feed(). */
static int run_feed(lua_State *L) {
    lua_run *run = check(L, TKS_NEED_SEND);
    int results = 1;
    if (feed(L, run, &results)) {
        lua_pushboolean(L, 1);
    }
    return results;
}

static void push_trust(lua_State *L, tks_trust trust) {
    switch (trust) {
    case TKS_TRUST_KEEP: lua_pushboolean(L, 1); return;
    case TKS_TRUST_CLOSE: lua_pushliteral(L, "close"); return;
    case TKS_TRUST_LEAVE: lua_pushliteral(L, "leave"); return;
    }
}

/* run_answer(run, bytes): as run_feed, and passes the replies to the operation. Instead of true, returns what
 * to do with the connection: true, keep it; "close", close it; "leave", close it and all others open now.
 * Then what the operation needs. */
static int run_answer(lua_State *L) {
    lua_run *run = check(L, TKS_NEED_SEND);
    tks_event event = {.type = TKS_EVENT_REPLIES, .replies = run->replies};
    tks_trust trust = TKS_TRUST_KEEP;
    int results = 0;
    if (!feed(L, run, &results)) {
        return results;
    }
    advance(run, &event);
    forget_replies(run);
    trust = tks_op_get_trust(run->op.op);
    results = push_need(L, run);
    push_trust(L, trust);
    lua_insert(L, -1 - results);
    return 1 + results;
}

void tksp_lua_open_run(lua_State *L) {
    static const luaL_Reg functions[] = {
        {"run", run_new},
        {"run_start", run_start},
        {"run_awake", run_awake},
        {"run_joined", run_joined},
        {"run_lost", run_lost},
        {"run_deadline", run_deadline},
        {"run_error", run_error},
        {"run_notes", run_notes},
        {"run_give", run_give},
        {"run_greet", run_greet},
        {"run_greeted", run_greeted},
        {"run_feed", run_feed},
        {"run_answer", run_answer},
        {NULL, NULL},
    };
    tksp_lua_set_gc(L, TKSP_UP_RUN, run_gc);
    tksp_lua_set_functions(L, functions);
    lua_pushnumber(L, TKS_SILENCE_DIVISOR);
    lua_setfield(L, -2, "silence_divisor");
    lua_pushnumber(L, TKS_PROBE_AFTER_MS / 1e3);
    lua_setfield(L, -2, "probe_after");
    lua_pushnumber(L, TKS_RENEW_EVERY_MS / 1e3);
    lua_setfield(L, -2, "renew_every");
}
