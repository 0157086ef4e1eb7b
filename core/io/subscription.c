/* subscription.c - see subscription.h. */
#define _POSIX_C_SOURCE 200809L

#include "subscription.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "run.h"
#include "subscribe.h"
#include "tokenstore/secret.h"

enum {
    COMMAND_MAX = 64 * 1024,
    OPEN_TRIES = 4,
    PAUSE_FIRST_MS = 25, /* doubles up to the maximum */
    PAUSE_MAX_MS = 5000,
    CALM_MS = 5000,      /* after a connection that lived this long, reconnect without a pause */
    CLOCK_BEHIND_MS = 10 /* tolerance of the coarse clock */
};

#define FOREVER_MS INT64_C(315360000000) /* ten years, far from the end of int64_t */

struct tksp_subscription {
    tks_client *client;
    const tksp_endpoint *endpoint;
    tksp_subscription_options options; /* without the channels */
    tks_buf command;                   /* SUBSCRIBE */
    pid_t pid;
    tksp_conn *conn; /* NULL: lost, or not connected yet */
    atomic_bool busy, closed;
    bool given;   /* `credentials` are for the next connection */
    bool asks;    /* the host must supply them */
    bool refused; /* the server refused the previous ones */
    tks_credentials credentials;
    unsigned failures; /* in a row */
    int64_t retry_at;  /* monotonic, like the next three */
    int64_t opened_at;
    int64_t heard_at;
    int64_t pinged_at; /* 0: no PING is unanswered */
    int64_t empty_ms;  /* since 1970: when the socket was last drained */
    int64_t
        known_ms; /* the same, confirmed by data that arrived later: the connection was alive then */
    tksp_gap gap;
    tks_error why;
    tks_reply *message;
};

/* One call of open or next. */
typedef struct call {
    tksp_subscription *sub;
    const tks_interrupt *interrupt;
    tks_interrupt watch;
    tksp_wait wait;
    int64_t attempts_until; /* monotonic: the limit of attempts to connect */
} call;

/* ---- life -------------------------------------------------------------------------------------- */

static tks_status format_command(tks_buf *out, const tksp_subscription_options *options) {
    tks_bytes *words = calloc(options->count + 1, sizeof *words);
    if (words == NULL) {
        return TKS_ERR_MEMORY;
    }
    words[0] = TKS_LITERAL("SUBSCRIBE");
    memcpy(words + 1, options->channels, options->count * sizeof *words);
    tks_status status = tks_resp_format(out, options->count + 1, words);
    free(words);
    return status;
}

tks_status tksp_subscription_new(tks_client *client, const tksp_subscription_options *options,
                                 tksp_subscription **out, tks_error *err) {
    *out = NULL;
    tksp_subscription *sub = calloc(1, sizeof *sub);
    if (sub == NULL) {
        return tks_fail_memory(err);
    }
    sub->client = client;
    sub->options = *options;
    sub->options.channels = NULL;
    sub->pid = getpid();
    atomic_init(&sub->busy, false);
    atomic_init(&sub->closed, false);
    tks_buf_init(&sub->command, COMMAND_MAX);
    tksp_pool *pool = tksp_client_pool(client, sub->pid);
    sub->endpoint = pool != NULL ? tksp_pool_get_endpoint(pool) : NULL;
    if (pool == NULL || format_command(&sub->command, options) != TKS_OK) {
        tksp_subscription_free(sub);
        return tks_fail_memory(err);
    }
    *out = sub;
    return TKS_OK;
}

static void hang_up(tksp_subscription *sub) {
    tksp_conn_close(sub->conn);
    sub->conn = NULL;
}

/* In a forked child. A connection in use by another thread of the parent is not freed: that thread may have
 * been changing it. */
static void give_up_inherited(tksp_subscription *sub) {
    if (sub->conn == NULL) {
        return;
    }
    tksp_conn_drop_inherited(sub->conn);
    if (!atomic_load(&sub->busy)) {
        hang_up(sub);
    }
}

void tksp_subscription_close(tksp_subscription *sub) {
    atomic_store(&sub->closed, true);
    if (sub->pid != getpid()) {
        give_up_inherited(sub);
    } else if (!atomic_exchange(&sub->busy, true)) {
        hang_up(sub);
        atomic_store(&sub->busy, false);
    }
}

static void forget(tksp_subscription *sub) {
    tks_credentials_clear(&sub->credentials);
    sub->given = false;
}

void tksp_subscription_free(tksp_subscription *sub) {
    if (sub == NULL) {
        return;
    }
    tksp_subscription_close(sub);
    tks_reply_free(sub->message);
    tks_buf_clear(&sub->command);
    forget(sub);
    free(sub);
}

const tks_error *tksp_subscription_get_error(const tksp_subscription *sub) {
    return &sub->why;
}

tksp_gap tksp_subscription_get_gap(const tksp_subscription *sub) {
    return sub->gap;
}

/* ---- a call ------------------------------------------------------------------------------------ */

static bool should_stop(void *context) {
    const call *c = context;
    return atomic_load(&c->sub->closed) || tksp_client_is_closed(c->sub->client) ||
           (c->interrupt != NULL && c->interrupt->check(c->interrupt->context));
}

static tks_status fail_closed(const tksp_subscription *sub, tks_error *err) {
    if (sub->pid != getpid()) {
        return tks_fail(err, TKS_ERR_CLOSED,
                        "the process has forked: the child must open its own events");
    }
    return tks_fail(err, TKS_ERR_CLOSED, "%s",
                    atomic_load(&sub->closed) ? "the events are closed" : "the client is closed");
}

static bool is_ended(const tksp_subscription *sub) {
    return sub->pid != getpid() || atomic_load(&sub->closed) || tksp_client_is_closed(sub->client);
}

static tks_status begin_call(tksp_subscription *sub, int64_t timeout_ms,
                             const tks_interrupt *interrupt, call *c, tks_error *err) {
    if (sub->pid != getpid()) {
        give_up_inherited(sub);
        return fail_closed(sub, err);
    }
    if (atomic_exchange(&sub->busy, true)) {
        if (is_ended(sub)) {
            return fail_closed(sub, err); /* the thread that keeps it busy is closing it */
        }
        return tks_fail(err, TKS_ERR_CONFIGURATION,
                        "another thread is waiting for these events: each thread needs its own");
    }
    if (is_ended(sub)) {
        atomic_store(&sub->busy, false);
        return fail_closed(sub, err);
    }
    c->sub = sub;
    c->interrupt = interrupt;
    c->watch = (tks_interrupt){should_stop, c};
    tksp_wait_init(&c->wait, timeout_ms < 0 || timeout_ms > FOREVER_MS ? FOREVER_MS : timeout_ms,
                   &c->watch);
    tks_reply_free(sub->message);
    sub->message = NULL;
    return TKS_OK;
}

static tks_status end_call(call *c, tks_status status, tks_error *err) {
    tksp_subscription *sub = c->sub;
    if (status != TKS_OK && is_ended(sub)) {
        *err = (tks_error)TKS_ERROR_INIT;
        status = fail_closed(sub, err);
    }
    if (sub->pid != getpid()) {
        return status; /* forked by a signal handler: everything here belongs to the parent */
    }
    atomic_store(&sub->busy, false);
    if (atomic_load(&sub->closed)) {
        tksp_subscription_close(sub); /* close left it to this thread */
    }
    return status;
}

/* ---- connecting -------------------------------------------------------------------------------- */

/* Jitter of ±50 %, so that listeners that lost the same server do not reconnect in step. */
static int64_t pause_after(unsigned failures) {
    int64_t ms = (int64_t)PAUSE_FIRST_MS << (failures < 10 ? failures : 10);
    if (ms > PAUSE_MAX_MS) {
        ms = PAUSE_MAX_MS;
    }
    return (ms / 2 + (int64_t)tks_random_below((uint32_t)ms)) * TKSP_MS;
}

/* Sets the time of the next attempt, unless credentials are given before. */
static void put_off(tksp_subscription *sub) {
    sub->retry_at = tksp_clock() + pause_after(sub->failures++);
}

void tksp_subscription_give(tksp_subscription *sub, tks_credentials *credentials) {
    forget(sub);
    sub->credentials = *credentials;
    sub->given = true;
    *credentials = (tks_credentials){NULL, NULL, false};
    if (sub->asks) {
        sub->asks = false;
        sub->failures--;
        sub->retry_at = 0;
    }
}

/* Opens sub->conn, with the host's credentials. */
static tks_status open_conn(call *c, tksp_failure *failure) {
    tksp_subscription *sub = c->sub;
    tks_status status =
        tksp_conn_open(sub->conn, sub->given ? &sub->credentials : NULL, &c->wait, failure);
    bool refused = sub->credentials.refused;
    if (status == TKS_OK || refused) {
        sub->asks = refused && !sub->refused; /* a second refusal is reported to the caller */
        sub->refused = sub->asks;
        forget(sub); /* credentials are used for one connection only */
    }
    return status;
}

/* Connects, prepares, subscribes. After a failure `conn` is NULL and the time of the next
 * attempt is set. With sub->asks it is not a failure: the host must supply credentials. */
static tks_status attempt(call *c, tksp_failure *failure) {
    tksp_subscription *sub = c->sub;
    const tksp_endpoint *endpoint = sub->endpoint;
    int64_t deadline = c->wait.deadline;
    sub->asks = endpoint->target->asks && !sub->given;
    if (sub->asks) {
        put_off(sub);
        return TKS_ERR_CONFIGURATION;
    }
    c->wait.deadline = c->attempts_until;
    (void)tksp_wait_narrow(&c->wait, endpoint->target->connect_timeout_ms);
    sub->conn = tksp_conn_new(endpoint);
    tks_status status =
        sub->conn == NULL ? tks_fail_memory(&failure->error) : open_conn(c, failure);
    if (status == TKS_OK) {
        tksp_failure later = TKSP_FAILURE_INIT;
        status = tksp_subscribe(sub->conn, sub->options.prepare, tks_buf_bytes(&sub->command),
                                sub->options.count, &c->wait, &later);
        if (status != TKS_OK) {
            const char *why = later.error.message;
            failure->final = later.final;
            tks_fail(&failure->error, status, "%.120s: %s", endpoint->name,
                     status == TKS_ERR_TIMEOUT ? "no answer within connect_timeout" : why);
        }
    }
    c->wait.deadline = deadline;
    if (status != TKS_OK) {
        if (sub->pid == getpid()) {
            hang_up(sub);
        }
        put_off(sub);
        return status;
    }
    sub->opened_at = sub->heard_at = tksp_clock();
    sub->pinged_at = 0;
    sub->empty_ms = sub->known_ms = tksp_wall_ms();
    return TKS_OK;
}

/* Waits until the next attempt is due. TKS_ERR_TIMEOUT if the call's deadline comes first. */
static tks_status wait_for_turn(call *c, tks_error *err) {
    int64_t deadline = c->wait.deadline;
    tks_status status = TKS_OK;
    if (c->sub->retry_at > tksp_clock()) {
        bool reached = c->sub->retry_at < deadline;
        c->wait.deadline = reached ? c->sub->retry_at : deadline;
        status = tksp_wait_fd(&c->wait, -1, 0, err);
        c->wait.deadline = deadline;
        if (status == TKS_ERR_TIMEOUT && reached) {
            status = TKS_OK;
        }
    }
    return status;
}

/* True if retrying at once is pointless. */
static bool is_final(tks_status status, const tksp_failure *failure) {
    return failure->final || (status != TKS_ERR_CONNECTION && status != TKS_ERR_TIMEOUT);
}

tks_status tksp_subscription_open(tksp_subscription *sub, const tks_interrupt *interrupt,
                                  bool *asks, tks_error *err) {
    call c;
    *asks = false;
    tks_status status = begin_call(sub, sub->endpoint->target->timeout_ms, interrupt, &c, err);
    if (status != TKS_OK) {
        return status;
    }
    c.attempts_until = c.wait.deadline;
    for (int tries = 1;; tries++) {
        tks_error why = TKS_ERROR_INIT;
        tksp_failure failure = TKSP_FAILURE_INIT;
        status = attempt(&c, &failure);
        if (sub->asks) {
            *asks = true;
            status = TKS_OK;
            break;
        }
        *err = failure.error;
        if (status == TKS_OK || is_final(status, &failure) || tries == OPEN_TRIES) {
            break;
        }
        tks_status waited = wait_for_turn(&c, &why);
        if (waited == TKS_ERR_TIMEOUT) {
            break; /* the server's failure is more informative */
        }
        if (waited != TKS_OK) {
            status = waited;
            *err = why;
            break;
        }
    }
    return end_call(&c, status, err);
}

/* ---- listening --------------------------------------------------------------------------------- */

/* Records why the connection ended, and since when messages may be missing. */
static void lose(tksp_subscription *sub, const char *why) {
    sub->why = (tks_error)TKS_ERROR_INIT;
    (void)tks_fail(&sub->why, TKS_ERR_CONNECTION, "%.120s: %s", sub->endpoint->name, why);
    if (tksp_clock() - sub->opened_at > CALM_MS * TKSP_MS) {
        sub->failures = 0;
    }
    sub->gap.lost_ms = sub->known_ms;
    sub->retry_at = sub->failures == 0 ? 0 : tksp_clock() + pause_after(sub->failures);
    sub->failures++;
    hang_up(sub);
}

/* When the next PING is due, or the reply to the last one is overdue. */
static int64_t next_ping(const tksp_subscription *sub) {
    return sub->pinged_at != 0 ? sub->pinged_at + sub->endpoint->target->timeout_ms * TKSP_MS
                               : sub->heard_at + sub->options.ping_ms * TKSP_MS;
}

/* Nothing arrived until next_ping: sends PING, or returns why the connection counts as lost. */
static const char *ping(tksp_subscription *sub) {
    static const char command[] = "*1\r\n$4\r\nPING\r\n";
    tksp_failure failure = TKSP_FAILURE_INIT;
    tks_bytes rest;
    if (sub->pinged_at != 0) {
        return "the server does not answer PING";
    }
    sub->pinged_at = tksp_clock();
    if (tksp_conn_begin(sub->conn, tks_bytes_of(command, sizeof command - 1), &rest, &failure) !=
            TKS_OK ||
        rest.size > 0) {
        return "the connection was lost";
    }
    return NULL;
}

/* Classifies a reply: *heard is set if it is for the caller. False: the reply is unexpected. An error can
 * only be the reply to PING from a server that does not permit it: the server is alive. */
static bool take(tksp_subscription *sub, tks_reply *reply, tksp_heard *heard) {
    if (tksp_is_push(reply, TKS_LITERAL("message"), 3)) {
        const tks_reply *channel = tks_reply_get_item(reply, 1);
        const tks_reply *payload = tks_reply_get_item(reply, 2);
        if (tks_reply_get_type(channel) != TKS_REPLY_STRING ||
            tks_reply_get_type(payload) != TKS_REPLY_STRING) {
            return false;
        }
        if (sub->options.accept(sub->options.context, tks_reply_get_bytes(channel),
                                tks_reply_get_bytes(payload))) {
            *heard = TKSP_HEARD_MESSAGE;
            sub->message = reply;
        }
        return true;
    }
    bool answer =
        tksp_is_push(reply, TKS_LITERAL("pong"), 2) || tks_reply_get_type(reply) == TKS_REPLY_ERROR;
    bool due = answer && sub->pinged_at != 0;
    if (answer) {
        sub->pinged_at = 0;
    }
    return due;
}

/* Reads one value, or returns after the deadline without one. */
static tks_status listen_once(call *c, tksp_heard *heard, tks_error *err) {
    tksp_subscription *sub = c->sub;
    tksp_failure failure = TKSP_FAILURE_INIT;
    int64_t deadline = c->wait.deadline, ping_at = next_ping(sub), before_ms = tksp_wall_ms();
    tks_reply *reply = NULL;
    const char *lost = NULL;
    bool waited;
    c->wait.deadline = deadline < ping_at ? deadline : ping_at;
    tks_status status = tksp_conn_receive(sub->conn, &reply, &waited, &c->wait, &failure);
    c->wait.deadline = deadline;
    if (waited) {
        sub->empty_ms = before_ms;
    }
    if (status == TKS_OK) {
        sub->heard_at = tksp_clock();
        sub->known_ms = sub->empty_ms;
        if (!take(sub, reply, heard)) {
            lost = "the server sent a message that was not requested";
        }
        if (sub->message != reply) {
            tks_reply_free(reply);
        }
    } else if (status == TKS_ERR_TIMEOUT && ping_at <= deadline) {
        lost = ping(sub);
    } else if (status == TKS_ERR_CONNECTION && sub->pid == getpid()) {
        lost = failure.error.message;
    } else {
        return status == TKS_ERR_TIMEOUT ? status
                                         : tks_fail(err, status, "%s", failure.error.message);
    }
    if (lost != NULL) {
        lose(sub, lost);
        *heard = TKSP_HEARD_LOST;
    }
    return TKS_OK;
}

/* Makes another attempt when it is due. */
static tks_status come_back(call *c, tksp_heard *heard, tks_error *err) {
    tks_status status = wait_for_turn(c, err);
    if (status != TKS_OK) {
        return status;
    }
    tksp_failure failure = TKSP_FAILURE_INIT;
    status = attempt(c, &failure);
    if (c->sub->asks) {
        *heard = TKSP_HEARD_ASKS;
        return TKS_OK;
    }
    if (status == TKS_OK) {
        c->sub->gap.restored_ms = tksp_wall_ms() + CLOCK_BEHIND_MS;
        *heard = TKSP_HEARD_GAP;
    } else if (is_final(status, &failure)) {
        return tks_fail(err, status, "%s", failure.error.message);
    }
    return TKS_OK;
}

/* Checks for close, interrupts and the deadline between messages that are not for the caller: under constant
 * traffic nothing ever waits. What has already arrived is read past the deadline. */
static tks_status look_up(call *c, tks_error *err) {
    bool may_block;
    tks_status status = tksp_wait_slice(&c->wait, &may_block, err);
    return status == TKS_ERR_TIMEOUT ? TKS_OK : status;
}

tks_status tksp_subscription_next(tksp_subscription *sub, int64_t timeout_ms,
                                  const tks_interrupt *interrupt, tksp_heard *out, tks_error *err) {
    call c;
    *out = TKSP_HEARD_NOTHING;
    tks_status status = begin_call(sub, timeout_ms, interrupt, &c, err);
    if (status != TKS_OK) {
        return status;
    }
    int64_t patience = tksp_clock() + sub->endpoint->target->connect_timeout_ms * TKSP_MS;
    c.attempts_until = c.wait.deadline > patience ? c.wait.deadline : patience;
    while (status == TKS_OK && *out == TKSP_HEARD_NOTHING) {
        status = sub->conn != NULL ? listen_once(&c, out, err) : come_back(&c, out, err);
        if (status == TKS_OK && *out == TKSP_HEARD_NOTHING) {
            status = look_up(&c, err);
        }
    }
    return end_call(&c, status == TKS_ERR_TIMEOUT ? TKS_OK : status, err);
}
