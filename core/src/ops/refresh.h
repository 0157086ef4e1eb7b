/* refresh.h - asks where a router's slots are, as an operation: the nodes of a cluster (ask_cluster.c), or Sentinels (ask_sentinel.c).
 * For core/src/router.c, and for those two. */
#ifndef TKSP_OPS_REFRESH_H
#define TKSP_OPS_REFRESH_H

#include "op_private.h"
#include "router.h"

typedef struct tksp_refresh {
    tks_op base;
    tks_router *router;
    int nodes[TKS_REFRESH_NODES]; /* to be asked, one after the other */
    size_t count, at;
    bool adopted, settled;
    tks_error why; /* of the last node that was asked in vain */
    /* of Sentinels: the newest answer so far */
    int primary; /* -1: none */
    uint64_t epoch;
} tksp_refresh;

typedef struct tksp_asker {
    /* Adds the questions to a node; all go to it, and errors are answers. TKS_OK, TKS_ERR_MEMORY. */
    tks_status (*ask)(tksp_refresh *self);
    /* Takes the answers. True: no other node need be asked. Else `why` says what is wrong, or nothing. */
    bool (*take)(tksp_refresh *self);
    /* All were asked. NULL: nothing is left to do. */
    void (*conclude)(tksp_refresh *self);
} tksp_asker;

extern const tksp_asker tksp_ask_cluster, tksp_ask_sentinel;

/* Asks `count` nodes; freed before its end, it settles. NULL: out of memory, and it is settled. */
tks_op *tksp_refresh_new(tks_router *router, const int *nodes, size_t count);

bool tksp_contains(tks_bytes text, const char *word);

#endif
