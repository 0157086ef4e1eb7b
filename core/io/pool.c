/* pool.c - see pool.h. */
#define _POSIX_C_SOURCE 200809L

#include "pool.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "tokenstore/connecting.h"

#define NONE SIZE_MAX

enum { EMPTY, IDLE, LENT }; /* states of a slot */

/* After fork() a child reads the parent's slots without the mutex. So both members are atomic, and nothing
 * changes a connection while its slot is IDLE. */
typedef struct slot {
    tksp_conn *_Atomic conn;
    atomic_int state;
    uint64_t generation;
    size_t below; /* the next slot in the same stack */
} slot;

/* A caller in the queue; lives on its stack. */
typedef struct waiter {
    pthread_cond_t served;
    size_t slot; /* NONE until one is assigned */
    struct waiter *next;
} waiter;

struct tksp_pool {
    tksp_endpoint endpoint;
    pid_t pid;
    pthread_mutex_t mutex;
    bool closed;
    uint64_t generation;
    uint64_t timeouts;       /* see tks_pool_stats, */
    _Atomic uint64_t opened; /* and there */
    int64_t renewable_at;    /* by tksp_clock() */
    size_t idle;             /* the top of the stack of IDLE slots, or NONE */
    size_t empty;            /* the same for EMPTY ones */
    waiter *first, **last;
    size_t size;
    slot slots[];
};

tksp_pool *tksp_pool_new(const tks_target *target, tksp_tls_source *tls, const char *name) {
    size_t size = target->pool_size;
    tksp_pool *pool = calloc(1, sizeof *pool + size * sizeof(slot));
    if (pool == NULL) {
        return NULL;
    }
    pool->endpoint = (tksp_endpoint){.target = target, .name = name, .tls = tls};
    if (target->transport == TKS_TCP) {
        pool->endpoint.resolver = tksp_resolver_new(target);
    }
    if ((target->transport == TKS_TCP && pool->endpoint.resolver == NULL) ||
        pthread_mutex_init(&pool->mutex, NULL) != 0) {
        tksp_resolver_free(pool->endpoint.resolver);
        free(pool);
        return NULL;
    }
    pool->pid = getpid();
    pool->idle = NONE;
    pool->last = &pool->first;
    pool->size = size;
    for (size_t i = 0; i < size; i++) {
        atomic_init(&pool->slots[i].conn, NULL);
        atomic_init(&pool->slots[i].state, EMPTY);
        pool->slots[i].below = i + 1 < size ? i + 1 : NONE;
    }
    return pool;
}

pid_t tksp_pool_get_pid(const tksp_pool *pool) {
    return pool->pid;
}

const tksp_endpoint *tksp_pool_get_endpoint(const tksp_pool *pool) {
    return &pool->endpoint;
}

/* ---- stacks and queue; the mutex is held ------------------------------------------------------- */

static size_t pop(tksp_pool *pool, size_t *stack) {
    size_t index = *stack;
    if (index != NONE) {
        *stack = pool->slots[index].below;
    }
    return index;
}

/* Assigns a free slot to the first waiter, or pushes it onto its stack. */
static void place(tksp_pool *pool, size_t index) {
    waiter *w = pool->first;
    if (w == NULL) {
        bool idle = atomic_load(&pool->slots[index].state) == IDLE;
        size_t *stack = idle ? &pool->idle : &pool->empty;
        pool->slots[index].below = *stack;
        *stack = index;
        return;
    }
    pool->first = w->next;
    if (pool->first == NULL) {
        pool->last = &pool->first;
    }
    w->slot = index;
    (void)pthread_cond_signal(&w->served);
}

static void enter_queue(tksp_pool *pool, waiter *w) {
    *pool->last = w;
    pool->last = &w->next;
}

static void leave_queue(tksp_pool *pool, waiter *w) {
    waiter **at = &pool->first;
    while (*at != w) {
        at = &(*at)->next;
    }
    *at = w->next;
    if (pool->last == &w->next) {
        pool->last = at;
    }
}

/* ---- lending ----------------------------------------------------------------------------------- */

static tks_status fail_exhausted(const tksp_pool *pool, tks_error *err) {
    return tks_fail(err, TKS_ERR_TIMEOUT,
                    "%.120s: all %zu connections of the pool were in use until the timeout: raise "
                    "pool_size, or use fewer threads",
                    pool->endpoint.name, pool->size);
}

/* Waits in the queue until a slot is assigned. The mutex is held on entry, and on return unless the process
 * forked. */
static tks_status queue_up(tksp_pool *pool, tksp_wait *wait, size_t *out, tks_error *err) {
    waiter w = {.slot = NONE};
    tks_status status = TKS_OK;
    if (!tksp_wait_cond_init(&w.served)) {
        return tks_fail_memory(err);
    }
    enter_queue(pool, &w);
    while (status == TKS_OK && w.slot == NONE && !pool->closed) {
        status = tksp_wait_cond(wait, &w.served, &pool->mutex, err);
    }
    if (getpid() == pool->pid) {
        if (w.slot == NONE) {
            leave_queue(pool, &w);
        } else if (status == TKS_ERR_TIMEOUT) {
            status = TKS_OK; /* assigned at the last moment */
        } else if (status != TKS_OK) {
            place(pool, w.slot);
        }
        pool->timeouts += status == TKS_ERR_TIMEOUT;
    }
    (void)pthread_cond_destroy(&w.served);
    *out = w.slot;
    return status == TKS_ERR_TIMEOUT ? fail_exhausted(pool, err) : status;
}

/* Acquires a slot; *stale: its connection is of an older generation. */
static tks_status take_slot(tksp_pool *pool, bool anew, tksp_wait *wait, tksp_lease *lease,
                            bool *stale, tks_error *err) {
    tks_status status = TKS_OK;
    size_t index = NONE;
    (void)pthread_mutex_lock(&pool->mutex);
    if (!pool->closed) {
        index = pop(pool, anew ? &pool->empty : &pool->idle);
        if (index == NONE) {
            index = pop(pool, anew ? &pool->idle : &pool->empty);
        }
        if (index == NONE) {
            status = queue_up(pool, wait, &index, err);
        }
    }
    if (status != TKS_OK && getpid() != pool->pid) {
        return status;
    }
    if (status == TKS_OK && index != NONE) {
        slot *s = &pool->slots[index];
        *stale = s->generation != pool->generation;
        s->generation = pool->generation;
        atomic_store(&s->state, LENT);
        lease->slot = index;
        lease->generation = pool->generation;
    }
    (void)pthread_mutex_unlock(&pool->mutex);
    if (status == TKS_OK && index == NONE) {
        return tks_fail(err, TKS_ERR_CLOSED, "the client is closed");
    }
    return status;
}

tks_status tksp_pool_lend(tksp_pool *pool, bool anew, tksp_wait *wait, tksp_lease *out,
                          tks_error *err) {
    bool stale = false;
    tks_status status = take_slot(pool, anew, wait, out, &stale, err);
    if (status != TKS_OK) {
        return status;
    }
    slot *s = &pool->slots[out->slot];
    out->conn = atomic_load(&s->conn);
    out->used = out->conn != NULL && !stale && !anew && tksp_conn_is_fresh(out->conn);
    if (out->used) {
        out->used_at = tksp_conn_get_used_at(out->conn);
        return TKS_OK;
    }
    /* The server hung up, or sent something unrequested. The slots below were used even longer ago, so a new
     * connection replaces this one. */
    atomic_store(&s->conn, NULL);
    tksp_conn_close(out->conn);
    out->conn = tksp_conn_new(&pool->endpoint);
    if (out->conn == NULL) {
        tksp_pool_give_back(pool, out);
        return tks_fail_memory(err);
    }
    atomic_store(&s->conn, out->conn);
    return TKS_OK;
}

void tksp_pool_give_back(tksp_pool *pool, const tksp_lease *lease) {
    slot *s = &pool->slots[lease->slot];
    tksp_conn *conn = lease->conn;
    if (conn != NULL && !tksp_conn_is_usable(conn)) {
        atomic_store(&s->conn, NULL);
        tksp_conn_close(conn);
        conn = NULL;
        /* In a child forked during an exchange: the connection is unusable, and the lock belongs to the
         * parent. */
        if (getpid() != pool->pid) {
            return;
        }
    }
    (void)pthread_mutex_lock(&pool->mutex);
    tksp_conn *doomed = NULL;
    if (conn != NULL && (pool->closed || s->generation != pool->generation)) {
        atomic_store(&s->conn, NULL);
        doomed = conn;
        conn = NULL;
    }
    atomic_store(&s->state, conn != NULL ? IDLE : EMPTY);
    place(pool, lease->slot);
    (void)pthread_mutex_unlock(&pool->mutex);
    tksp_conn_close(doomed);
}

void tksp_pool_note_opening(tksp_pool *pool, tks_status status) {
    (void)atomic_fetch_add_explicit(&pool->opened, status == TKS_OK, memory_order_relaxed);
}

void tksp_pool_add_stats(tksp_pool *pool, tks_pool_stats *stats) {
    (void)pthread_mutex_lock(&pool->mutex);
    for (size_t i = 0; i < pool->size; i++) {
        int state = atomic_load(&pool->slots[i].state);
        stats->idle += state == IDLE;
        stats->used += state == LENT;
    }
    for (const waiter *w = pool->first; w != NULL; w = w->next) {
        stats->waiting++;
    }
    stats->limit += pool->size;
    stats->opened += atomic_load_explicit(&pool->opened, memory_order_relaxed);
    stats->timeouts += pool->timeouts;
    (void)pthread_mutex_unlock(&pool->mutex);
}

/* ---- ends -------------------------------------------------------------------------------------- */

/* A pointer to the first link in the stack of idle slots whose slot is idle since `used_at` or longer. */
static size_t *find_idle(tksp_pool *pool, int64_t used_at) {
    size_t *at = &pool->idle;
    while (*at != NONE && tksp_conn_get_used_at(atomic_load(&pool->slots[*at].conn)) > used_at) {
        at = &pool->slots[*at].below;
    }
    return at;
}

void tksp_pool_drop_idle(tksp_pool *pool, int64_t used_at) {
    tksp_conn *conn;
    do {
        conn = NULL;
        (void)pthread_mutex_lock(&pool->mutex);
        size_t index = pop(pool, find_idle(pool, used_at));
        if (index != NONE) {
            slot *s = &pool->slots[index];
            conn = atomic_exchange(&s->conn, NULL);
            atomic_store(&s->state, EMPTY);
            place(pool, index);
        }
        (void)pthread_mutex_unlock(&pool->mutex);
        tksp_conn_close(conn);
    } while (conn != NULL);
}

void tksp_pool_renew(tksp_pool *pool, uint64_t generation) {
    int64_t now = tksp_clock();
    (void)pthread_mutex_lock(&pool->mutex);
    /* Other callers may have reported the same failure, or new connections fail as well. */
    bool first = generation == pool->generation && now >= pool->renewable_at;
    if (first) {
        pool->generation++;
        pool->renewable_at = now + TKS_RENEW_EVERY_MS * TKSP_MS;
    }
    (void)pthread_mutex_unlock(&pool->mutex);
    if (first) {
        tksp_pool_drop_idle(pool, INT64_MAX);
    }
}

void tksp_pool_retire(tksp_pool *pool) {
    (void)pthread_mutex_lock(&pool->mutex);
    bool any = pool->idle != NONE;
    pool->generation += any; /* lent ones are closed when they come back */
    (void)pthread_mutex_unlock(&pool->mutex);
    if (any) {
        tksp_pool_drop_idle(pool, INT64_MAX);
    }
}

void tksp_pool_close(tksp_pool *pool) {
    (void)pthread_mutex_lock(&pool->mutex);
    pool->closed = true; /* waiters notice it at the end of their slice */
    (void)pthread_mutex_unlock(&pool->mutex);
    tksp_pool_drop_idle(pool, INT64_MAX);
}

void tksp_pool_drop_inherited(tksp_pool *pool) {
    for (size_t i = 0; i < pool->size; i++) {
        slot *s = &pool->slots[i];
        tksp_conn *conn = atomic_load(&s->conn);
        if (conn == NULL) {
            continue;
        }
        tksp_conn_drop_inherited(conn);
        if (atomic_load(&s->state) == IDLE) {
            atomic_store(&s->conn, NULL);
            tksp_conn_close(conn);
        }
        /* A LENT connection is not freed: its borrower, a thread of the parent, may have been changing it. */
    }
}

void tksp_pool_free(tksp_pool *pool) {
    if (pool == NULL) {
        return;
    }
    for (size_t i = 0; i < pool->size; i++) {
        if (atomic_load(&pool->slots[i].state) == IDLE) {
            tksp_conn_close(atomic_load(&pool->slots[i].conn));
        }
    }
    if (pool->pid == getpid()) {
        (void)pthread_mutex_destroy(&pool->mutex);
    }
    tksp_resolver_free(pool->endpoint.resolver);
    free(pool);
}
