/* subscription.c - see subscription.h. */
#define _POSIX_C_SOURCE 200809L

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "run.h"
#include "subscription_private.h"

enum {
    COMMAND_MAX = 64 * 1024,
    OPEN_TRIES = 4,
    LISTENERS_MAX = 2 * TKS_NODES_MAX, /* a node can be left as a primary, and met as a replica */
    LOOK_AGAIN_MS = 50,                /* for a node that may be connected to */
    CLOCK_BEHIND_MS = 10               /* tolerance of the coarse clock */
};

#define FOREVER_MS INT64_C(315360000000) /* ten years, far from the end of int64_t */

/* ---- life -------------------------------------------------------------------------------------- */

static tks_status format_command(tks_buf *out, const tksp_subscription_options *options) {
    if (options->count == 0) {
        return TKS_OK;
    }
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

static bool should_stop(void *context) {
    const tksp_subscription *sub = context;
    return atomic_load(&sub->closed) || tksp_client_is_closed(sub->client) ||
           (sub->interrupt != NULL && sub->interrupt->check(sub->interrupt->context));
}

static tks_status set_up(tksp_subscription *sub, tks_error *err) {
    static const tks_member the_server = {-1, false, 0};
    tksp_listener *ignored;
    sub->pools = tksp_client_pools(sub->client, sub->pid);
    if (sub->pools == NULL) {
        return tks_fail_memory(err);
    }
    sub->router = tksp_pools_get_router(sub->pools);
    sub->listeners = calloc(sub->router != NULL ? LISTENERS_MAX : 1, sizeof(tksp_listener *));
    if (sub->listeners == NULL) {
        return tks_fail_memory(err);
    }
    if (sub->router == NULL) {
        return tksp_subscription_add(sub, &the_server, &ignored, err);
    }
    if (sub->options.prepares_replicas) {
        tks_router_want_replicas(sub->router);
    }
    return TKS_OK;
}

tks_status tksp_subscription_new(tks_client *client, const tksp_subscription_options *options,
                                 tksp_subscription **out, tks_error *err) {
    *out = NULL;
    tksp_subscription *sub = calloc(1, sizeof *sub);
    if (sub == NULL) {
        return tks_fail_memory(err);
    }
    sub->client = client;
    sub->target = tks_client_get_target(client);
    sub->options = *options;
    sub->options.channels = NULL;
    sub->pid = getpid();
    sub->watch = (tks_interrupt){should_stop, sub};
    atomic_init(&sub->busy, false);
    atomic_init(&sub->closed, false);
    tks_buf_init(&sub->command, COMMAND_MAX);
    tks_status status = format_command(&sub->command, options);
    status = status == TKS_OK ? set_up(sub, err) : tks_fail_memory(err);
    if (status != TKS_OK) {
        tksp_subscription_free(sub);
        return status;
    }
    *out = sub;
    return TKS_OK;
}

tks_status tksp_subscription_add(tksp_subscription *sub, const tks_member *member,
                                 tksp_listener **out, tks_error *err) {
    tksp_pool *pool = tksp_pools_get(sub->pools, member->node);
    *out = pool != NULL && sub->count < LISTENERS_MAX
               ? tksp_listener_new(&sub->options, tks_buf_bytes(&sub->command),
                                   tksp_pool_get_endpoint(pool), member)
               : NULL;
    if (*out == NULL) {
        return tks_fail_memory(err);
    }
    sub->listeners[sub->count++] = *out;
    return TKS_OK;
}

void tksp_subscription_remove(tksp_subscription *sub, size_t i) {
    tksp_listener *l = sub->listeners[i];
    sub->listeners[i] = sub->listeners[--sub->count];
    sub->asker = sub->asker == l ? NULL : sub->asker;
    tksp_listener_free(l);
}

static void hang_up(tksp_subscription *sub) {
    for (size_t i = 0; i < sub->count; i++) {
        tksp_listener_hang_up(sub->listeners[i]);
    }
    if (sub->pid == getpid()) {
        tksp_follow_end(sub);
    }
}

/* A connection in use by another thread of the parent is not freed: that thread may have been changing it. */
void tksp_subscription_drop_inherited(tksp_subscription *sub) {
    for (size_t i = 0; i < sub->count; i++) {
        if (sub->listeners[i]->conn != NULL) {
            tksp_conn_drop_inherited(sub->listeners[i]->conn);
        }
    }
}

/* In a forked child. */
static void give_up_inherited(tksp_subscription *sub) {
    tksp_subscription_drop_inherited(sub);
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

void tksp_subscription_free(tksp_subscription *sub) {
    if (sub == NULL) {
        return;
    }
    tksp_subscription_close(sub);
    while (sub->count > 0) {
        tksp_subscription_remove(sub, sub->count - 1);
    }
    free(sub->listeners);
    free(sub->fds);
    tks_reply_free(sub->message);
    tks_buf_clear(&sub->command);
    free(sub->told);
    free(sub);
}

const tks_error *tksp_subscription_get_error(const tksp_subscription *sub) {
    return &sub->why;
}

tksp_gap tksp_subscription_get_gap(const tksp_subscription *sub) {
    return sub->gap;
}

void tksp_subscription_give(tksp_subscription *sub, tks_credentials *credentials) {
    if (sub->asker != NULL) {
        tksp_listener_give(sub->asker, credentials);
        sub->asker = NULL;
    } else if (sub->flight != NULL) {
        tks_flight_give(sub->flight, credentials);
    } else {
        tks_credentials_clear(credentials);
    }
}

static bool was_refused(const tks_flight *flight) {
    for (size_t i = 0; i < flight->part_count; i++) {
        if (flight->parts[i].asks) {
            return was_refused(&flight->parts[i]);
        }
    }
    return flight->refused;
}

bool tksp_subscription_was_refused(const tksp_subscription *sub) {
    return sub->asker != NULL ? sub->asker->refused
                              : sub->flight != NULL && was_refused(sub->flight);
}

/* ---- a call ------------------------------------------------------------------------------------ */

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
                             const tks_interrupt *interrupt, tksp_call *c, tks_error *err) {
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
    sub->interrupt = interrupt;
    tksp_wait_init(&c->wait, timeout_ms < 0 || timeout_ms > FOREVER_MS ? FOREVER_MS : timeout_ms,
                   &sub->watch);
    if (!sub->doubting) {
        tks_reply_free(sub->message);
        sub->message = NULL;
    }
    return TKS_OK;
}

static tks_status end_call(tksp_call *c, tks_status status, tks_error *err) {
    tksp_subscription *sub = c->sub;
    if (status != TKS_OK && is_ended(sub)) {
        *err = (tks_error)TKS_ERROR_INIT;
        status = fail_closed(sub, err);
    }
    if (sub->pid != getpid()) {
        return status; /* forked by a signal handler: everything here belongs to the parent */
    }
    sub->interrupt = NULL;
    atomic_store(&sub->busy, false);
    if (atomic_load(&sub->closed)) {
        tksp_subscription_close(sub); /* close left it to this thread */
    }
    return status;
}

/* ---- connecting -------------------------------------------------------------------------------- */

/* True if it is not the server's fault. */
static bool is_fatal(tks_status status) {
    return status == TKS_ERR_MEMORY || status == TKS_ERR_INTERRUPTED || status == TKS_ERR_CLOSED;
}

/* True if retrying at once is pointless. */
static bool is_final(tks_status status, const tksp_failure *failure) {
    return failure->final || (status != TKS_ERR_CONNECTION && status != TKS_ERR_TIMEOUT);
}

static bool is_leaving_one(const tksp_subscription *sub) {
    for (size_t i = 0; i < sub->count; i++) {
        if (sub->listeners[i]->leave_at != 0) {
            return true;
        }
    }
    return false;
}

/* Settings of replicas are less urgent. */
static bool is_before(const tksp_listener *l, const tksp_listener *other) {
    return l->retry_at != other->retry_at ? l->retry_at < other->retry_at
                                          : !l->member.replica && other->member.replica;
}

/* The one without a connection that is to try next; NULL: none. `*wake` is put forward to when. Where one is being left, others wait:
 * what both would tell is to be told once. */
static tksp_listener *next_to_connect(const tksp_subscription *sub, int64_t *wake) {
    tksp_listener *first = NULL;
    if (is_leaving_one(sub)) {
        return NULL;
    }
    for (size_t i = 0; i < sub->count; i++) {
        tksp_listener *l = sub->listeners[i];
        if (l->conn != NULL || (l->member.replica && !sub->opened && l->failures > 0)) {
            continue; /* such a replica: later */
        }
        if (tksp_follow_permits(sub, l)) {
            first = first == NULL || is_before(l, first) ? l : first;
        } else {
            int64_t again = tksp_clock() + LOOK_AGAIN_MS * TKSP_MS;
            *wake = again < *wake ? again : *wake;
        }
    }
    if (first != NULL && first->retry_at < *wake) {
        *wake = first->retry_at;
    }
    return first;
}

static tks_status try_to_connect(tksp_call *c, tksp_listener *l, tksp_failure *failure) {
    tksp_subscription *sub = c->sub;
    tks_status status = tksp_listener_connect(l, c->attempts_until, &c->wait, failure);
    if (sub->pid != getpid()) {
        return TKS_ERR_CLOSED; /* forked by a signal handler: see end_call */
    }
    sub->asker = l->asks ? l : NULL;
    bool lost = status == TKS_ERR_CONNECTION || status == TKS_ERR_TIMEOUT;
    if (sub->router != NULL && lost && !l->member.replica) {
        tks_router_lost(sub->router, l->member.node);
    }
    return status;
}

/* Waits until `at`. TKS_ERR_TIMEOUT if the call's deadline comes first. */
static tks_status wait_until(tksp_call *c, int64_t at, tks_error *err) {
    int64_t deadline = c->wait.deadline;
    if (at <= tksp_clock()) {
        return TKS_OK;
    }
    c->wait.deadline = at < deadline ? at : deadline;
    tks_status status = tksp_wait_fd(&c->wait, -1, 0, err);
    c->wait.deadline = deadline;
    return status == TKS_ERR_TIMEOUT && at < deadline ? TKS_OK : status;
}

/* Connects one that is not connected. *done: all are; a replica is tried once. */
static tks_status open_one(tksp_call *c, unsigned *tries, bool *asks, bool *done, tks_error *err) {
    tksp_subscription *sub = c->sub;
    tks_error why = TKS_ERROR_INIT;
    tksp_failure failure = TKSP_FAILURE_INIT;
    tksp_heard heard = TKSP_HEARD_NOTHING;
    int64_t look_at = INT64_MAX, wake = INT64_MAX;
    if (sub->router != NULL) {
        tks_status status = tksp_follow(c, &look_at, &heard, err);
        if (status != TKS_OK || heard == TKSP_HEARD_ASKS) {
            *asks = heard == TKSP_HEARD_ASKS;
            return status;
        }
    }
    tksp_listener *l = next_to_connect(sub, &wake);
    *done = l == NULL && wake == INT64_MAX;
    if (*done) {
        return TKS_OK;
    }
    tks_status status = wait_until(c, wake, &why);
    if (status == TKS_ERR_TIMEOUT) { /* a server's failure is more informative */
        return err->status != TKS_OK ? err->status
                                     : tks_fail(err, status, "the primary was not found in time");
    }
    if (status != TKS_OK || l == NULL) {
        *err = status != TKS_OK ? why : *err;
        return status;
    }
    status = try_to_connect(c, l, &failure);
    if (l->asks) {
        *asks = true;
        return TKS_OK;
    }
    if (status == TKS_OK || (l->member.replica && !is_fatal(status))) {
        return TKS_OK;
    }
    *err = failure.error;
    return is_final(status, &failure) || (sub->router == NULL && ++*tries == OPEN_TRIES) ? status
                                                                                         : TKS_OK;
}

tks_status tksp_subscription_open(tksp_subscription *sub, const tks_interrupt *interrupt,
                                  bool *asks, tks_error *err) {
    tksp_call c;
    unsigned tries = 0;
    bool done = false;
    *asks = false;
    tks_status status = begin_call(sub, sub->target->timeout_ms, interrupt, &c, err);
    if (status != TKS_OK) {
        return status;
    }
    c.attempts_until = c.wait.deadline;
    if (sub->router != NULL) {
        status = tksp_follow_begin(&c, asks, err);
    }
    while (status == TKS_OK && !*asks && !done) {
        status = open_one(&c, &tries, asks, &done, err);
    }
    sub->opened = done;
    return end_call(&c, status, err);
}

/* ---- listening --------------------------------------------------------------------------------- */

void tksp_subscription_note_gap(tksp_subscription *sub, int64_t lost_ms, int64_t restored_ms) {
    if (!sub->gapped || lost_ms < sub->gap.lost_ms) {
        sub->gap.lost_ms = lost_ms;
    }
    if (!sub->gapped || restored_ms > sub->gap.restored_ms) {
        sub->gap.restored_ms = restored_ms;
    }
    sub->gapped = true;
}

/* Makes an attempt that is due. */
static tks_status come_back(tksp_call *c, tksp_listener *l, tksp_heard *heard, tks_error *err) {
    tksp_failure failure = TKSP_FAILURE_INIT;
    tks_status status = try_to_connect(c, l, &failure);
    if (l->asks) {
        *heard = TKSP_HEARD_ASKS;
        return TKS_OK;
    }
    if (status == TKS_OK && !l->member.replica) {
        tksp_subscription_note_gap(c->sub, l->lost_ms, tksp_wall_ms() + CLOCK_BEHIND_MS);
    }
    bool matters = is_fatal(status) || (!l->member.replica && is_final(status, &failure));
    return status != TKS_OK && matters ? tks_fail(err, status, "%s", failure.error.message)
                                       : TKS_OK;
}

/* Checks for close, interrupts and the deadline between messages that are not for the caller: under constant
 * traffic nothing ever waits. What has already arrived is read past the deadline. */
static tks_status look_up(tksp_call *c, tks_error *err) {
    bool may_block;
    tks_status status = tksp_wait_slice(&c->wait, &may_block, err);
    return status == TKS_ERR_TIMEOUT ? TKS_OK : status;
}

static tks_status go_on(tksp_call *c, tksp_heard *heard, tks_error *err) {
    tksp_subscription *sub = c->sub;
    int64_t wake = INT64_MAX;
    if (sub->router != NULL) {
        tks_status status = tksp_follow(c, &wake, heard, err);
        if (status != TKS_OK || *heard != TKSP_HEARD_NOTHING) {
            return status;
        }
    }
    tksp_listener *l = next_to_connect(sub, &wake);
    if (l != NULL && l->retry_at <= tksp_clock()) {
        return come_back(c, l, heard, err);
    }
    if (sub->gapped && !is_leaving_one(sub)) {
        int64_t now = tksp_clock();
        if (sub->router == NULL || now >= sub->gap_at) {
            sub->gapped = false;
            sub->gap_at = now + sub->options.look_ms * TKSP_MS;
            *heard = TKSP_HEARD_GAP;
            return TKS_OK;
        }
        wake = sub->gap_at < wake ? sub->gap_at : wake;
    }
    return tksp_subscription_listen(c, wake, heard, err);
}

tks_status tksp_subscription_next(tksp_subscription *sub, int64_t timeout_ms,
                                  const tks_interrupt *interrupt, tksp_heard *out, tks_error *err) {
    tksp_call c;
    *out = TKSP_HEARD_NOTHING;
    tks_status status = begin_call(sub, timeout_ms, interrupt, &c, err);
    if (status != TKS_OK) {
        return status;
    }
    int64_t patience = tksp_clock() + sub->target->connect_timeout_ms * TKSP_MS;
    c.attempts_until = c.wait.deadline > patience ? c.wait.deadline : patience;
    while (status == TKS_OK && *out == TKSP_HEARD_NOTHING) {
        status = go_on(&c, out, err);
        if (status == TKS_OK && *out == TKSP_HEARD_NOTHING) {
            status = look_up(&c, err);
        }
    }
    return end_call(&c, status == TKS_ERR_TIMEOUT ? TKS_OK : status, err);
}
