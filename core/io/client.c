/* client.c - see tokenstore/client.h. Creating, closing and freeing a client; run.c runs operations on it. */
#define _POSIX_C_SOURCE 200809L

#include "tokenstore/client.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "pid.h"
#include "pool.h"
#include "run.h"
#include "tokenstore/embedded.h"

enum { NAME_MAX_SIZE = 1024, EMBEDDED_START_MS = 10000 };

struct tks_client {
    tks_target *target;
    char *name; /* of the target, for messages */
    tksp_pool *_Atomic pool;
    tks_embedded *_Atomic embedded; /* NULL: none, or stopped */
    atomic_bool closed;
    tksp_pid_cache pid;
};

/* ---- life -------------------------------------------------------------------------------------- */

/* Starts the private server and makes its socket the target. */
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
    tks_client *client = calloc(1, sizeof *client);
    if (client == NULL) {
        tks_target_free(target);
        return tks_fail_memory(err);
    }
    client->target = target;
    atomic_init(&client->pool, NULL);
    atomic_init(&client->embedded, NULL);
    atomic_init(&client->closed, false);
    tksp_pid_init(&client->pid);
    tksp_tls_source *tls = NULL;
    tks_status status = TKS_OK;
    if (target->transport == TKS_EMBEDDED) {
        status = start_embedded(client, interrupt, err);
    }
    if (status == TKS_OK && target->tls) {
        status = tksp_tls_source_new(target, &tls, err);
    }
    if (status == TKS_OK) {
        status = name_target(client, err);
    }
    if (status == TKS_OK) {
        atomic_init(&client->pool, tksp_pool_new(target, tls, client->name));
        tls = NULL;
        if (atomic_load(&client->pool) == NULL) {
            status = tks_fail_memory(err);
        }
    }
    tksp_tls_source_free(tls);
    if (status != TKS_OK) {
        tks_client_free(client);
        return status;
    }
    *out = client;
    return TKS_OK;
}

tksp_pool *tksp_client_pool(tks_client *client, pid_t pid) {
    tksp_pool *pool = atomic_load(&client->pool);
    if (tksp_pool_get_pid(pool) == pid) {
        return pool;
    }
    tksp_tls_source *tls = tksp_pool_get_endpoint(pool)->tls;
    if (tls != NULL) {
        tls = tksp_tls_source_inherit(tls);
        if (tls == NULL) {
            return NULL;
        }
    }
    tksp_pool *fresh = tksp_pool_new(client->target, tls, client->name);
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

bool tksp_client_is_closed(const tks_client *client) {
    return atomic_load_explicit(&client->closed, memory_order_relaxed);
}

pid_t tks_client_get_pid(const tks_client *client) {
    return tksp_pid_get(&client->pid);
}

const char *tksp_client_name(const tks_client *client) {
    return client->name;
}

const tks_target *tks_client_get_target(const tks_client *client) {
    return client->target;
}

void tks_client_close(tks_client *client) {
    atomic_store(&client->closed, true);
    tksp_pool *pool = tksp_client_pool(client, getpid());
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
    tksp_pid_clear(&client->pid);
    tks_target_free(client->target);
    free(client->name);
    free(client);
}

static tks_status begin(tks_flight *flight, tks_client *client, tks_op *op, int64_t timeout_ms,
                        const tks_interrupt *interrupt, tks_error *err) {
    if (tksp_client_is_closed(client)) {
        return tks_fail(err, TKS_ERR_CLOSED, "the client is closed");
    }
    *flight = (tks_flight){.client = client, .op = op};
    tksp_flight_begin(flight, tksp_pid_get(&client->pid),
                      timeout_ms > 0 ? timeout_ms : client->target->timeout_ms, interrupt);
    return TKS_OK;
}

tks_status tks_client_begin(tks_client *client, tks_op *op, int64_t timeout_ms,
                            const tks_interrupt *interrupt, tks_flight **out, tks_error *err) {
    tks_flight *flight = malloc(sizeof *flight);
    *out = NULL;
    if (flight == NULL) {
        return tks_fail_memory(err);
    }
    tks_status status = begin(flight, client, op, timeout_ms, interrupt, err);
    if (status != TKS_OK) {
        free(flight);
        return status;
    }
    *out = flight;
    return TKS_OK;
}

tks_status tks_flight_proceed(tks_flight *flight, bool *asks, tks_error *err) {
    tks_status status = tksp_flight_proceed(flight, err);
    *asks = status == TKS_OK && flight->asks;
    return status;
}

void tks_flight_give(tks_flight *flight, tks_credentials *credentials) {
    tksp_flight_give(flight, credentials);
}

tks_status tks_flight_end(tks_flight *flight, tks_error *err) {
    tks_status status = tksp_flight_end(flight, err);
    free(flight);
    return status;
}

void tks_flight_free(tks_flight *flight) {
    if (flight == NULL) {
        return;
    }
    tksp_flight_abandon(flight);
    free(flight);
}

tks_status tks_client_run(tks_client *client, tks_op *op, int64_t timeout_ms,
                          const tks_interrupt *interrupt, tks_error *err) {
    tks_flight flight;
    tks_status status = begin(&flight, client, op, timeout_ms, interrupt, err);
    return status == TKS_OK ? tksp_flight_end(&flight, err) : status;
}
