/* router.h - the router's other side: operations, and the refresh (ops/refresh.c). See tokenstore/router.h.
 *
 *     EMPTY ──begin──► ASKING ──settle──► KNOWN ◄──────────────┐
 *                        ▲                  │ hint, age        │ settle
 *                        └──────begin───────┴──► WANTED ──begin┘
 *
 * A lost connection, or a node that refuses, wants a refresh soon: seconds later another node serves its slots. MOVED corrects the
 * slot at once, so it wants one later, and the later the more often it comes: in a reshard, many slots move one by one.
 *
 * The map is an array of atomic numbers, one a slot: each is right or wrong by itself, so readers need neither a lock nor a copy. The
 * changes are made one at a time, under a lock that is held for microseconds.
 *
 * Threads: any. Times are milliseconds of one monotonic clock. Pure. */
#ifndef TKSP_ROUTER_H
#define TKSP_ROUTER_H

#include "topology.h"

enum {
    TKS_REFRESH_NODES = 16,  /* the most that one refresh asks: all Sentinels, */
    TKS_REFRESH_CLUSTER = 3, /* or nodes of a cluster, one after the other until one answers well */
    TKS_REFRESH_MIN_MS = 100,  /* between two; doubled while they bring nothing new */
    TKS_REFRESH_VAIN_MS = 350, /* likewise for clusters, once one did */
    TKS_REFRESH_MAX_MS = 1000, /* the most of that: the replica of a lost node is tried meanwhile */
    TKS_REFRESH_SENTINEL_MAX_MS = 500,
    TKS_REFRESH_MOVED_MS = 500, /* after MOVED; four times as much each time */
    TKS_REFRESH_IDLE_MS =
        45000, /* without a reason; ± a third, so that clients do not ask in step */
    TKS_REFRESH_SENTINEL_MS =
        200, /* the same of Sentinels: an old primary takes writes for ten seconds after
                                     * a failover that they were told to make; those are lost */
    TKS_REFRESH_SPARED = 50, /* the most renewals that leave out a silent Sentinel: 1, 3, 7 … */
    /* So long an older configuration epoch is not believed. Sentinels tell each other every two seconds; if those
     * that knew a newer one are gone for good, the others count. */
    TKS_EPOCH_KEPT_MS = 10000,
    TKS_REFRESH_LOST_MS =
        10000,           /* one that has not ended by then never will: its driver dropped it */
    TKS_PATCHES_MAX = 64 /* of MOVEDs that are kept beyond a refresh */
};

/* Of a cluster, or is it Sentinels that know the one primary, by this name? */
bool tksp_router_is_cluster(const tks_router *router);
tks_bytes tksp_router_service(const tks_router *router);

/* The node that serves a slot; -1: none is known. */
int tksp_router_primary(const tks_router *router, unsigned slot);

/* A random node that serves slots, for commands without a key; -1: none is known. */
int tksp_router_any(const tks_router *router);

/* Host and port of a node, borrowed from the router. False: there is none of this number. */
bool tksp_router_find(const tks_router *router, int node, const char **host, uint16_t *port);

/* Did the last refresh find that it is a replica? */
bool tksp_router_is_replica(const tks_router *router, int node);

/* The number of the node with this address, host:port; -1: there is none that serves slots. TKS_OK, TKS_ERR_MEMORY. */
tks_status tksp_router_named(const tks_router *router, tks_bytes name, int *out);

/* Appends the address of a node, host:port. */
void tksp_router_write_name(const tks_router *router, int node, tks_buf *out);

/* A slot of each node that serves any, by its number, into `slots`, which has room for TKS_NODES_MAX; -1: of others. */
void tksp_router_slots(const tks_router *router, int *slots);

/* What is known of the clock of a node; NULL: there is no such node. Borrowed from the router. */
tks_server *tksp_router_clock(const tks_router *router, int node);

/* The number of a host and port that an answer named; -1: out of memory, or of numbers. An empty host is that of `from`. */
int tksp_router_number(tks_router *router, int from, tks_bytes host, uint16_t port);

/* An answer said that the slot is at `node` now. */
void tksp_router_moved(tks_router *router, unsigned slot, int node);

/* ---- the refresh ---- */

/* Begins one, if it is due and none runs: the nodes to ask, known ones in random order, the one that failed last, and seeds. How
 * many; 0: it is not due. */
size_t tksp_router_begin(tks_router *router, int64_t now_ms, int out[TKS_REFRESH_NODES]);

/* One node's answer to CLUSTER SLOTS. True: it is adopted, and no other need be asked. One that covers fewer slots than what is known
 * is not. On failure `err` says why. */
bool tksp_router_adopt(tks_router *router, int node, const tks_reply *reply, tks_error *err);

/* How long the refresh that runs waits for this node. An operation may wait for a refresh: one that has no reason but the time
 * should keep nobody waiting, nor more than once for a Sentinel that is dead. */
uint32_t tksp_router_patience_ms(tks_router *router, int node);

/* A node was asked, and did answer, or did not. */
void tksp_router_heard(tks_router *router, int node, bool answered);

/* Does somebody want to know the replicas? */
bool tksp_router_wants_replicas(const tks_router *router);

/* The replica that will probably take over from a node; -1: none is known. */
int tksp_router_standby(tks_router *router, int node);

/* Does `node` serve still? Asks for a refresh; the number of the last one that has begun. */
unsigned tksp_router_doubt(tks_router *router, int node);

/* Has one been adopted that began after it? */
bool tksp_router_agreed_since(const tks_router *router, unsigned round);

/* `node` serves this slot. If it was the replica of the one that did, it has taken over all of that. */
void tksp_router_take_over(tks_router *router, unsigned slot, int node);

/* The refresh that runs has found that this node is one. */
void tksp_router_note_replica(tks_router *router, int node);

/* What Sentinels say: `node` is the primary since this configuration epoch, and serves all. False: a newer one is known, and
 * those who told it are silent. */
bool tksp_router_set_primary(tks_router *router, int node, uint64_t epoch);

/* Ends it; `why` is the failure if nothing was adopted. */
void tksp_router_settle(tks_router *router, const tks_error *why);

/* Why the last refresh failed, status TKS_OK if it did not. */
tks_error tksp_router_why(tks_router *router);

#endif
