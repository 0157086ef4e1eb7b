/* pools.c - see pools.h. */
#define _POSIX_C_SOURCE 200809L

#include "pools.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <unistd.h>

#include "tokenstore/meter.h"

enum { NAME_MAX_SIZE = 1024 };

/* A node of a cluster, and its pool. */
typedef struct node {
    tks_target *target;
    char *name;
    tksp_pool *pool;
} node;

struct tksp_pools {
    const tks_target *target;
    const char *name;
    tksp_tls_source *tls;
    pid_t pid;
    atomic_bool closed;
    tksp_pools *inherited; /* the parent process's */
    tksp_pool *only;       /* NULL: of a cluster, */
    tks_router *router;    /* with these, TKS_NODES_MAX by number */
    node *_Atomic *nodes;
    tksp_near_thread *near; /* NULL: there is no near cache */
};

static bool begin(tksp_pools *pools) {
    if (pools->target->near_cache > 0) {
        pools->near = tksp_near_thread_new(pools->target);
        if (pools->near == NULL) {
            return false;
        }
    }
    if (pools->target->host_count == 0) {
        pools->only = tksp_pool_new(pools->target, pools->tls, pools->name);
        return pools->only != NULL;
    }
    pools->router = tks_router_new(pools->target);
    pools->nodes = calloc(TKS_NODES_MAX, sizeof *pools->nodes);
    return pools->router != NULL && pools->nodes != NULL;
}

tksp_pools *tksp_pools_new(const tks_target *target, tksp_tls_source *tls, const char *name) {
    tksp_pools *pools = calloc(1, sizeof *pools);
    if (pools == NULL) {
        tksp_tls_source_free(tls);
        return NULL;
    }
    pools->target = target;
    pools->name = name;
    pools->tls = tls;
    pools->pid = getpid();
    atomic_init(&pools->closed, false);
    if (begin(pools)) {
        return pools;
    }
    tksp_pools_free(pools);
    return NULL;
}

pid_t tksp_pools_get_pid(const tksp_pools *pools) {
    return pools->pid;
}

tks_router *tksp_pools_get_router(const tksp_pools *pools) {
    return pools->router;
}

tksp_near_thread *tksp_pools_get_near(const tksp_pools *pools) {
    return pools->near;
}

void tksp_pools_equip(tksp_pools *pools, tks_client *client, tks_op *op) {
    tks_op_set_server(op, pools->target->server_facts);
    tks_op_set_meter(op, pools->target->meter);
    if (pools->router != NULL) {
        tks_op_set_router(op, pools->router);
    }
    if (pools->near != NULL) {
        tksp_near_thread_start(pools->near, client);
        tks_op_set_near(op, tksp_near_thread_get(pools->near));
    }
}

void tksp_pools_note(tksp_pools *pools, const tks_credentials *credentials) {
    if (pools->near != NULL) {
        tksp_near_thread_note(pools->near, credentials);
    }
}

/* ---- nodes ----------------------------------------------------------------------------------- */

static void free_node(node *n) {
    if (n == NULL) {
        return;
    }
    tksp_pool_free(n->pool);
    tks_target_free(n->target);
    free(n->name);
    free(n);
}

static char *describe(const tks_target *target) {
    tks_buf name;
    tks_buf_init(&name, NAME_MAX_SIZE);
    (void)tks_target_describe(target, &name);
    if (tks_buf_append_char(&name, '\0') == TKS_OK) {
        return name.data;
    }
    tks_buf_clear(&name);
    return NULL;
}

static node *new_node(const tksp_pools *pools, int number) {
    node *n = calloc(1, sizeof *n);
    if (n == NULL) {
        return NULL;
    }
    n->target = tks_router_target(pools->router, pools->target, number);
    n->name = n->target != NULL ? describe(n->target) : NULL;
    n->pool = n->name != NULL ? tksp_pool_new(n->target, pools->tls, n->name) : NULL;
    if (n->pool != NULL) {
        return n;
    }
    free_node(n);
    return NULL;
}

tksp_pool *tksp_pools_get(tksp_pools *pools, int number) {
    if (pools->only != NULL) {
        return pools->only;
    }
    node *there = atomic_load(&pools->nodes[number]);
    if (there != NULL) {
        return there->pool;
    }
    node *made = new_node(pools, number);
    if (made == NULL) {
        return NULL;
    }
    if (!atomic_compare_exchange_strong(&pools->nodes[number], &there, made)) {
        free_node(made); /* another thread was faster */
        return there->pool;
    }
    if (atomic_load(&pools->closed)) {
        tksp_pool_close(made->pool);
    }
    return made->pool;
}

/* Pool `*i`, and *i is the number to go on with; NULL: there are no more. */
static tksp_pool *next_pool(const tksp_pools *pools, int *i) {
    if (pools->only != NULL) {
        return (*i)++ == 0 ? pools->only : NULL;
    }
    while (pools->nodes != NULL && *i < TKS_NODES_MAX) {
        node *n = atomic_load(&pools->nodes[(*i)++]);
        if (n != NULL) {
            return n->pool;
        }
    }
    return NULL;
}

void tksp_pools_add_stats(const tksp_pools *pools, tks_pool_stats *stats) {
    int i = 0;
    tksp_pool *pool;
    while ((pool = next_pool(pools, &i)) != NULL) {
        tksp_pool_add_stats(pool, stats);
    }
}

void tksp_pools_retire(tksp_pools *pools) {
    for (int i = 0; pools->nodes != NULL && i < TKS_NODES_MAX; i++) {
        node *n = atomic_load(&pools->nodes[i]);
        if (n != NULL && !tks_router_serves(pools->router, i)) {
            tksp_pool_retire(n->pool);
        }
    }
}

/* ---- ends ------------------------------------------------------------------------------------ */

void tksp_pools_close(tksp_pools *pools) {
    int i = 0;
    tksp_pool *pool;
    atomic_store(&pools->closed, true);
    while ((pool = next_pool(pools, &i)) != NULL) {
        tksp_pool_close(pool);
    }
}

tksp_pools *tksp_pools_inherit(const tksp_pools *parent) {
    tksp_tls_source *tls = parent->tls != NULL ? tksp_tls_source_inherit(parent->tls) : NULL;
    if (parent->tls != NULL && tls == NULL) {
        return NULL;
    }
    return tksp_pools_new(parent->target, tls, parent->name);
}

void tksp_pools_adopt(tksp_pools *pools, tksp_pools *inherited) {
    int i = 0;
    tksp_pool *pool;
    pools->inherited = inherited;
    if (inherited->near != NULL) {
        tksp_near_thread_drop_inherited(inherited->near);
    }
    while ((pool = next_pool(inherited, &i)) != NULL) {
        tksp_pool_drop_inherited(pool);
    }
}

void tksp_pools_free(tksp_pools *pools) {
    while (pools != NULL) {
        tksp_pools *next = pools->inherited;
        tksp_near_thread_free(pools->near);
        for (int i = 0; pools->nodes != NULL && i < TKS_NODES_MAX; i++) {
            free_node(atomic_load(&pools->nodes[i]));
        }
        free(pools->nodes);
        tksp_pool_free(pools->only);
        tks_router_free(pools->router);
        tksp_tls_source_free(pools->tls);
        free(pools);
        pools = next;
    }
}
