/* client.c - see tokenstore/client.h. Runs operations: asks what they need, and does it. */
#define _POSIX_C_SOURCE 200809L

#include "tokenstore/client.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "pid.h"
#include "pool.h"
#include "tokenstore/embedded.h"

enum { NAME_MAX_SIZE = 1024, EMBEDDED_START_MS = 10000, REPLIES_INLINE = 4 };
#define TIMEOUT_MAX_MS INT64_C(315360000000) /* ten years, far from the end of int64_t */

struct tks_client {
    tks_target *target;
    tksp_tls_context *tls; /* NULL: plain */
    char *name;            /* of the target, for messages */
    tksp_pool_source source;
    tksp_pool *_Atomic pool;
    tks_embedded *_Atomic embedded; /* NULL: none, or stopped */
    atomic_bool closed;
    tksp_pid_cache pid;
};

/* One operation on its way. */
typedef struct run {
    tks_client *client;
    tks_op *op;
    tksp_wait wait;
    bool sent; /* the last batch may have reached the server, and was not answered */
} run;

/* ---- life -------------------------------------------------------------------------------------- */

/* Starts the private server; from then on the target is its socket. */
static tks_status start_embedded(tks_client *client, const tks_interrupt *interrupt,
                                 tks_error *err) {
    tks_target *target = client->target;
    tks_embedded *embedded = NULL;
    tks_status status = tks_embedded_start(target->path, target->server, EMBEDDED_START_MS,
                                           interrupt, &embedded, err);
    atomic_init(&client->embedded, embedded);
    if (status != TKS_OK) {
        return status;
    }
    char *path = strdup(tks_embedded_get_socket(embedded));
    if (path == NULL) {
        return tks_fail_memory(err);
    }
    free(target->path);
    target->path = path;
    target->transport = TKS_UNIX;
    return TKS_OK;
}

static tks_status name_target(tks_client *client, tks_error *err) {
    tks_buf name;
    tks_buf_init(&name, NAME_MAX_SIZE);
    (void)tks_target_describe(client->target, &name);
    if (tks_buf_append_char(&name, '\0') != TKS_OK) {
        tks_buf_clear(&name);
        return tks_fail_memory(err);
    }
    client->name = name.data;
    return TKS_OK;
}

tks_status tks_client_new(tks_target *target, const tks_interrupt *interrupt, tks_client **out,
                          tks_error *err) {
    *out = NULL;
    tks_client *client = calloc(1, sizeof(*client));
    if (client == NULL) {
        tks_target_free(target);
        return tks_fail_memory(err);
    }
    client->target = target;
    atomic_init(&client->pool, NULL);
    atomic_init(&client->embedded, NULL);
    atomic_init(&client->closed, false);
    tksp_pid_init(&client->pid);
    tks_status status = TKS_OK;
    if (target->transport == TKS_EMBEDDED) {
        status = start_embedded(client, interrupt, err);
    }
    if (status == TKS_OK && target->tls) {
        status = tksp_tls_context_new(target, &client->tls, err);
    }
    if (status == TKS_OK) {
        status = name_target(client, err);
    }
    if (status == TKS_OK) {
        client->source = (tksp_pool_source){client->target, client->tls, client->name};
        atomic_init(&client->pool, tksp_pool_new(&client->source));
        if (atomic_load(&client->pool) == NULL) {
            status = tks_fail_memory(err);
        }
    }
    if (status != TKS_OK) {
        tks_client_free(client);
        return status;
    }
    *out = client;
    return TKS_OK;
}

/* The pool of this process. In a forked child the first to come makes it; the inherited one is left
 * alone but for its descriptors, since its mutex may be held by a thread that is not here. */
static tksp_pool *own_pool(tks_client *client, pid_t pid) {
    tksp_pool *pool = atomic_load(&client->pool);
    if (tksp_pool_get_pid(pool) == pid) {
        return pool;
    }
    tksp_pool *fresh = tksp_pool_new(&client->source);
    if (fresh == NULL) {
        return NULL;
    }
    if (!atomic_compare_exchange_strong(&client->pool, &pool, fresh)) {
        tksp_pool_free(fresh);
        return pool;
    }
    tksp_pool_adopt(fresh, pool);
    if (atomic_load(&client->closed)) {
        tksp_pool_close(fresh);
    }
    return fresh;
}

const tks_target *tks_client_get_target(const tks_client *client) {
    return client->target;
}

void tks_client_close(tks_client *client) {
    atomic_store(&client->closed, true);
    tksp_pool *pool = own_pool(client, getpid());
    if (pool != NULL) {
        tksp_pool_close(pool);
    }
    tks_embedded_stop(atomic_exchange(&client->embedded, NULL));
}

void tks_client_free(tks_client *client) {
    if (client == NULL) {
        return;
    }
    if (atomic_load(&client->pool) != NULL) {
        tks_client_close(client);
    }
    tks_embedded_stop(atomic_exchange(&client->embedded, NULL));
    tksp_pool_free(atomic_load(&client->pool));
    tksp_tls_context_free(client->tls);
    tksp_pid_clear(&client->pid);
    tks_target_free(client->target);
    free(client->name);
    free(client);
}

/* ---- running ----------------------------------------------------------------------------------- */

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
    *pool = own_pool(r->client, r->wait.pid);
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
    if (need == TKS_FAILED && tks_op_get_error(r->op)->status != TKS_ERR_SERVER) {
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
    *status = get_connection(r, batch, &pool, lease, &failure);
    bool lent = *status == TKS_OK;
    if (lent) {
        *status = tksp_conn_exchange(lease->conn, batch->bytes, count, replies, &r->wait, &failure);
    }
    if (*status == TKS_OK) {
        need = deliver(r, replies, pool, lease);
    } else {
        if (lent) {
            tksp_pool_give_back(pool, lease);
            tks_error why = failure.error;
            failure.error = (tks_error)TKS_ERROR_INIT;
            tks_fail(&failure.error, *status, "%.120s: %s", r->client->name, why.message);
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

tks_status tks_client_run(tks_client *client, tks_op *op, int64_t timeout_ms,
                          const tks_interrupt *interrupt, tks_error *err) {
    run r = {.client = client, .op = op};
    tksp_lease lease = {NULL, 0, 0};
    tks_status status = TKS_OK;
    if (atomic_load_explicit(&client->closed, memory_order_relaxed)) {
        return tks_fail(err, TKS_ERR_CLOSED, "the client is closed");
    }
    if (timeout_ms <= 0) {
        timeout_ms = client->target->timeout_ms;
    }
    tksp_wait_begin(&r.wait, tksp_pid_get(&client->pid),
                    timeout_ms < TIMEOUT_MAX_MS ? timeout_ms : TIMEOUT_MAX_MS, interrupt);
    tks_need need = step(&r, TKS_EVENT_START, NULL);
    while (need == TKS_NEED_SEND || need == TKS_NEED_SLEEP) {
        if (need == TKS_NEED_SEND) {
            need = send_batch(&r, &lease, &status, err);
        } else {
            need = sleep_as_asked(&r, &status, err);
            r.wait.pid = getpid();
        }
        if (status != TKS_OK) {
            return status;
        }
    }
    if (need == TKS_DONE) {
        return TKS_OK;
    }
    const tks_error *why = tks_op_get_error(op);
    return tks_fail(err, why->status, "%s", why->message);
}
