/* run.c - operations for drivers that are written in Lua, which own the sockets and the waiting.
 *
 * Purpose:   a run takes an operation over, says what it needs, and reads the replies out of the bytes
 *            that it is fed. Retries and what a lost connection means are the operation's, as ever.
 *
 *                 run_start ─► "send", patience, reconnect ─► [run_greet … run_greeted]
 *                                   run_batch, run_feed until true ─► run_replies ─► …
 *                                   … or run_lost, run_deadline ─► …
 *                           ─► "sleep", seconds ─► run_awake or run_deadline ─► …
 *                           ─► "done" or "failed" ─► run_finish
 *
 * Lifecycle: a run serves any number of operations, one after the other. A coroutine that is killed in
 *            between leaves it to the collector.
 * Rules:     as shared.h: C never calls Lua, and nothing yields. */
#define _POSIX_C_SOURCE 200809L

#include "run.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "convert.h"
#include "target.h"
#include "tokenstore/greeting.h"
#include "tokenstore/secret.h"

enum { REPLIES_INLINE = 4 };

typedef struct lua_run {
    tksp_lua_op op; /* taken over; op.op is NULL between two operations */
    tks_need need;
    int64_t now_ms; /* a clock that stands; 0: the machine's */
    size_t max_reply;
    tks_reader *reader;
    tks_greeting greeting;
    tks_reply *few[REPLIES_INLINE];
    tks_reply **replies; /* `few`, or more on the heap */
    size_t due, got;
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
    tksp_lua_op_clear(&run->op);
    run->need = TKS_DONE;
}

static int run_gc(lua_State *L) {
    lua_run *run = tksp_lua_check(L, 1, TKSP_UP_RUN);
    clear(run);
    tks_reader_free(run->reader);
    run->reader = NULL;
    return 0;
}

/* run(target, now or nil): where `now` is given, in ms since 1970, time stands still for the operations. */
static int run_new(lua_State *L) {
    const tksp_lua_target *target = tksp_lua_check(L, 1, TKSP_UP_TARGET);
    lua_Number now = luaL_optnumber(L, 2, 0);
    lua_run *run = NULL;
    luaL_argcheck(L, target->target != NULL, 1, "a whole target expected");
    run = lua_newuserdata(L, sizeof *run);
    memset(run, 0, sizeof *run);
    run->replies = run->few;
    run->need = TKS_DONE;
    run->now_ms = (int64_t)now;
    run->max_reply = target->target->max_reply_size;
    tks_buf_init(&run->op.scratch, 0);
    tks_buf_init(&run->greeting.out, 0);
    tksp_lua_set_kind(L, TKSP_UP_RUN);
    return 1;
}

/* The run at index 1, which must have an operation that needs `need`. */
static lua_run *check(lua_State *L, tks_need need) {
    lua_run *run = tksp_lua_check(L, 1, TKSP_UP_RUN);
    if (run->op.op == NULL || run->need != need) {
        luaL_error(L, "this run does not need that now");
    }
    return run;
}

/* ---- stepping --------------------------------------------------------------------------------- */

static double clock_now(clockid_t clock) {
    struct timespec now;
    (void)clock_gettime(clock, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* What the operation needs now, as a word and its details. */
static int push_need(lua_State *L, const lua_run *run) {
    switch (run->need) {
    case TKS_NEED_SEND:
        lua_pushliteral(L, "send");
        lua_pushnumber(L, tks_op_get_batch(run->op.op)->patience_ms / 1e3);
        lua_pushboolean(L, tks_op_get_batch(run->op.op)->reconnect);
        return 3;
    case TKS_NEED_SLEEP:
        lua_pushliteral(L, "sleep");
        lua_pushnumber(L, tks_op_get_sleep(run->op.op) / 1e3);
        return 2;
    case TKS_DONE: lua_pushliteral(L, "done"); return 1;
    case TKS_FAILED:
        lua_pushliteral(L, "failed");
        lua_pushboolean(L, tks_op_get_error(run->op.op)->status == TKS_ERR_SERVER);
        return 2;
    case TKS_NEED_HTTP: break;
    }
    return luaL_error(L, "an operation that this driver cannot run");
}

static void advance(lua_run *run, tks_event *event) {
    event->now_ms = run->now_ms != 0 ? run->now_ms : (int64_t)(clock_now(CLOCK_REALTIME) * 1e3);
    run->need = tks_op_step(run->op.op, event);
}

static int step(lua_State *L, lua_run *run, tks_event *event) {
    advance(run, event);
    return push_need(L, run);
}

/* run_start(run, operation): its timeout in seconds, 0 for the client's; then what it needs. The
 * operation is empty afterwards. */
static int run_start(lua_State *L) {
    lua_run *run = tksp_lua_check(L, 1, TKSP_UP_RUN);
    tksp_lua_op *op = tksp_lua_check(L, 2, TKSP_UP_OP);
    tks_event event = {.type = TKS_EVENT_START};
    if (op->op == NULL) {
        return luaL_error(L, "this operation was run before");
    }
    clear(run);
    run->op = *op;
    op->op = NULL;
    tks_buf_init(&op->scratch, SIZE_MAX);
    tksp_lua_op_clear(op);
    lua_pushnumber(L, (lua_Number)run->op.timeout_ms / 1e3);
    return 1 + step(L, run, &event);
}

static int run_awake(lua_State *L) {
    lua_run *run = check(L, TKS_NEED_SLEEP);
    tks_event event = {.type = TKS_EVENT_AWAKE};
    return step(L, run, &event);
}

/* The status that Lua calls `code`. */
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
    if (message != NULL) {
        tks_fail(&why, TKS_ERR_TIMEOUT, "%s", message);
        event.why = &why;
    }
    forget_replies(run);
    return step(L, run, &event);
}

/* run_finish(run): what the method gives. */
static int run_finish(lua_State *L) {
    lua_run *run = tksp_lua_check(L, 1, TKSP_UP_RUN);
    tks_error err = TKS_ERROR_INIT;
    if (run->op.op != NULL && run->need == TKS_DONE) {
        int results = tksp_lua_push_result(L, &run->op);
        clear(run);
        return results;
    }
    run = check(L, TKS_FAILED);
    err = *tks_op_get_error(run->op.op);
    clear(run);
    return tksp_lua_fail(L, err.status, &err);
}

/* ---- bytes ------------------------------------------------------------------------------------ */

/* From now on `due` replies are read, by a reader with nothing left in it. */
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
        tks_reply **replies = calloc(due, sizeof(*replies));
        if (replies == NULL) {
            luaL_error(L, "not enough memory");
        }
        run->replies = replies;
    }
    run->due = due;
}

/* run_batch(run): the bytes to send. What is fed next are their replies. */
static int run_batch(lua_State *L) {
    lua_run *run = check(L, TKS_NEED_SEND);
    const tks_batch *batch = tks_op_get_batch(run->op.op);
    expect(L, run, batch->replies);
    lua_pushlstring(L, batch->bytes.data, batch->bytes.size);
    return 1;
}

/* run_greet(run, target): what is to be said on a new connection; nil when nothing is. What is fed next
 * are the replies to it. */
static int run_greet(lua_State *L) {
    lua_run *run = check(L, TKS_NEED_SEND);
    const tksp_lua_target *target = tksp_lua_check(L, 2, TKSP_UP_TARGET);
    tks_error err = TKS_ERROR_INIT;
    tks_greeting_clear(&run->greeting);
    if (tks_greeting_init(&run->greeting, target->target, &err) != TKS_OK) {
        return luaL_error(L, "%s", err.message);
    }
    if (run->greeting.count == 0) {
        lua_pushnil(L);
        return 1;
    }
    expect(L, run, run->greeting.count);
    lua_pushlstring(L, run->greeting.out.data, run->greeting.out.size);
    return 1;
}

/* run_greeted(run, target): true when the replies that came, all or not, say nothing against going on;
 * else nil, message, code, final. */
static int run_greeted(lua_State *L) {
    lua_run *run = check(L, TKS_NEED_SEND);
    const tksp_lua_target *target = tksp_lua_check(L, 2, TKSP_UP_TARGET);
    tks_error err = TKS_ERROR_INIT;
    bool final = false;
    tks_status status =
        tks_greeting_judge(&run->greeting, target->target, run->replies, run->got, &final, &err);
    tks_greeting_clear(&run->greeting);
    if (status == TKS_OK) {
        lua_pushboolean(L, 1);
        return 1;
    }
    tksp_lua_fail(L, status, &err);
    lua_pushboolean(L, final);
    return 4;
}

/* run_feed(run, bytes): true when exactly the replies that are due have come; false when more bytes are
 * needed; nil, message, code when the connection cannot be used any more. */
static int run_feed(lua_State *L) {
    lua_run *run = check(L, TKS_NEED_SEND);
    size_t size = 0;
    const char *bytes = luaL_checklstring(L, 2, &size);
    tks_error err = TKS_ERROR_INIT;
    tks_status status = TKS_ERR_CONNECTION;
    if (run->reader != NULL) {
        status = tks_reader_feed(run->reader, bytes, size, &err);
    }
    while (status == TKS_OK && run->got < run->due) {
        status = tks_reader_next(run->reader, &run->replies[run->got], &err);
        if (status == TKS_OK && run->replies[run->got] == NULL) {
            lua_pushboolean(L, 0);
            return 1;
        }
        run->got += status == TKS_OK ? 1 : 0;
    }
    if (status == TKS_OK && !tks_reader_is_idle(run->reader)) {
        /* One of the answers belongs to something else, perhaps to a request before this one. */
        status = tks_fail(&err, TKS_ERR_CONNECTION, "more answers came than were asked for");
    }
    if (status != TKS_OK) {
        return tksp_lua_fail(L, status, &err);
    }
    lua_pushboolean(L, 1);
    return 1;
}

/* run_turned_away(run): is the first reply that of a server that is full? On a new connection it means that
 * nothing of what was sent has been read. */
static int run_turned_away(lua_State *L) {
    const lua_run *run = check(L, TKS_NEED_SEND);
    lua_pushboolean(L, run->got > 0 && tks_reply_is_refusal(run->replies[0]));
    return 1;
}

/* run_replies(run): hands the replies to the operation; what it needs now. After "failed", false they
 * may have belonged to something else. */
static int run_replies(lua_State *L) {
    lua_run *run = check(L, TKS_NEED_SEND);
    tks_event event = {.type = TKS_EVENT_REPLIES, .replies = run->replies};
    if (run->due == 0 || run->got != run->due) {
        return luaL_error(L, "the replies are not whole");
    }
    advance(run, &event);
    forget_replies(run);
    return push_need(L, run);
}

/* ---- clocks and names --------------------------------------------------------------------------- */

/* clock(): seconds, monotonic. */
static int clock_seconds(lua_State *L) {
    lua_pushnumber(L, clock_now(CLOCK_MONOTONIC));
    return 1;
}

/* random(size): that many random bytes. */
static int random_bytes(lua_State *L) {
    char bytes[TKS_PEPPER_MAX];
    lua_Number size = luaL_checknumber(L, 1);
    luaL_argcheck(L, size >= 1 && size <= TKS_PEPPER_MAX, 1, "1 to 64 expected");
    tks_random(bytes, (size_t)size);
    lua_pushlstring(L, bytes, (size_t)size);
    return 1;
}

void tksp_lua_open_run(lua_State *L) {
    static const luaL_Reg functions[] = {
        {"run", run_new},
        {"run_start", run_start},
        {"run_awake", run_awake},
        {"run_lost", run_lost},
        {"run_deadline", run_deadline},
        {"run_finish", run_finish},
        {"run_batch", run_batch},
        {"run_greet", run_greet},
        {"run_greeted", run_greeted},
        {"run_feed", run_feed},
        {"run_replies", run_replies},
        {"run_turned_away", run_turned_away},
        {"clock", clock_seconds},
        {"random", random_bytes},
        {NULL, NULL},
    };
    tksp_lua_set_gc(L, TKSP_UP_RUN, run_gc);
    tksp_lua_set_functions(L, functions);
}
