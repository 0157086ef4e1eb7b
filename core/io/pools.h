/* pools.h - the connections of one process: a pool for the server, or for each node of a cluster.
 *
 * Purpose:   the pool of a node is made when it is first needed. All share the TLS files.
 * Lifecycle: new, get, close, free when no thread uses it.
 * Threads:   everything but new and free is safe from many threads.
 * Fork:      they belong to the process that made them. A child makes new ones by tksp_pools_inherit, which free the inherited ones with
 *            themselves. */
#ifndef TKSP_IO_POOLS_H
#define TKSP_IO_POOLS_H

#include "near_thread.h"
#include "pool.h"
#include "tokenstore/router.h"

typedef struct tksp_pools tksp_pools;

/* For `target`, over `tls` (NULL: plain), of which it takes ownership, on failure too. `name` is the target for messages. `target` and
 * `name` are borrowed and must outlive it. NULL: out of memory. */
tksp_pools *tksp_pools_new(const tks_target *target, tksp_tls_source *tls, const char *name);

/* The process that created them. */
pid_t tksp_pools_get_pid(const tksp_pools *pools);

/* NULL: there is one server. Borrowed. */
tks_router *tksp_pools_get_router(const tksp_pools *pools);

/* NULL: there is no near cache. Borrowed. */
tksp_near_thread *tksp_pools_get_near(const tksp_pools *pools);

/* Gives an operation what it needs of the client, and of this process: the router, the near cache. */
void tksp_pools_equip(tksp_pools *pools, tks_client *client, tks_op *op);

/* A connection has logged in with what the host supplied. */
void tksp_pools_note(tksp_pools *pools, const tks_credentials *credentials);

/* The pool of a node of the router; -1: of the one server. NULL: out of memory. */
tksp_pool *tksp_pools_get(tksp_pools *pools, int node);

/* Adds what all of them have. */
void tksp_pools_add_stats(const tksp_pools *pools, tks_pool_stats *stats);

/* Closes the connections to nodes that serve nothing any more. */
void tksp_pools_retire(tksp_pools *pools);

/* Closes idle connections now and lent ones when they are returned; lends nothing any more. */
void tksp_pools_close(tksp_pools *pools);

/* In a forked child: new pools in place of the parent's. NULL: out of memory. */
tksp_pools *tksp_pools_inherit(const tksp_pools *parent);

/* After tksp_pools_inherit, once: takes ownership of the parent's pools, and closes their connections without notifying the
 * servers. Locks nothing of them. */
void tksp_pools_adopt(tksp_pools *pools, tksp_pools *inherited);

/* No connection may be on loan. NULL is accepted. */
void tksp_pools_free(tksp_pools *pools);

#endif
