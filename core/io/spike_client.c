/* spike_client.c - see tokenstore/spike_client.h. */
#define _POSIX_C_SOURCE 200809L

#include "tokenstore/spike_client.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <unistd.h>

#include "run.h"
#include "spike_client_private.h"
#include "spike_file.h"
#include "thread.h"

enum {
    REDIS_MS = 4000 /* limit on all Redis steps of one operation */
};

/* ---- life -------------------------------------------------------------------------------------- */

tks_status tks_spike_client_new(tks_spike *spike, tks_http *http, tks_client *redis,
                                tks_spike_client **out, tks_error *err) {
    *out = NULL;
    tks_spike_client *client = calloc(1, sizeof *client);
    tksp_spike_memory *memory = tksp_spike_memory_new();
    if (client == NULL || memory == NULL) {
        tksp_spike_memory_free(memory);
        free(client);
        tks_http_free(http);
        tks_spike_free(spike);
        return tks_fail_memory(err);
    }
    client->spike = spike;
    client->http = http;
    client->redis = redis;
    client->given = tks_spike_is_given(spike, &client->file);
    client->timeout_ms = tks_spike_get_budget(spike) + TKS_SPIKE_WAIT_MS + REDIS_MS;
    atomic_init(&client->memory, memory);
    atomic_init(&client->has_notes, false);
    atomic_init(&client->closed, false);
    *out = client;
    return TKS_OK;
}

/* The memory of this process. A forked child starts with an empty one. The inherited one is never touched:
 * threads that do not exist here may hold its locks. NULL: out of memory. */
tksp_spike_memory *tksp_spike_own_memory(tks_spike_client *client) {
    tksp_spike_memory *memory = atomic_load(&client->memory);
    if (tksp_spike_memory_is_own(memory)) {
        return memory;
    }
    tksp_spike_memory *fresh = tksp_spike_memory_new();
    if (fresh != NULL && !atomic_compare_exchange_strong(&client->memory, &memory, fresh)) {
        tksp_spike_memory_free(fresh);
        return memory;
    }
    if (fresh != NULL) {
        tks_spike_after_fork(client->spike);
    }
    return fresh;
}

void tks_spike_client_close(tks_spike_client *client) {
    atomic_store(&client->closed, true);
    tks_http_close(client->http);
    tksp_spike_memory *memory = tksp_spike_own_memory(client);
    if (memory == NULL) {
        return;
    }
    (void)pthread_mutex_lock(&memory->mutex);
    (void)pthread_cond_broadcast(&memory->ended);
    while (memory->renewals > 0) {
        (void)pthread_cond_wait(&memory->ended, &memory->mutex);
    }
    bool has_last = memory->has_last;
    pthread_t last = memory->last;
    memory->has_last = false;
    (void)pthread_mutex_unlock(&memory->mutex);
    if (has_last) {
        (void)pthread_join(last, NULL);
    }
}

void tks_spike_client_free(tks_spike_client *client) {
    if (client == NULL) {
        return;
    }
    tks_spike_client_close(client);
    if (tksp_spike_memory_is_own(atomic_load(&client->memory))) {
        tksp_spike_memory_free(atomic_load(&client->memory));
    }
    tks_http_free(client->http);
    tks_spike_free(client->spike);
    free(client);
}

static tks_status fail_closed(tks_error *err) {
    return tks_fail(err, TKS_ERR_CLOSED, "the client is closed");
}

/* True if the host must supply the client's secret or assertion. */
bool tksp_spike_asks_host(const tks_spike_client *client) {
    return client->given && client->file.size == 0;
}

/* ---- fetching ---------------------------------------------------------------------------------- */

static void keep_notes(tks_spike_client *client, tksp_spike_memory *memory, tks_op *op) {
    tks_notes_move(tks_op_get_notes(op), &memory->notes);
    atomic_store(&client->has_notes, !tks_notes_is_empty(&memory->notes));
}

/* True in a child that a signal handler forked during the call. Then `memory` belongs to the parent, and its
 * locks may be held forever by threads that do not exist here. */
static bool has_forked(const tksp_spike_memory *memory) {
    return !tksp_spike_memory_is_own(memory);
}

/* What may end a run: its caller, close, or abandonment. */
typedef struct ender {
    const tks_spike_client *client;
    const tks_interrupt *caller;  /* may be NULL */
    const atomic_bool *abandoned; /* may be NULL */
    bool by_caller;
} ender;

static bool is_ended(void *context) {
    ender *e = context;
    e->by_caller = e->caller != NULL && e->caller->check(e->caller->context);
    return e->by_caller || atomic_load(&e->client->closed) ||
           (e->abandoned != NULL && atomic_load(e->abandoned));
}

static tks_status run_op(tks_spike_client *client, tks_op *op, int64_t timeout_ms,
                         const tks_interrupt *interrupt, const atomic_bool *abandoned,
                         tks_error *err) {
    tksp_requester requester = {client->http, tks_http_fetch, tks_http_response_free};
    tks_flight flight = {.client = client->redis, .requester = &requester, .op = op};
    ender e = {client, interrupt, abandoned, false};
    const tks_interrupt either = {is_ended, &e};
    tks_error why = TKS_ERROR_INIT;
    tksp_flight_begin(&flight, getpid(), timeout_ms, &either);
    tks_status status = tksp_flight_end(&flight, &why);
    bool by_us = status == TKS_ERR_INTERRUPTED && !e.by_caller;
    /* Between two requests, the HTTP client reports that it is closed. */
    if (atomic_load(&client->closed) && (by_us || status == TKS_ERR_CLOSED)) {
        return fail_closed(err);
    }
    if (by_us) {
        return tks_fail(err, TKS_ERR_CLOSED, "no caller is waiting for this token");
    }
    return status == TKS_OK ? TKS_OK : tks_fail(err, status, "%s", why.message);
}

/* True for a failure of the server, which lasts for a while, not of one call. */
static bool is_remembered(tks_status status) {
    return status == TKS_ERR_SPIKE || status == TKS_ERR_SPIKE_AUTH;
}

static int64_t keep_ms(const tks_spike_answer *answer) {
    return answer->retry_after_ms > TKS_SPIKE_FAILURE_MS ? answer->retry_after_ms
                                                         : TKS_SPIKE_FAILURE_MS;
}

/* Reports the failure of an entry and the time until the next request. With the mutex held. */
static tks_status tell_failure(const tksp_spike_entry *entry, int64_t now_ms,
                               tks_spike_answer *answer, tks_error *err) {
    int64_t left_ms = entry->failed_until_ms - now_ms;
    if (answer != NULL) {
        *answer = entry->answer;
        answer->retry_after_ms = left_ms > 0 ? left_ms : 0;
    }
    if (left_ms <= 0) {
        return tks_fail(err, entry->failure.status, "%s", entry->failure.message);
    }
    return tks_fail(err, entry->failure.status, "%.600s; next request in %.1f s",
                    entry->failure.message, (double)left_ms / 1000);
}

/* Runs the operation for `entry`, whose `fetching` the caller has set, and wakes the waiting callers. */
tks_status tksp_spike_fetch(tks_spike_client *client, tksp_spike_memory *memory,
                            tksp_spike_entry *entry, int64_t held_until_ms, tks_bytes given,
                            int64_t timeout_ms, const tks_interrupt *interrupt,
                            tks_spike_answer *answer, tks_error *err) {
    tks_op *op = NULL;
    tks_buf text;
    tks_error failure = TKS_ERROR_INIT;
    tks_bytes request = tks_bytes_of(entry->request, entry->request_size);
    tks_status status = TKS_OK;
    tks_buf_init(&text, TKSP_SPIKE_FILE_MAX);
    if (client->file.size > 0) {
        status = tksp_spike_read_file(client->file, &text, &failure);
        given = tks_buf_bytes(&text);
    }
    if (status == TKS_OK) {
        status = tks_spike_get_token(client->spike, request, held_until_ms, given, &op, &failure);
    }
    tks_buf_wipe(&text);
    if (status == TKS_OK) {
        status = run_op(client, op, timeout_ms, interrupt, &entry->abandoned, &failure);
    }
    if (has_forked(memory)) { /* the outcome belongs to the parent's memory */
        memory = tksp_spike_own_memory(client);
        entry = NULL;
    }
    if (memory == NULL) {
        tks_op_free(op);
        return tks_fail_memory(err);
    }
    (void)pthread_mutex_lock(&memory->mutex);
    if (entry == NULL) {
        entry = tksp_spike_find_or_add(memory, request);
    }
    if (entry == NULL) {
        (void)pthread_mutex_unlock(&memory->mutex);
        tks_op_free(op);
        return tks_fail_memory(err);
    }
    if (status == TKS_OK) {
        status = tksp_spike_put(memory, entry, tks_op_get_result(op)->access);
        if (status != TKS_OK) {
            (void)tks_fail_memory(&failure);
        }
    }
    if (op != NULL) {
        entry->answer = *tks_spike_get_answer(op);
        keep_notes(client, memory, op);
    }
    entry->fetching = false;
    entry->outcomes++;
    entry->failure = failure;
    entry->failed_until_ms = is_remembered(status) ? tksp_boot_ms() + keep_ms(&entry->answer) : 0;
    if (status != TKS_OK) {
        (void)tell_failure(entry, tksp_boot_ms(), answer, err);
    }
    (void)pthread_cond_broadcast(&memory->ended);
    (void)pthread_mutex_unlock(&memory->mutex);
    tks_op_free(op);
    return status;
}

/* ---- get --------------------------------------------------------------------------------------- */

/* Looks in memory: true if there is a valid token that equals `held`, unless NULL. `out` may be NULL.
 * *wanting: the entry that is due for renewal. */
static bool look(tksp_spike_memory *memory, tks_bytes request, const tks_bytes *held, tks_buf *out,
                 tksp_spike_entry **wanting) {
    bool good = false;
    *wanting = NULL;
    pthread_rwlock_t *stripe = tksp_spike_begin_reading(memory);
    int64_t now_ms = tksp_boot_ms_coarse(&memory->clocks);
    tksp_spike_entry *entry = tksp_spike_find(memory, request);
    if (entry != NULL && now_ms < entry->good_until_ms &&
        (held == NULL || tks_bytes_equal(tks_buf_bytes(&entry->token), *held))) {
        good = true;
        if (out != NULL) {
            (void)tks_buf_append_bytes(out, tks_buf_bytes(&entry->token));
        }
        if (now_ms >= entry->renew_at_ms) {
            *wanting = entry;
        }
    }
    tksp_spike_end_reading(stripe);
    return good;
}

/* Waits until a fetch has ended. The mutex as in tksp_wait_cond. */
static tks_status wait_for_outcome(tks_spike_client *client, tksp_spike_memory *memory,
                                   const tksp_spike_entry *entry, tksp_wait *wait,
                                   tks_spike_answer *answer, tks_error *err) {
    uint64_t before = entry->outcomes;
    while (entry->outcomes == before && entry->fetching) {
        if (atomic_load(&client->closed)) {
            return fail_closed(err);
        }
        tks_status status = tksp_wait_cond(wait, &memory->ended, &memory->mutex, err);
        if (status == TKS_ERR_TIMEOUT) {
            return tks_fail(err, status,
                            "another thread is fetching the token and did not finish in time");
        }
        if (status != TKS_OK) {
            return status;
        }
    }
    /* Its failure is this caller's failure too, unless it was only abandoned. */
    tks_status status = entry->outcomes != before ? entry->failure.status : TKS_OK;
    if (status == TKS_OK || status == TKS_ERR_INTERRUPTED || status == TKS_ERR_CLOSED ||
        status == TKS_ERR_TIMEOUT) {
        return TKS_OK;
    }
    return tell_failure(entry, tksp_boot_ms(), answer, err);
}

/* Fetches a token that is not in memory, or waits for another thread's fetch. Has no outcome if
 * has_forked(memory). */
static tks_status get_fetched(tks_spike_client *client, tksp_spike_memory *memory,
                              tks_bytes request, tks_bytes given, tksp_wait *wait,
                              const tks_interrupt *interrupt, bool *asks, tks_buf *out,
                              tks_spike_answer *answer, tks_error *err) {
    tks_status status = TKS_OK;
    tksp_spike_entry *wanting;
    (void)pthread_mutex_lock(&memory->mutex);
    tksp_spike_entry *entry = tksp_spike_find_or_add(memory, request);
    if (entry == NULL) {
        status = tks_fail_memory(err);
    }
    while (status == TKS_OK && !look(memory, request, NULL, out, &wanting)) {
        int64_t now_ms = tksp_boot_ms();
        if (!entry->fetching && now_ms < entry->failed_until_ms) {
            status = tell_failure(entry, now_ms, answer, err);
            continue;
        }
        if (entry->fetching) {
            status = wait_for_outcome(client, memory, entry, wait, answer, err);
            if (has_forked(memory)) {
                return status;
            }
            continue;
        }
        *asks = tksp_spike_asks_host(client) && given.size == 0;
        if (*asks) {
            break;
        }
        atomic_store(&entry->abandoned, false);
        entry->fetching = true;
        (void)pthread_mutex_unlock(&memory->mutex);
        int64_t left_ms = (wait->deadline - tksp_clock()) / TKSP_MS;
        status = tksp_spike_fetch(client, memory, entry, 0, given, left_ms > 1 ? left_ms : 1,
                                  interrupt, answer, err);
        if (has_forked(memory)) {
            return status;
        }
        (void)pthread_mutex_lock(&memory->mutex);
    }
    (void)pthread_mutex_unlock(&memory->mutex);
    return status;
}

static bool serve(tks_spike_client *client, tks_bytes request, const tks_bytes *held,
                  tks_buf *out) {
    tksp_spike_entry *wanting;
    tksp_spike_memory *memory = tksp_spike_own_memory(client);
    if (memory == NULL || atomic_load_explicit(&client->closed, memory_order_relaxed) ||
        !look(memory, request, held, out, &wanting)) {
        return false;
    }
    if (wanting != NULL && !tksp_spike_asks_host(client)) {
        tksp_spike_renew_ahead(client, memory, wanting, tks_bytes_of(NULL, 0), tksp_boot_ms());
    }
    return true;
}

bool tks_spike_client_peek(tks_spike_client *client, tks_bytes request, tks_buf *out) {
    return serve(client, request, NULL, out) && out->status == TKS_OK;
}

bool tks_spike_client_is_current(tks_spike_client *client, tks_bytes request, tks_bytes token) {
    return serve(client, request, &token, NULL);
}

tks_status tks_spike_client_get(tks_spike_client *client, tks_bytes request, int64_t timeout_ms,
                                tks_bytes given, const tks_interrupt *interrupt, bool *asks,
                                tks_buf *out, tks_spike_answer *answer, tks_error *err) {
    *asks = false;
    if (answer != NULL) {
        *answer = (tks_spike_answer){0};
    }
    if (tks_spike_client_peek(client, request, out)) {
        return TKS_OK;
    }
    if (atomic_load(&client->closed)) {
        return fail_closed(err);
    }
    tksp_wait wait;
    tksp_spike_memory *memory;
    tks_status status;
    tksp_wait_init(&wait, timeout_ms > 0 ? timeout_ms : client->timeout_ms, interrupt);
    do { /* repeated, with a new memory, in a child forked during the call */
        tks_error why = TKS_ERROR_INIT;
        wait.pid = getpid();
        memory = tksp_spike_own_memory(client);
        if (memory == NULL) {
            return tks_fail_memory(err);
        }
        status =
            get_fetched(client, memory, request, given, &wait, interrupt, asks, out, answer, &why);
        if (status != TKS_OK && (status == TKS_ERR_INTERRUPTED || !has_forked(memory))) {
            return tks_fail(err, status, "%s", why.message);
        }
    } while (has_forked(memory));
    return out->status != TKS_OK ? tks_fail_memory(err) : TKS_OK;
}

/* ---- the rest ---------------------------------------------------------------------------------- */

tks_status tks_spike_client_initialize(tks_spike_client *client, const tks_interrupt *interrupt,
                                       tks_spike_answer *answer, tks_error *err) {
    tks_op *op = NULL;
    if (answer != NULL) {
        *answer = (tks_spike_answer){0};
    }
    if (atomic_load(&client->closed)) {
        return fail_closed(err);
    }
    tksp_spike_memory *memory = tksp_spike_own_memory(client);
    if (memory == NULL) {
        return tks_fail_memory(err);
    }
    if (tks_spike_is_ready(client->spike)) {
        return TKS_OK;
    }
    tks_status status = tks_spike_load_key(client->spike, &op, err);
    if (status == TKS_OK) {
        status = run_op(client, op, client->timeout_ms, interrupt, NULL, err);
    }
    if (op != NULL && answer != NULL) {
        *answer = *tks_spike_get_answer(op);
    }
    if (op != NULL && !has_forked(memory)) {
        (void)pthread_mutex_lock(&memory->mutex);
        keep_notes(client, memory, op);
        (void)pthread_mutex_unlock(&memory->mutex);
    }
    tks_op_free(op);
    return status;
}

bool tks_spike_client_is_initialized(const tks_spike_client *client) {
    return !atomic_load(&client->closed) && tks_spike_is_ready(client->spike);
}

tks_status tks_spike_client_invalidate(tks_spike_client *client, tks_bytes request, tks_bytes token,
                                       const tks_interrupt *interrupt, tks_error *err) {
    tks_op *op = NULL;
    if (atomic_load(&client->closed)) {
        return fail_closed(err);
    }
    tksp_spike_memory *memory = tksp_spike_own_memory(client);
    if (memory == NULL) {
        return tks_fail_memory(err);
    }
    (void)pthread_mutex_lock(&memory->mutex);
    tksp_spike_entry *entry = tksp_spike_find(memory, request); /* only mutex holders add */
    if (entry != NULL) {
        tksp_spike_drop(memory, entry, token);
        entry->failed_until_ms = 0;
    }
    (void)pthread_mutex_unlock(&memory->mutex);
    if (client->redis == NULL) {
        return TKS_OK;
    }
    tks_status status = tks_spike_invalidate(client->spike, request, token, &op, err);
    if (status == TKS_OK) {
        status = run_op(client, op, client->timeout_ms, interrupt, NULL, err);
    }
    tks_op_free(op);
    return status;
}

void tks_spike_client_abandon(tks_spike_client *client, tks_bytes request) {
    tksp_spike_memory *memory = tksp_spike_own_memory(client);
    if (memory == NULL) {
        return;
    }
    pthread_rwlock_t *stripe = tksp_spike_begin_reading(memory);
    tksp_spike_entry *entry = tksp_spike_find(memory, request);
    if (entry != NULL) {
        atomic_store(&entry->abandoned, true);
    }
    tksp_spike_end_reading(stripe);
}

bool tks_spike_client_has_notes(const tks_spike_client *client) {
    return atomic_load_explicit(&client->has_notes, memory_order_relaxed);
}

tks_status tks_spike_client_take_notes(tks_spike_client *client, tks_buf *out) {
    if (!tks_spike_client_has_notes(client)) {
        return TKS_OK;
    }
    tksp_spike_memory *memory = tksp_spike_own_memory(client);
    if (memory == NULL) {
        return TKS_ERR_MEMORY;
    }
    (void)pthread_mutex_lock(&memory->mutex);
    tks_status status = tks_notes_take(&memory->notes, out);
    atomic_store(&client->has_notes, !tks_notes_is_empty(&memory->notes));
    (void)pthread_mutex_unlock(&memory->mutex);
    return status;
}
