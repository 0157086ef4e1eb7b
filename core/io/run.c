/* run.c - see run.h. */
#define _POSIX_C_SOURCE 200809L

#include "run.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tokenstore/connecting.h"

#define TIMEOUT_MAX_MS INT64_C(315360000000) /* ten years, far from the end of int64_t */

static int64_t boot_ms(const tks_flight *r) {
    return tks_op_reads_boot(r->op) ? tksp_boot_ms() : 0;
}

static tks_need step(const tks_flight *r, tks_event_type type, const tksp_failure *failure) {
    tks_event event = {.type = type, .now_ms = tksp_wall_ms(), .sent = r->sent};
    event.boot_ms = boot_ms(r);
    if (failure != NULL) {
        event.final = failure->final;
        event.why = failure->error.status != TKS_OK ? &failure->error : NULL;
    }
    return tks_op_step(r->op, &event);
}

/* Logs problems with the TLS files that a new connection was made with. */
static void note_files(const tks_flight *r) {
    tksp_tls_source *tls = tksp_pool_get_endpoint(r->pool)->tls;
    tks_error warning;
    if (tls != NULL && getpid() == r->wait.pid && tksp_tls_source_take_warning(tls, &warning)) {
        tks_notes_add(tks_op_get_notes(r->op), 'w', warning.message);
    }
}

static void forget(tks_flight *r) {
    tks_credentials_clear(&r->credentials);
    r->given = false;
}

/* True if the host must supply credentials before a connection is opened. */
static bool asks(const tks_flight *r) {
    return tksp_pool_get_endpoint(r->pool)->target->asks && !r->given;
}

/* Stores an open connection in r->lease, or none on failure. If r->asks is set, the host must supply
 * credentials first. No connection is lent meanwhile, so that the host may take its time and may use this
 * client. */
static tks_status borrow(tks_flight *r) {
    tksp_failure *failure = &r->failure;
    tks_status status = tksp_pool_lend(r->pool, r->anew, &r->wait, &r->lease, &failure->error);
    r->anew = false;
    if (status != TKS_OK || tksp_conn_is_open(r->lease.conn)) {
        return status;
    }
    if (asks(r)) {
        r->asks = true;
        tksp_pool_give_back(r->pool, &r->lease);
        return TKS_ERR_CONFIGURATION;
    }
    status = tksp_conn_open(r->lease.conn, r->given ? &r->credentials : NULL, &r->wait, failure);
    note_files(r);
    if (status != TKS_OK) {
        tksp_pool_give_back(r->pool, &r->lease);
        r->asks = r->credentials.refused && !r->refused; /* a second refusal is final */
    }
    tksp_pool_note_opening(r->pool, status);
    if (status == TKS_OK && r->given) {
        tksp_pools_note(r->pools, &r->credentials);
    }
    if (status == TKS_OK || r->asks) {
        forget(r); /* credentials are used for one connection only */
        r->refused = r->asks;
    }
    return status;
}

/* How long a previously used connection may be silent. */
static int64_t silence(const tks_flight *r) {
    int64_t now = tksp_clock_coarse();
    return now + (r->wait.deadline - now) / TKS_SILENCE_DIVISOR;
}

static bool is_silent(tks_status status, const tksp_failure *failure) {
    return status == TKS_ERR_TIMEOUT && !failure->heard;
}

/* The connection is unresponsive: a firewall or NAT has probably dropped it, and with it all that were idle
 * as long. */
static void leave_silent(tks_flight *r) {
    r->anew = true;
    if (getpid() == r->wait.pid) {
        tksp_pool_drop_idle(r->pool, r->lease.used_at);
    }
}

/* Checks that the borrowed connection is alive: any reply proves it. If not, replaces it by a new one. */
static tks_status probe(tks_flight *r) {
    static const char command[] = "*1\r\n$4\r\nPING\r\n";
    tks_reply *reply = NULL;
    tksp_failure failure = TKSP_FAILURE_INIT;
    tks_status status = tksp_conn_exchange(r->lease.conn, tks_bytes_of(command, sizeof command - 1),
                                           1, &reply, silence(r), &r->wait, &failure);
    tks_reply_free(reply);
    if (status == TKS_OK) {
        return TKS_OK;
    }
    tksp_pool_give_back(r->pool, &r->lease);
    if (is_silent(status, &failure)) {
        leave_silent(r);
        status = tksp_wait_is_over(&r->wait) ? TKS_ERR_TIMEOUT : TKS_ERR_CONNECTION;
    }
    return status == TKS_ERR_CONNECTION && getpid() == r->wait.pid
               ? borrow(r)
               : tks_fail(&r->failure.error, status, "%s", failure.error.message);
}

static bool wants_probe(const tks_flight *r, const tks_batch *batch) {
    return batch->safety == TKS_ONCE && r->lease.used &&
           tksp_clock_coarse() - r->lease.used_at >= TKS_PROBE_AFTER_MS * TKSP_MS;
}

static void use_pools(tks_flight *r, tksp_pools *pools) {
    r->pools = pools;
    tksp_pools_equip(pools, r->client, r->op);
}

/* Stores an open connection for `batch` in r->lease; on failure nothing is lent. */
static tks_status get_connection(tks_flight *r, const tks_batch *batch) {
    tksp_pools *pools = tksp_client_pools(r->client, r->wait.pid);
    if (pools == NULL) {
        return tks_fail_memory(&r->failure.error);
    }
    if (pools != r->pools && batch->node >= 0) { /* its number is the parent process's */
        use_pools(r, pools);
        return tks_fail(&r->failure.error, TKS_ERR_CONNECTION, "the process has forked");
    }
    r->pools = pools;
    r->pool = tksp_pools_get(pools, batch->node);
    if (r->pool == NULL) {
        return tks_fail_memory(&r->failure.error);
    }
    tks_status status = borrow(r);
    return status == TKS_OK && wants_probe(r, batch) ? probe(r) : status;
}

/* Passes the replies to the operation, and only then returns the connection: only the operation can detect
 * replies to other requests. */
static tks_need deliver(tks_flight *r) {
    tks_event event = {.type = TKS_EVENT_REPLIES, .now_ms = tksp_wall_ms(), .replies = r->replies};
    event.boot_ms = boot_ms(r);
    r->sent = false;
    tks_need need = tks_op_step(r->op, &event);
    tks_trust trust = tks_op_get_trust(r->op);
    if (trust == TKS_TRUST_LEAVE) {
        tksp_pool_renew(r->pool, r->lease.generation);
    } else if (trust == TKS_TRUST_CLOSE) {
        tksp_conn_distrust(r->lease.conn); /* "not a record" may be the reply to another request */
    }
    return need;
}

/* The batch failed: informs the operation, or leaves in r->status why the run ends. */
static tks_need report(tks_flight *r, tks_error *err) {
    tks_status status = r->status;
    r->sent = r->failure.sent;
    r->status = TKS_OK;
    switch (status) {
    case TKS_ERR_INTERRUPTED:
    case TKS_ERR_CLOSED:
        r->status = tks_fail(err, status, "%s", r->failure.error.message);
        return TKS_FAILED;
    case TKS_ERR_TIMEOUT: return step(r, TKS_EVENT_DEADLINE, &r->failure);
    default:
        r->wait.pid = getpid(); /* a signal handler may have forked during the exchange */
        return step(r, TKS_EVENT_LOST, &r->failure);
    }
}

/* Allocates room for the replies before anything is sent: after that, no memory could not be reported. */
static tks_status make_room(tks_flight *r) {
    r->replies = r->few;
    if (r->count > TKSP_REPLIES_INLINE) {
        r->replies = malloc(r->count * sizeof *r->replies);
        if (r->replies == NULL) {
            r->count = 0;
            return tks_fail_memory(&r->failure.error);
        }
    }
    memset(r->replies, 0, r->count * sizeof *r->replies);
    return TKS_OK;
}

/* Frees everything of the batch; an unusable connection is closed. */
static void clear_batch(tks_flight *r) {
    if (r->lent) {
        tksp_pool_give_back(r->pool, &r->lease);
    }
    for (size_t i = 0; i < r->count; i++) {
        tks_reply_free(r->replies[i]);
    }
    if (r->replies != r->few) {
        free(r->replies);
    }
    r->replies = r->few;
    r->count = 0;
    r->lent = false;
    r->begun = false;
}

/* Gets a connection and writes as much as possible without waiting. The outcome is in r->status, for
 * end_batch. */
static void begin_batch(tks_flight *r) {
    const tks_batch *batch = tks_op_get_batch(r->op);
    r->begun = true;
    r->failure.error.status = TKS_OK;
    r->failure.sent = false;
    r->failure.final = false;
    r->deadline = r->wait.deadline;
    if (batch->patience_ms > 0) {
        (void)tksp_wait_narrow(&r->wait, batch->patience_ms);
    }
    r->count = batch->replies; /* the batch belongs to the operation and ends with its next step */
    r->status = make_room(r);
    if (r->status == TKS_OK) {
        r->status = get_connection(r, batch);
    }
    if (r->asks) {
        clear_batch(r);
        r->wait.deadline = r->deadline;
        r->status = TKS_OK;
        return;
    }
    r->lent = r->status == TKS_OK;
    if (r->lent) {
        r->status = tksp_conn_begin(r->lease.conn, batch->bytes, &r->rest, &r->failure);
    }
}

/* Reads the replies of the batch and steps the operation. If r->status is not TKS_OK afterwards, the run ends
 * with it. */
static tks_need end_batch(tks_flight *r, tks_error *err) {
    if (r->status == TKS_OK) {
        bool repeatable = tks_op_get_batch(r->op)->safety != TKS_ONCE;
        r->status = tksp_conn_end(r->lease.conn, r->rest, r->count, r->replies,
                                  r->lease.used && repeatable ? silence(r) : INT64_MAX, &r->wait,
                                  &r->failure);
        if (is_silent(r->status, &r->failure) && r->lease.used) {
            leave_silent(r);
        }
    }
    r->wait.deadline = r->deadline;
    if (r->status == TKS_ERR_TIMEOUT && !tksp_wait_is_over(&r->wait)) {
        r->status = TKS_ERR_CONNECTION; /* the limit on silence passed, not the deadline */
    }
    if (r->status == TKS_OK) {
        tks_need need = deliver(r);
        clear_batch(r);
        return need;
    }
    if (r->lent) {
        tks_error why = r->failure.error;
        r->failure.error = (tks_error)TKS_ERROR_INIT;
        tks_fail(&r->failure.error, r->status, "%.120s: %s", tksp_pool_get_endpoint(r->pool)->name,
                 why.message);
    }
    clear_batch(r);
    return report(r, err);
}

/* Makes the request and steps the operation with its outcome. */
static tks_need make_request(tks_flight *r, tks_error *err) {
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
    r->status = r->requester->fetch(r->requester->http, request, left_ms, r->wait.interrupt,
                                    &response, &failure.sent, &failure.final, &failure.error);
    if (r->status == TKS_ERR_INTERRUPTED || r->status == TKS_ERR_CLOSED) {
        tks_fail(err, r->status, "%s", failure.error.message);
        return TKS_FAILED;
    }
    tks_event event = {.type = TKS_EVENT_RESPONSE, .now_ms = tksp_wall_ms(), .response = response};
    event.boot_ms = boot_ms(r);
    tks_need need =
        r->status == TKS_OK ? tks_op_step(r->op, &event) : step(r, TKS_EVENT_LOST, &failure);
    r->status = TKS_OK;
    r->requester->free(response);
    return need;
}

/* ---- the map of a cluster --------------------------------------------------------------------- */

/* If a refresh of the map is due, it takes the operation's place until it has ended. `next`: the event that the operation
 * is waiting for. */
static bool begin_refresh(tks_flight *r, tks_event_type next) {
    tks_router *router = r->pools != NULL ? tksp_pools_get_router(r->pools) : NULL;
    if (router == NULL || r->interrupted != NULL) {
        return false;
    }
    tks_op *refresh = tks_router_refresh(router, tksp_clock_coarse() / TKSP_MS);
    if (refresh == NULL) {
        return false;
    }
    tks_op_set_router(refresh, router);
    r->interrupted = r->op;
    r->next = next;
    r->op = refresh;
    r->need = step(r, TKS_EVENT_START, NULL);
    return true;
}

static void drop_refresh(tks_flight *r) {
    if (r->interrupted != NULL) {
        tks_op_free(r->op);
        r->op = r->interrupted;
        r->interrupted = NULL;
    }
}

/* Sleeps as long as the operation requests, unless the deadline would pass. */
static tks_need sleep_as_asked(tks_flight *r, tks_error *err) {
    int64_t until = tksp_clock() + (int64_t)tks_op_get_sleep(r->op) * TKSP_MS;
    if (until >= r->wait.deadline) {
        return step(r, TKS_EVENT_DEADLINE, NULL);
    }
    int64_t deadline = r->wait.deadline;
    r->wait.deadline = until;
    r->status = tksp_wait_fd(&r->wait, -1, 0, err);
    r->wait.deadline = deadline;
    if (r->status == TKS_ERR_INTERRUPTED) {
        return TKS_FAILED;
    }
    r->status = TKS_OK;
    return step(r, TKS_EVENT_AWAKE, NULL);
}

/* ---- parts ------------------------------------------------------------------------------------- */

static tks_need serve(tks_flight *r, tks_error *err);

static void drop_parts(tks_flight *r) {
    for (size_t i = 0; i < r->part_count; i++) {
        tksp_flight_abandon(&r->parts[i]);
    }
    free(r->parts);
    r->parts = NULL;
    r->part_count = 0;
}

/* Sends what all parts have to send, and then reads: so all nodes work at the same time. After that no part holds a connection
 * while it waits for another. */
static tks_status begin_parts(tks_flight *r, tks_error *err) {
    tks_op **ops;
    size_t count = tks_op_get_parts(r->op, &ops);
    int64_t left_ms = (r->wait.deadline - tksp_clock()) / TKSP_MS;
    r->parts = calloc(count, sizeof *r->parts);
    if (r->parts == NULL) {
        return tks_fail_memory(err);
    }
    r->part_count = count;
    for (size_t i = 0; i < count; i++) {
        r->parts[i] = (tks_flight){.client = r->client, .op = ops[i]};
        tksp_flight_begin(&r->parts[i], r->wait.pid, left_ms > 0 ? left_ms : 1, r->wait.interrupt);
    }
    for (size_t i = 0; i < count; i++) {
        tks_flight *part = &r->parts[i];
        if (part->begun) {
            part->need = serve(part, err);
        }
        if (part->status != TKS_OK) {
            return part->status;
        }
    }
    return TKS_OK;
}

/* Runs the parts to their ends, or until one asks for credentials. */
static tks_need run_parts(tks_flight *r, tks_error *err) {
    r->status = r->parts == NULL ? begin_parts(r, err) : TKS_OK;
    for (size_t i = 0; r->status == TKS_OK && i < r->part_count && !r->asks; i++) {
        tks_flight *part = &r->parts[i];
        tks_error why = TKS_ERROR_INIT;
        (void)tksp_flight_proceed(part, &why);
        if (part->status !=
            TKS_OK) { /* not the operation's: it was interrupted, or the client closed */
            r->status = tks_fail(err, part->status, "%s", why.message);
        }
        r->asks = part->asks;
    }
    if (r->asks) {
        return TKS_NEED_PARTS;
    }
    drop_parts(r);
    r->wait.pid = getpid(); /* a signal handler may have forked meanwhile */
    return r->status == TKS_OK ? step(r, TKS_EVENT_PARTS, NULL) : TKS_FAILED;
}

static tks_need serve(tks_flight *r, tks_error *err) {
    tks_need need;
    if (r->need == TKS_NEED_SLEEP && begin_refresh(r, TKS_EVENT_AWAKE)) {
        return r->need;
    }
    switch (r->need) {
    case TKS_NEED_SEND:
        if (!r->begun) {
            begin_batch(r);
        }
        return r->asks ? TKS_NEED_SEND : end_batch(r, err);
    case TKS_NEED_HTTP: return make_request(r, err);
    case TKS_NEED_PARTS: return run_parts(r, err);
    default:
        need = sleep_as_asked(r, err);
        r->wait.pid = getpid(); /* a signal handler may have forked meanwhile */
        return need;
    }
}

void tksp_flight_begin(tks_flight *r, pid_t pid, int64_t timeout_ms,
                       const tks_interrupt *interrupt) {
    tksp_wait_begin(&r->wait, pid, timeout_ms < TIMEOUT_MAX_MS ? timeout_ms : TIMEOUT_MAX_MS,
                    interrupt);
    if (r->client != NULL) {
        tksp_pools *pools = tksp_client_pools(r->client, pid);
        if (pools != NULL) { /* without memory, the batch will fail */
            use_pools(r, pools);
        }
    }
    if (!begin_refresh(r, TKS_EVENT_START)) {
        r->need = step(r, TKS_EVENT_START, NULL);
    }
    if (r->need == TKS_NEED_SEND) {
        begin_batch(r);
    }
}

tks_status tksp_flight_proceed(tks_flight *r, tks_error *err) {
    while (!r->asks) {
        if (r->interrupted != NULL && (r->need == TKS_DONE || r->need == TKS_FAILED)) {
            drop_refresh(r);
            tksp_pools_retire(r->pools);
            r->need = step(r, r->next, NULL);
            continue;
        }
        if (r->need == TKS_DONE) {
            return TKS_OK;
        }
        if (r->need == TKS_FAILED) {
            const tks_error *why = tks_op_get_error(r->op);
            return tks_fail(err, why->status, "%s", why->message);
        }
        r->need = serve(r, err);
        if (r->status != TKS_OK) {
            drop_refresh(r);
            return r->status;
        }
    }
    return TKS_OK;
}

void tksp_flight_give(tks_flight *r, tks_credentials *credentials) {
    for (size_t i = 0; i < r->part_count; i++) {
        if (r->parts[i].asks) {
            r->asks = false;
            tksp_flight_give(&r->parts[i], credentials);
            return;
        }
    }
    forget(r);
    r->wait.pid = getpid(); /* the host may have forked meanwhile */
    r->credentials = *credentials;
    r->given = true;
    r->asks = false;
    *credentials = (tks_credentials){NULL, NULL, false};
}

tks_status tksp_flight_end(tks_flight *r, tks_error *err) {
    tks_status status = tksp_flight_proceed(r, err);
    bool unasked = status == TKS_OK && r->asks;
    drop_parts(r);
    forget(r);
    return unasked ? tks_fail(err, TKS_ERR_CONFIGURATION,
                              "the credentials function cannot be called here: give user and "
                              "password in the URL")
                   : status;
}

void tksp_flight_abandon(tks_flight *r) {
    drop_parts(r);
    clear_batch(r);
    drop_refresh(r);
    forget(r);
}
