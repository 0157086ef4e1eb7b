/* router_private.h - the router's memory; for router.c and router_choose.c.
 *
 * Readers take no lock: the map is an array of atomic numbers, one a slot, each right or wrong by itself. */
#ifndef TKSP_ROUTER_PRIVATE_H
#define TKSP_ROUTER_PRIVATE_H

#include "router.h"

/* What MOVED said. A node that a refresh asks may not have heard of it yet, so it outlives the next one. */
typedef struct patch {
    unsigned slot;
    int node;
    bool old; /* from before the refresh began */
} patch;

struct tks_router {
    atomic_uint holders;
    char *service; /* what Sentinels call the primary; NULL: it is a cluster */
    atomic_flag lock;
    _Atomic int64_t due_ms; /* the next refresh */
    atomic_bool asking;
    _Atomic uint64_t version;
    _Atomic uint16_t of[TKS_SLOTS]; /* a node's number, plus one; 0: not known */
    tksp_nodes nodes;
    /* Under the lock: */
    int seeds; /* they have the first numbers */
    size_t coverage;
    patch patches[TKS_PATCHES_MAX];
    size_t patch_count;
    bool wanted, moved;
    bool renewal;              /* the last refresh has no reason but the time */
    uint32_t silent;           /* Sentinels that did not answer, by number */
    unsigned spared, spares;   /* renewals that still leave them out, and of how many at first */
    uint64_t epoch;            /* the newest that a Sentinel has told, */
    int64_t epoch_ms;          /* and when that refresh began */
    int failed;                /* the last node that was lost; -1: none */
    unsigned in_vain;          /* refreshes in a row that brought nothing new */
    unsigned moves;            /* refreshes in a row that MOVED wanted */
    unsigned refused;          /* views in a row that covered fewer slots */
    int64_t began_ms;          /* the last one */
    int64_t next_ms, moved_ms; /* none begins before; nor, if only MOVED wants one */
    int64_t renew_ms;          /* one begins without a reason */
    _Atomic int64_t sure_ms;   /* when the last one began that was adopted */
    tks_error why;
};

/* Did this Sentinel not answer when it was asked last? The lock is held. */
bool tksp_router_was_silent(const tks_router *router, int sentinel);

/* The nodes to ask in a refresh, in this order; how many. The lock is held. */
size_t tksp_router_choose(const tks_router *router, int out[TKS_REFRESH_NODES]);

#endif
