/* client.c - see tokenstore/client.h. Creating, closing and freeing a client; run.c runs operations on it. */
#define _POSIX_C_SOURCE 200809L

#include "tokenstore/client.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "pid.h"
#include "pools.h"
#include "run.h"
#include "tokenstore/embedded.h"
#include "tokenstore/meter.h"
#include "tokenstore/secret.h"

enum { NAME_MAX_SIZE = 1024, EMBEDDED_START_MS = 10000 };

struct tks_client {
    tks_target *target;
    char *name; /* of the target, for messages */
    tksp_pools *_Atomic pools;
    tks_embedded *_Atomic embedded; /* NULL: none, or stopped */
    atomic_bool closed;
    tksp_pid_cache pid;
};

/* ---- life -------------------------------------------------------------------------------------- */

/* Makes the nodes of the cluster the target. */
static tks_status aim_at_cluster(tks_target *target, const tks_embedded_cluster *cluster,
                                 tks_error *err) {
    target->hosts = calloc(TKS_EMBEDDED_NODES, sizeof *target->hosts);
    target->password = strdup(cluster->password);
    bool good = target->hosts != NULL && target->password != NULL;
    for (size_t i = 0; good && i < TKS_EMBEDDED_NODES; i++) {
        target->hosts[i].host = strdup("127.0.0.1");
        target->hosts[i].port = cluster->ports[i];
        target->host_count++;
        good = target->hosts[i].host != NULL;
    }
    target->transport = TKS_CLUSTER;
    return good ? TKS_OK : tks_fail_memory(err);
}

static tks_status start_embedded_cluster(tks_client *client, const tks_interrupt *interrupt,
                                         tks_error *err) {
    tks_embedded_cluster cluster;
    tks_embedded *embedded = NULL;
    tks_status status = tks_embedded_start_cluster(client->target->server, EMBEDDED_START_MS,
                                                   interrupt, &cluster, &embedded, err);
    atomic_init(&client->embedded, embedded);
    if (status == TKS_OK) {
        status = aim_at_cluster(client->target, &cluster, err);
    }
    tks_wipe(&cluster, sizeof cluster);
    return status;
}

/* Starts the private server and makes its socket the target. */
static tks_status start_embedded(tks_client *client, const tks_interrupt *interrupt,
                                 tks_error *err) {
    tks_target *target = client->target;
    if (target->embeds_cluster) {
        return start_embedded_cluster(client, interrupt, err);
    }
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
    atomic_init(&client->pools, NULL);
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
        atomic_init(&client->pools, tksp_pools_new(target, tls, client->name));
        tls = NULL;
        if (atomic_load(&client->pools) == NULL) {
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

tksp_pools *tksp_client_pools(tks_client *client, pid_t pid) {
    tksp_pools *pools = atomic_load(&client->pools);
    if (tksp_pools_get_pid(pools) == pid) {
        return pools;
    }
    tksp_pools *fresh = tksp_pools_inherit(pools);
    if (fresh == NULL) {
        return NULL;
    }
    if (!atomic_compare_exchange_strong(&client->pools, &pools, fresh)) {
        tksp_pools_free(fresh);
        return pools;
    }
    tksp_pools_adopt(fresh, pools);
    if (atomic_load(&client->closed)) {
        tksp_pools_close(fresh);
    }
    return fresh;
}

bool tksp_client_is_closed(const tks_client *client) {
    return atomic_load_explicit(&client->closed, memory_order_relaxed);
}

pid_t tks_client_get_pid(const tks_client *client) {
    return tksp_pid_get(&client->pid);
}

tks_router *tks_client_hold_router(tks_client *client) {
    tksp_pools *pools = tksp_client_pools(client, tksp_pid_get(&client->pid));
    tks_router *router = pools != NULL ? tksp_pools_get_router(pools) : NULL;
    return router != NULL ? tks_router_hold(router) : NULL;
}

tks_near *tks_client_hold_near(tks_client *client) {
    tksp_pools *pools = tksp_client_pools(client, tksp_pid_get(&client->pid));
    tksp_near_thread *near = pools != NULL ? tksp_pools_get_near(pools) : NULL;
    if (near == NULL) {
        return NULL;
    }
    tksp_near_thread_start(near, client);
    return tks_near_hold(tksp_near_thread_get(near));
}

/* NULL: there is none, or nothing was asked for in this process. */
static tks_near *borrow_near(tks_client *client, tksp_pools **out) {
    tksp_pools *pools = tksp_client_pools(client, tksp_pid_get(&client->pid));
    tksp_near_thread *near = pools != NULL ? tksp_pools_get_near(pools) : NULL;
    *out = pools;
    return near != NULL ? tksp_near_thread_get(near) : NULL;
}

void *tks_client_find_view(tks_client *client, const tks_near_question *question) {
    tksp_pools *pools;
    tks_near *near = borrow_near(client, &pools);
    if (near == NULL) {
        return NULL;
    }
    return tks_near_find_view(near, tksp_pools_get_router(pools), question, tksp_boot_ms());
}

void *tks_client_reap_view(tks_client *client, bool all) {
    tksp_pools *pools;
    tks_near *near = borrow_near(client, &pools);
    return near != NULL ? tks_near_reap(near, all) : NULL;
}

void tks_client_note_credentials(tks_client *client, const tks_credentials *credentials) {
    tksp_pools *pools = tksp_client_pools(client, tksp_pid_get(&client->pid));
    if (pools != NULL) {
        tksp_pools_note(pools, credentials);
    }
}

bool tks_client_get_near_stats(tks_client *client, tks_near_stats *out) {
    tks_near *near = tks_client_hold_near(client);
    if (near == NULL) {
        return false;
    }
    *out = tks_near_get_stats(near, tksp_boot_ms());
    tks_near_free(near);
    return true;
}

static int64_t clock_us(void) {
    return tksp_clock() / 1000;
}

tks_status tks_client_measure(tks_client *client) {
    return tks_meter_start(client->target->meter, clock_us);
}

tks_pool_stats tks_client_get_pool_stats(tks_client *client) {
    tksp_pools *pools = tksp_client_pools(client, tksp_pid_get(&client->pid));
    tks_pool_stats stats = {0};
    if (pools != NULL) {
        tksp_pools_add_stats(pools, &stats);
    }
    return stats;
}

const tks_target *tks_client_get_target(const tks_client *client) {
    return client->target;
}

void tks_client_close(tks_client *client) {
    atomic_store(&client->closed, true);
    tksp_pools *pools = tksp_client_pools(client, getpid());
    if (pools != NULL) {
        tksp_pools_close(pools);
    }
    if (pools != NULL && tksp_pools_get_near(pools) != NULL) {
        tksp_near_thread_stop(tksp_pools_get_near(pools));
    }
    tks_embedded_stop(atomic_exchange(&client->embedded, NULL));
}

void tks_client_free(tks_client *client) {
    if (client == NULL) {
        return;
    }
    if (atomic_load(&client->pools) != NULL) {
        tks_client_close(client);
    }
    tks_embedded_stop(atomic_exchange(&client->embedded, NULL));
    tksp_pools_free(atomic_load(&client->pools));
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
