/* router_choose.c - whom a refresh asks. See router_private.h. */
#include "router_private.h"

#include "tokenstore/secret.h"

static size_t add(int *out, size_t count, int node) {
    for (size_t i = 0; i < count; i++) {
        if (out[i] == node) return count;
    }
    if (count < TKS_REFRESH_CLUSTER) out[count++] = node;
    return count;
}

bool tksp_router_was_silent(const tks_router *router, int sentinel) {
    return sentinel < 32 && (router->silent >> sentinel & 1) != 0;
}

/* Those that were silent last; a renewal, which an operation waits for, leaves them out for some time. */
static size_t choose_sentinels(const tks_router *router, int out[TKS_REFRESH_NODES]) {
    int from = (int)tks_random_below((uint32_t)router->seeds);
    size_t count = 0;
    for (int silent = 0; silent < 2; silent++) {
        if (silent && router->renewal && router->spared > 0 && count > 0) break;
        for (int i = 0; i < router->seeds && count < TKS_REFRESH_NODES; i++) {
            int sentinel = (from + i) % router->seeds;
            if (tksp_router_was_silent(router, sentinel) == (bool)silent) out[count++] = sentinel;
        }
    }
    return count;
}

/* Known nodes, all but one; then a seed, whose name may lead to others now; the one that failed. */
size_t tksp_router_choose(const tks_router *router, int out[TKS_REFRESH_NODES]) {
    if (router->service != NULL) return choose_sentinels(router, out);
    int count = atomic_load(&router->nodes.count);
    int from = (int)tks_random_below((uint32_t)count);
    int seed = (int)tks_random_below((uint32_t)router->seeds);
    size_t chosen = 0;
    for (int i = 0; i < count && chosen + 1 < TKS_REFRESH_CLUSTER; i++) {
        int node = (from + i) % count;
        if (node != router->failed && tks_router_serves(router, node)) {
            chosen = add(out, chosen, node);
        }
    }
    for (int i = 0; i < router->seeds; i++) {
        int node = (seed + i) % router->seeds;
        if (node != router->failed) chosen = add(out, chosen, node);
    }
    return router->failed >= 0 ? add(out, chosen, router->failed) : chosen;
}
