/* listener.c - see listener.h. */
#define _POSIX_C_SOURCE 200809L

#include "listener.h"

#include <stdlib.h>
#include <unistd.h>

#include "subscribe.h"
#include "tokenstore/secret.h"

enum {
    PAUSE_FIRST_MS = 25, /* doubles up to the maximum */
    PAUSE_MAX_MS = 2000,
    PING_MAX = 64 * 1024,
    CALM_MS = 5000 /* after a connection that lived this long, reconnect without a pause */
};

/* ---- life -------------------------------------------------------------------------------------- */

tksp_listener *tksp_listener_new(const tksp_subscription_options *options, tks_bytes command,
                                 const tksp_endpoint *endpoint, const tks_member *member) {
    tksp_listener *l = calloc(1, sizeof *l);
    if (l == NULL) {
        return NULL;
    }
    l->options = options;
    l->command = command;
    l->endpoint = *endpoint;
    l->member = *member;
    if (member->replica) {
        l->command = tks_bytes_of(NULL, 0);
        l->target = *endpoint->target;
        l->target.expects_primary = false;
        l->endpoint.target = &l->target;
    }
    return l;
}

void tksp_listener_note(const tksp_listener *l, tksp_link event) {
    if (l->options->link != NULL && !l->member.replica && l->leave_at == 0) {
        l->options->link(l->options->context, l->member.node, event, l->pinged_ms);
    }
}

void tksp_listener_hang_up(tksp_listener *l) {
    if (l->conn != NULL) {
        tksp_listener_note(l, TKSP_LINK_LOST);
    }
    tksp_conn_close(l->conn);
    l->conn = NULL;
}

static void forget(tksp_listener *l) {
    tks_credentials_clear(&l->credentials);
    l->given = false;
}

void tksp_listener_free(tksp_listener *l) {
    if (l == NULL) {
        return;
    }
    tksp_listener_hang_up(l);
    forget(l);
    free(l);
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
static void put_off(tksp_listener *l) {
    l->retry_at = tksp_clock() + pause_after(l->failures++);
}

void tksp_listener_give(tksp_listener *l, tks_credentials *credentials) {
    forget(l);
    l->credentials = *credentials;
    l->given = true;
    *credentials = (tks_credentials){NULL, NULL, false};
    if (l->asks) {
        l->asks = false;
        l->failures--;
        l->retry_at = 0;
    }
}

/* Opens l->conn, with the host's credentials. */
static tks_status open_conn(tksp_listener *l, tksp_wait *wait, tksp_failure *failure) {
    tks_status status = tksp_conn_open(l->conn, l->given ? &l->credentials : NULL, wait, failure);
    bool refused = l->credentials.refused;
    if (status == TKS_OK || refused) {
        l->asks = refused && !l->refused; /* a second refusal is reported to the caller */
        l->refused = l->asks;
        forget(l); /* credentials are used for one connection only */
    }
    return status;
}

static tks_status subscribe(tksp_listener *l, tksp_wait *wait, tksp_failure *failure) {
    tksp_failure later = TKSP_FAILURE_INIT;
    tks_status status = tksp_subscribe(l->conn, l->options, l->command, wait, &later);
    if (status != TKS_OK) {
        const char *why = later.error.message;
        failure->final = later.final;
        tks_fail(&failure->error, status, "%.120s: %s", l->endpoint.name,
                 status == TKS_ERR_TIMEOUT ? "no answer within connect_timeout" : why);
    }
    return status;
}

tks_status tksp_listener_connect(tksp_listener *l, int64_t until, tksp_wait *wait,
                                 tksp_failure *failure) {
    int64_t deadline = wait->deadline;
    l->asks = l->endpoint.target->asks && !l->given;
    if (l->asks) {
        put_off(l);
        return TKS_ERR_CONFIGURATION;
    }
    wait->deadline = until;
    (void)tksp_wait_narrow(wait, l->endpoint.target->connect_timeout_ms);
    l->conn = tksp_conn_new(&l->endpoint);
    tks_status status =
        l->conn == NULL ? tks_fail_memory(&failure->error) : open_conn(l, wait, failure);
    if (status == TKS_OK) {
        status = subscribe(l, wait, failure);
    }
    wait->deadline = deadline;
    if (status != TKS_OK) {
        if (wait->pid == getpid()) {
            tksp_listener_hang_up(l);
        }
        put_off(l);
        return status;
    }
    l->opened_at = l->heard_at = l->ping_at = tksp_clock();
    l->pinged_at = 0;
    l->answers = 0;
    l->empty_ms = l->known_ms = tksp_wall_ms();
    l->ready = true;
    tksp_listener_note(l, TKSP_LINK_OPEN);
    return TKS_OK;
}

void tksp_listener_lose(tksp_listener *l, const char *why) {
    l->why = (tks_error)TKS_ERROR_INIT;
    (void)tks_fail(&l->why, TKS_ERR_CONNECTION, "%.120s: %s", l->endpoint.name, why);
    if (tksp_clock() - l->opened_at > CALM_MS * TKSP_MS) {
        l->failures = 0;
    }
    l->lost_ms = l->known_ms;
    l->retry_at = l->failures == 0 ? 0 : tksp_clock() + pause_after(l->failures);
    l->failures++;
    tksp_listener_hang_up(l);
}

/* ---- listening --------------------------------------------------------------------------------- */

/* Is it one that is asked? */
static bool is_asked(const tksp_listener *l) {
    return l->options->ask != NULL && !l->member.replica && l->leave_at == 0;
}

/* Or the reply to the last one is overdue. */
int64_t tksp_listener_next_ping(const tksp_listener *l) {
    if (l->pinged_at != 0) {
        return l->pinged_at + l->endpoint.target->timeout_ms * TKSP_MS;
    }
    if (is_asked(l) && l->options->wants(l->options->context, l->member.node)) {
        return 0;
    }
    return (l->options->pings_always ? l->ping_at : l->heard_at) + l->options->ping_ms * TKSP_MS;
}

/* What is asked, and PING. */
static tks_status format_ping(tksp_listener *l, tks_buf *out) {
    tks_status status = TKS_OK;
    if (is_asked(l)) {
        status = l->options->ask(l->options->context, l->member.node, out, &l->answers);
    }
    return status == TKS_OK ? tks_buf_append_bytes(out, TKS_LITERAL("*1\r\n$4\r\nPING\r\n"))
                            : status;
}

/* It is time: sends PING, or returns why the connection counts as lost. */
static const char *ping(tksp_listener *l) {
    tksp_failure failure = TKSP_FAILURE_INIT;
    tks_bytes rest;
    tks_buf out;
    if (l->pinged_at != 0) {
        return "the server does not answer PING";
    }
    l->pinged_at = l->ping_at = tksp_clock();
    if (l->options->link != NULL) {
        l->pinged_ms = tksp_boot_ms();
    }
    tks_buf_init(&out, PING_MAX);
    tks_status status = format_ping(l, &out);
    if (status == TKS_OK) {
        status = tksp_conn_begin(l->conn, tks_buf_bytes(&out), &rest, &failure);
    }
    tks_buf_wipe(&out);
    return status == TKS_OK && rest.size == 0 ? NULL : "the connection was lost";
}

/* Classifies a reply: *heard is set if it is for the caller. False: the reply is unexpected. An error can
 * only be the reply to PING from a server that does not permit it: the server is alive. */
static bool take(tksp_listener *l, const tks_reply *reply, tksp_heard *heard) {
    if (l->command.size > 0 && tks_reply_is_push(reply, TKS_LITERAL("message"), 3)) {
        const tks_reply *channel = tks_reply_get_item(reply, 1);
        const tks_reply *payload = tks_reply_get_item(reply, 2);
        if (tks_reply_get_type(channel) != TKS_REPLY_STRING) {
            return false;
        }
        if (l->options->accept(l->options->context, tks_reply_get_bytes(channel), payload)) {
            *heard = TKSP_HEARD_MESSAGE;
        }
        return true;
    }
    if (l->options->hear != NULL && l->options->hear(l->options->context, reply)) {
        return true;
    }
    if (l->answers > 0) {
        l->answers--;
        l->options->answer(l->options->context, l->member.node, reply);
        return true;
    }
    bool pong = l->command.size > 0 ? tks_reply_is_push(reply, TKS_LITERAL("pong"), 2)
                                    : tks_reply_get_type(reply) == TKS_REPLY_STATUS;
    bool answer = pong || tks_reply_get_type(reply) == TKS_REPLY_ERROR;
    bool due = answer && l->pinged_at != 0;
    if (answer) {
        l->pinged_at = 0;
    }
    if (due) {
        tksp_listener_note(l, TKSP_LINK_PROVEN);
    }
    return due;
}

tks_status tksp_listener_hear(tksp_listener *l, int64_t until, tksp_wait *wait, tksp_heard *heard,
                              tks_reply **message, tks_error *err) {
    tksp_failure failure = TKSP_FAILURE_INIT;
    int64_t deadline = wait->deadline, ping_at = tksp_listener_next_ping(l);
    int64_t before_ms = tksp_wall_ms();
    tks_reply *reply = NULL;
    const char *lost = NULL;
    bool waited;
    if (l->options->pings_always && l->pinged_at == 0 && ping_at <= tksp_clock_coarse()) {
        lost = ping(l);
        ping_at = tksp_listener_next_ping(l);
    }
    if (lost != NULL) {
        tksp_listener_lose(l, lost);
        *heard = TKSP_HEARD_LOST;
        return TKS_OK;
    }
    wait->deadline = until < ping_at ? until : ping_at;
    tks_status status = tksp_conn_receive(l->conn, &reply, &waited, wait, &failure);
    wait->deadline = deadline;
    if (waited) {
        l->empty_ms = before_ms;
    }
    if (status == TKS_OK) {
        l->heard_at = tksp_clock();
        l->known_ms = l->empty_ms;
        if (!take(l, reply, heard)) {
            lost = "the server sent a message that was not requested";
        }
        if (*heard == TKSP_HEARD_MESSAGE) {
            *message = reply;
        } else {
            tks_reply_free(reply);
        }
    } else if (status == TKS_ERR_TIMEOUT && ping_at <= until) {
        lost = ping(l);
    } else if (status == TKS_ERR_CONNECTION && wait->pid == getpid()) {
        lost = failure.error.message;
    } else {
        return status == TKS_ERR_TIMEOUT ? status
                                         : tks_fail(err, status, "%s", failure.error.message);
    }
    if (lost != NULL) {
        tksp_listener_lose(l, lost);
        *heard = TKSP_HEARD_LOST;
    }
    return TKS_OK;
}
