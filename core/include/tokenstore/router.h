/* tokenstore/router.h - what a client knows of its cluster: which node serves which slot; or, by Sentinels, which is the primary: then
 * that serves all.
 *
 * Purpose:   operations look up where their commands go, and tell what answers said of it (MOVED, a lost connection …).
 *            A driver keeps connections by the nodes' numbers, and runs a refresh, an ordinary operation, where one is due.
 * Rules:     a driver of a cluster gives each operation its router before the first step. When an operation starts, and in place
 *            of its sleep, it runs the refresh that tks_router_refresh gives, if any. Nodes are named by host and port; their numbers
 *            are given once and never change.
 * Lifecycle: a counted handle; operations hold it.
 * Threads:   any number, without a lock that is held for more than microseconds.
 * Fork:      a router belongs to the process that made it: a child makes its own. */
#ifndef TOKENSTORE_ROUTER_H
#define TOKENSTORE_ROUTER_H

#include "tokenstore/op.h"
#include "tokenstore/url.h"

TKS_BEGIN_DECLS

enum { TKS_NODES_MAX = 4096 /**< the most nodes that a router numbers */ };

typedef struct tks_router tks_router;

/** For a target of the transport TKS_CLUSTER or TKS_SENTINEL, whose hosts are the first to be asked. NULL: out of memory. */
tks_router *tks_router_new(const tks_target *target) TKS_ALL_NONNULL;

tks_router *tks_router_hold(tks_router *router); /**< counts one more holder; returns it */
void tks_router_free(
    tks_router *router); /**< one holder fewer, the last frees it; NULL is accepted */

/** Before the first step: where the operation's commands go. It holds the router. */
void tks_op_set_router(tks_op *op, tks_router *router) TKS_ALL_NONNULL;

/** A refresh, if one is due at `now_ms` of a monotonic clock and none is running; the caller runs and frees it. NULL: none is due, or
 * there is no memory for it. Costs nothing where none is due. */
tks_op *tks_router_refresh(tks_router *router, int64_t now_ms) TKS_ALL_NONNULL;

/** Would tks_router_refresh give one? */
bool tks_router_is_due(const tks_router *router, int64_t now_ms) TKS_ALL_NONNULL;

/** Is one running? Those who wait for it look again soon. */
bool tks_router_is_asking(const tks_router *router) TKS_ALL_NONNULL;

/** The target of a node: TCP, with the options of `url`, the client's. What is learned of the server is shared with it. The caller frees
 * it. NULL: out of memory, or there is no node of this number. */
tks_target *tks_router_target(const tks_router *router, const tks_target *url,
                              int node) TKS_ALL_NONNULL;

/** Does the node serve slots, as far as is known? Connections to one that does not any more should be closed. */
bool tks_router_serves(const tks_router *router, int node) TKS_ALL_NONNULL;

/** How often the map changed: by refreshes and by MOVED. */
uint64_t tks_router_version(const tks_router *router) TKS_ALL_NONNULL;

/* ---- for those who listen to every primary ---- */

/** A node to listen to. */
typedef struct tks_member {
    int node;
    bool replica;   /**< it serves nothing, and copies a primary */
    uint64_t slots; /**< of a primary: another number for other slots */
} tks_member;

/** The primaries, and with `replicas` those of the last refresh behind them: at most `room`. How many; 0: none is known now. */
size_t tks_router_list(const tks_router *router, bool replicas, tks_member *out,
                       size_t room) TKS_ALL_NONNULL;

/** From now on each refresh asks for replicas, too. */
void tks_router_want_replicas(tks_router *router) TKS_ALL_NONNULL;

/** Makes a refresh due if the last one began more than `age_ms` before `now_ms`. */
void tks_router_renew(tks_router *router, int64_t now_ms, int64_t age_ms) TKS_ALL_NONNULL;

/** When the last refresh began that found out where the slots are. 0: none did. */
int64_t tks_router_renewed_ms(const tks_router *router) TKS_ALL_NONNULL;

/** The connection to `node` was lost, or none could be opened; or it does not serve now. Of a primary that Sentinels named, nothing is
 * known then before they are asked again: it may have been replaced, and come back as what it was. */
void tks_router_lost(tks_router *router, int node) TKS_ALL_NONNULL;

TKS_END_DECLS
#endif
