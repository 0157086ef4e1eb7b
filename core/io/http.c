/* http.c - see tokenstore/http_client.h. Lifecycle, fork, and the pool of handles.
 *
 * A fetch takes the handle that was used last, so that sequential requests of several threads share one
 * connection. If all are busy it creates another one: no caller waits for a handle. At most IDLE_MAX idle
 * handles are kept. */
#define _POSIX_C_SOURCE 200809L

#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

#include "http_private.h"

enum { IDLE_MAX = 16 };
#define TIMEOUT_MAX_MS INT64_C(315360000000) /* ten years, far from the end of int64_t */

/* The handles of one process. The mutex is held for a few instructions, never around I/O. */
typedef struct pool {
    struct pool *inherited; /* the parent process's */
    pid_t pid;
    pthread_mutex_t mutex;
    tksp_http_handle *handles; /* all, used last first */
} pool;

struct tks_http {
    tksp_http_config config;
    pool *_Atomic pool;
    atomic_bool closed;
};

/* ---- a pool ---------------------------------------------------------------------------------- */

static pool *new_pool(void) {
    pool *p = calloc(1, sizeof *p);
    if (p != NULL && pthread_mutex_init(&p->mutex, NULL) != 0) {
        free(p);
        return NULL;
    }
    if (p != NULL) {
        p->pid = getpid();
    }
    return p;
}

/* Lends an idle handle, or NULL. */
static tksp_http_handle *take_idle(pool *p) {
    (void)pthread_mutex_lock(&p->mutex);
    tksp_http_handle *handle = p->handles;
    while (handle != NULL && handle->busy) {
        handle = handle->next;
    }
    if (handle != NULL) {
        handle->busy = true;
    }
    (void)pthread_mutex_unlock(&p->mutex);
    return handle;
}

static void add_busy(pool *p, tksp_http_handle *handle) {
    handle->busy = true;
    (void)pthread_mutex_lock(&p->mutex);
    handle->next = p->handles;
    p->handles = handle;
    (void)pthread_mutex_unlock(&p->mutex);
}

/* Removes the idle handles except the `keep` most recently used ones; returns them as a list. */
static tksp_http_handle *take_surplus(pool *p, size_t keep) {
    tksp_http_handle *surplus = NULL;
    tksp_http_handle **at = &p->handles;
    while (*at != NULL) {
        tksp_http_handle *handle = *at;
        if (handle->busy || keep > 0) {
            keep -= handle->busy ? 0 : 1;
            at = &handle->next;
        } else {
            *at = handle->next;
            handle->next = surplus;
            surplus = handle;
        }
    }
    return surplus;
}

static void free_list(tksp_http_handle *list) {
    while (list != NULL) {
        tksp_http_handle *next = list->next;
        tksp_http_handle_free(list);
        list = next;
    }
}

static void give_back(pool *p, tksp_http_handle *handle, const atomic_bool *closed) {
    (void)pthread_mutex_lock(&p->mutex);
    tksp_http_handle **at = &p->handles;
    while (*at != handle) {
        at = &(*at)->next;
    }
    *at = handle->next;
    handle->next = p->handles;
    p->handles = handle;
    handle->busy = false;
    tksp_http_handle *surplus = take_surplus(p, atomic_load(closed) ? 0 : IDLE_MAX);
    (void)pthread_mutex_unlock(&p->mutex);
    free_list(surplus);
}

static void close_idle(pool *p) {
    (void)pthread_mutex_lock(&p->mutex);
    tksp_http_handle *surplus = take_surplus(p, 0);
    (void)pthread_mutex_unlock(&p->mutex);
    free_list(surplus);
}

/* In a forked child. If the mutex was held during the fork, the list may be inconsistent: then it is never
 * touched. */
static void drop_inherited(pool *p) {
    if (pthread_mutex_trylock(&p->mutex) != 0) {
        return;
    }
    tksp_http_handle *handle = p->handles;
    p->handles = NULL;
    while (handle != NULL) {
        tksp_http_handle *next = handle->next;
        tksp_http_handle_free_inherited(handle);
        handle = next;
    }
    (void)pthread_mutex_unlock(&p->mutex);
}

/* The pool of this process. In a forked child the first caller creates it. */
static pool *own_pool(tks_http *http, pid_t pid) {
    pool *p = atomic_load(&http->pool);
    if (p->pid == pid) {
        return p;
    }
    pool *fresh = new_pool();
    if (fresh == NULL) {
        return NULL;
    }
    fresh->inherited = p;
    if (!atomic_compare_exchange_strong(&http->pool, &p, fresh)) {
        (void)pthread_mutex_destroy(&fresh->mutex);
        free(fresh);
        return p;
    }
    drop_inherited(p);
    return fresh;
}

/* ---- life ------------------------------------------------------------------------------------ */

tks_status tks_http_new(const tks_http_options *options, tks_http **out, tks_error *err) {
    *out = NULL;
    tks_status status = tksp_http_start(err);
    if (status != TKS_OK) {
        return status;
    }
    tks_http *http = calloc(1, sizeof *http);
    if (http == NULL) {
        return tks_fail_memory(err);
    }
    atomic_init(&http->closed, false);
    atomic_init(&http->pool, new_pool());
    status = tksp_http_config_init(&http->config, options, err);
    if (status == TKS_OK && atomic_load(&http->pool) == NULL) {
        status = tks_fail_memory(err);
    }
    if (status != TKS_OK) {
        tks_http_free(http);
        return status;
    }
    *out = http;
    return TKS_OK;
}

void tks_http_close(tks_http *http) {
    pool *p = atomic_load(&http->pool);
    atomic_store(&http->closed, true);
    if (p->pid == getpid()) {
        close_idle(p);
    } else {
        drop_inherited(p);
    }
}

void tks_http_free(tks_http *http) {
    if (http == NULL) {
        return;
    }
    pool *p = atomic_load(&http->pool);
    if (p != NULL) {
        tks_http_close(http);
    }
    while (p != NULL) {
        pool *next = p->inherited;
        if (p->pid == getpid()) {
            (void)pthread_mutex_destroy(&p->mutex);
        }
        free(p);
        p = next;
    }
    tksp_http_config_clear(&http->config);
    free(http);
}

/* ---- fetching -------------------------------------------------------------------------------- */

static tks_status get_handle(pool *p, tksp_http_handle **out, tks_error *err) {
    *out = p != NULL ? take_idle(p) : NULL;
    if (p != NULL && *out == NULL) {
        *out = tksp_http_handle_new();
        if (*out != NULL) {
            add_busy(p, *out);
        }
    }
    return *out != NULL ? TKS_OK : tks_fail_memory(err);
}

tks_status tks_http_fetch(tks_http *http, const tks_http_request *request, int64_t timeout_ms,
                          const tks_interrupt *interrupt, tks_http_response **out, bool *sent,
                          bool *final, tks_error *err) {
    tksp_http_handle *handle;
    tksp_wait wait;
    *out = NULL;
    *sent = false;
    *final = false;
    if (atomic_load(&http->closed)) {
        return tks_fail(err, TKS_ERR_CLOSED, "the HTTP client is closed");
    }
    if (timeout_ms <= 0) {
        return tks_fail(err, TKS_ERR_TIMEOUT, "the timeout expired before the request was started");
    }
    tksp_wait_init(&wait, timeout_ms < TIMEOUT_MAX_MS ? timeout_ms : TIMEOUT_MAX_MS, interrupt);
    pool *p = own_pool(http, wait.pid);
    tks_status status = get_handle(p, &handle, err);
    if (status != TKS_OK) {
        return status;
    }
    status = tksp_http_exchange(handle, &http->config, request, &wait, out, sent, final, err);
    if (getpid() == wait.pid) {
        give_back(p, handle, &http->closed);
    }
    return status;
}
