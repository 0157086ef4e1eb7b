/* cluster_help.h - a cluster without a network: what its nodes answer, given to a router and to operations. */
#ifndef TKSP_TESTS_CLUSTER_HELP_H
#define TKSP_TESTS_CLUSTER_HELP_H

#include "router.h"

/* One range of an answer to CLUSTER SLOTS. The host has one letter; the port four digits. */
#define CLUSTER_RANGE(first, last, host, port)                                                     \
    "*3\r\n:" #first "\r\n:" #last "\r\n*3\r\n$1\r\n" host "\r\n:" #port "\r\n$1\r\ni\r\n"

/* The first half of the slots at node 0, the second at node 1. */
#define CLUSTER_HALVES                                                                             \
    "*2\r\n" CLUSTER_RANGE(0, 8191, "a", 7000) CLUSTER_RANGE(8192, 16383, "b", 7001)

/* A router whose seeds are a:7000 and b:7001, nodes 0 and 1. It knows no slots. */
tks_router *cluster_new(void);

/* A router whose Sentinels are at a:1 and b:2, nodes 0 and 1. It knows no primary. */
tks_router *cluster_watched(void);

/* The one of cluster_new, and it knows CLUSTER_HALVES since time 0. */
tks_router *cluster_known(void);

/* The first reply in `text`; the caller frees it. */
tks_reply *cluster_reply(const char *text);

/* A refresh at `now_ms`, in which the first node that is asked answers CLUSTER SLOTS with `text`; NULL: none answers. True if
 * that is adopted. */
bool cluster_refresh(tks_router *router, int64_t now_ms, const char *text);

/* The first moment from `now_ms` on at which a refresh is due, less `now_ms`. */
int64_t cluster_due_in(const tks_router *router, int64_t now_ms);

/* Steps the operation with the replies in `text`, which are repeated until the batch has its number. */
tks_need cluster_answer(tks_op *op, const char *text);

/* Steps it with an event without replies. */
tks_need cluster_step(tks_op *op, tks_event_type type);

/* Its connection is lost. */
tks_need cluster_lose(tks_op *op, bool sent);

#endif
