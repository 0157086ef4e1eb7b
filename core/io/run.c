/* run.c - see run.h. */
#define _POSIX_C_SOURCE 200809L

#include "run.h"

#include <stdlib.h>
#include <unistd.h>

enum { REPLIES_INLINE = 4 };
#define TIMEOUT_MAX_MS INT64_C(315360000000) /* ten years, far from the end of int64_t */

/* One operation on its way. */
typedef struct run {
    tks_client *client;
    const tksp_requester *requester;
    tks_op *op;
    tksp_wait wait;
    bool sent; /* the last batch may have reached the server, and was not answered */
} run;

static tks_need step(const run *r, tks_event_type type, const tksp_failure *failure) {
    tks_event event = {.type = type, .now_ms = tksp_wall_ms(), .sent = r->sent};
    if (failure != NULL) {
        event.final = failure->final;
        event.why = failure->error.status != TKS_OK ? &failure->error : NULL;
    }
    return tks_op_step(r->op, &event);
}

/* A connection for `batch`, open, in *lease; on failure nothing is lent. */
static tks_status get_connection(run *r, const tks_batch *batch, tksp_pool **pool,
                                 tksp_lease *lease, tksp_failure *failure) {
    *pool = tksp_client_pool(r->client, r->wait.pid);
    if (*pool == NULL) {
        return tks_fail_memory(&failure->error);
    }
    if (batch->reconnect) {
        tksp_pool_renew(*pool, lease->generation);
    }
    tks_status status = tksp_pool_lend(*pool, &r->wait, lease, &failure->error);
    if (status != TKS_OK || tksp_conn_is_open(lease->conn)) {
        return status;
    }
    status = tksp_conn_open(lease->conn, &r->wait, failure);
    if (status != TKS_OK) {
        tksp_pool_give_back(*pool, lease);
    }
    return status;
}

/* Hands the replies over. Only then is the connection given back: the operation is who can tell that
 * they were not for it. */
static tks_need deliver(run *r, tks_reply **replies, tksp_pool *pool, const tksp_lease *lease) {
    tks_event event = {.type = TKS_EVENT_REPLIES, .now_ms = tksp_wall_ms(), .replies = replies};
    r->sent = false;
    tks_need need = tks_op_step(r->op, &event);
    if (tks_op_is_out_of_step(r->op)) {
        tksp_conn_distrust(lease->conn); /* "not a record" may be the answer to something else */
    }
    tksp_pool_give_back(pool, lease);
    return need;
}

/* The batch went wrong: tells the operation, or ends the run by what is left in *status. */
static tks_need report(run *r, const tksp_failure *failure, tks_status *status, tks_error *err) {
    r->sent = failure->sent;
    switch (*status) {
    case TKS_ERR_INTERRUPTED:
    case TKS_ERR_CLOSED: tks_fail(err, *status, "%s", failure->error.message); return TKS_FAILED;
    case TKS_ERR_TIMEOUT: *status = TKS_OK; return step(r, TKS_EVENT_DEADLINE, failure);
    default:
        *status = TKS_OK;
        r->wait.pid = getpid(); /* a signal handler may have forked during the exchange */
        return step(r, TKS_EVENT_LOST, failure);
    }
}

/* Sends the batch and steps the operation. `lease` remembers the connection before. When *status is
 * not TKS_OK, the run ends with it. */
static tks_need send_batch(run *r, tksp_lease *lease, tks_status *status, tks_error *err) {
    const tks_batch *batch = tks_op_get_batch(r->op);
    tks_reply *few[REPLIES_INLINE] = {NULL};
    tks_reply **replies = few;
    size_t count = batch->replies; /* the batch is the operation's, and gone after its next step */
    tksp_failure failure = TKSP_FAILURE_INIT;
    tksp_pool *pool;
    tks_need need;
    if (count > REPLIES_INLINE) {
        replies = calloc(count, sizeof(*replies));
        if (replies == NULL) {
            *status = tks_fail_memory(err);
            return TKS_FAILED;
        }
    }
    int64_t deadline = r->wait.deadline;
    if (batch->patience_ms > 0) {
        deadline = tksp_wait_narrow(&r->wait, batch->patience_ms);
    }
    *status = get_connection(r, batch, &pool, lease, &failure);
    bool lent = *status == TKS_OK;
    if (lent) {
        *status = tksp_conn_exchange(lease->conn, batch->bytes, count, replies, &r->wait, &failure);
    }
    r->wait.deadline = deadline;
    if (*status == TKS_ERR_TIMEOUT && !tksp_wait_is_over(&r->wait)) {
        *status = TKS_ERR_CONNECTION; /* its patience ended, not its time */
    }
    if (*status == TKS_OK) {
        need = deliver(r, replies, pool, lease);
    } else {
        if (lent) {
            tksp_pool_give_back(pool, lease);
            tks_error why = failure.error;
            failure.error = (tks_error)TKS_ERROR_INIT;
            tks_fail(&failure.error, *status, "%.120s: %s", tksp_client_name(r->client),
                     why.message);
        }
        need = report(r, &failure, status, err);
    }
    for (size_t i = 0; i < count; i++) {
        tks_reply_free(replies[i]);
    }
    if (replies != few) {
        free(replies);
    }
    return need;
}

/* Makes the request and steps the operation with what came of it. */
static tks_need make_request(run *r, tks_status *status, tks_error *err) {
    const tks_http_request *request = tks_op_get_request(r->op);
    int64_t left_ms = (r->wait.deadline - tksp_clock()) / TKSP_MS;
    tks_http_response *response = NULL;
    tksp_failure failure = TKSP_FAILURE_INIT;
    if (left_ms <= 0) {
        return step(r, TKS_EVENT_DEADLINE, NULL);
    }
    if (request->timeout_ms > 0 && request->timeout_ms < left_ms) {
        left_ms = request->timeout_ms;
    }
    *status = r->requester->fetch(r->requester->http, request, left_ms, r->wait.interrupt,
                                  &response, &failure.sent, &failure.final, &failure.error);
    if (*status == TKS_ERR_INTERRUPTED || *status == TKS_ERR_CLOSED) {
        tks_fail(err, *status, "%s", failure.error.message);
        return TKS_FAILED;
    }
    tks_event event = {.type = TKS_EVENT_RESPONSE, .now_ms = tksp_wall_ms(), .response = response};
    tks_need need =
        *status == TKS_OK ? tks_op_step(r->op, &event) : step(r, TKS_EVENT_LOST, &failure);
    *status = TKS_OK;
    r->requester->free(response);
    return need;
}

/* Sleeps as long as the operation asks for, unless the deadline would pass. */
static tks_need sleep_as_asked(run *r, tks_status *status, tks_error *err) {
    int64_t until = tksp_clock() + (int64_t)tks_op_get_sleep(r->op) * TKSP_MS;
    if (until >= r->wait.deadline) {
        return step(r, TKS_EVENT_DEADLINE, NULL);
    }
    int64_t deadline = r->wait.deadline;
    r->wait.deadline = until;
    *status = tksp_wait_fd(&r->wait, -1, 0, err);
    r->wait.deadline = deadline;
    if (*status == TKS_ERR_INTERRUPTED) {
        return TKS_FAILED;
    }
    *status = TKS_OK;
    return step(r, TKS_EVENT_AWAKE, NULL);
}

static tks_need serve(run *r, tks_need need, tksp_lease *lease, tks_status *status,
                      tks_error *err) {
    switch (need) {
    case TKS_NEED_SEND: return send_batch(r, lease, status, err);
    case TKS_NEED_HTTP: return make_request(r, status, err);
    default:
        need = sleep_as_asked(r, status, err);
        r->wait.pid = getpid(); /* a signal handler may have forked meanwhile */
        return need;
    }
}

tks_status tksp_run(tks_client *client, const tksp_requester *requester, tks_op *op, pid_t pid,
                    int64_t timeout_ms, const tks_interrupt *interrupt, tks_error *err) {
    run r = {.client = client, .requester = requester, .op = op};
    tksp_lease lease = {NULL, 0, 0};
    tks_status status = TKS_OK;
    tksp_wait_begin(&r.wait, pid, timeout_ms < TIMEOUT_MAX_MS ? timeout_ms : TIMEOUT_MAX_MS,
                    interrupt);
    tks_need need = step(&r, TKS_EVENT_START, NULL);
    while (need != TKS_DONE && need != TKS_FAILED && status == TKS_OK) {
        need = serve(&r, need, &lease, &status, err);
    }
    if (status != TKS_OK || need == TKS_DONE) {
        return status;
    }
    const tks_error *why = tks_op_get_error(op);
    return tks_fail(err, why->status, "%s", why->message);
}
