/* router_list.c - the nodes that one listens to, for what each publishes by itself. See tokenstore/router.h. */
#include "router.h"

/* Mixes the bits of a slot (splitmix64), so that the sum over some slots tells them from others. */
static uint64_t mix(uint64_t slot) {
    uint64_t x = (slot + 1) * UINT64_C(0x9e3779b97f4a7c15);
    x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);
    return x ^ (x >> 31);
}

static tks_member *find(tks_member *members, size_t count, int node) {
    for (size_t i = 0; i < count; i++) {
        if (members[i].node == node) return &members[i];
    }
    return NULL;
}

size_t tks_router_list(const tks_router *router, bool replicas, tks_member *out, size_t room) {
    size_t count = 0;
    tks_member *last = NULL; /* slots of a node lie side by side */
    for (unsigned slot = 0; slot < TKS_SLOTS; slot++) {
        int node = tksp_router_primary(router, slot);
        if (node < 0) continue;
        if (last == NULL || last->node != node) last = find(out, count, node);
        if (last == NULL) {
            if (count == room) break;
            last = &out[count++];
            *last = (tks_member){node, false, 0};
        }
        last->slots += mix(slot);
    }
    for (int node = 0; replicas && node < TKS_NODES_MAX && count < room; node++) {
        if (tksp_router_is_replica(router, node)) out[count++] = (tks_member){node, true, 0};
    }
    return count;
}
