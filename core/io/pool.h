/* pool.h - a fixed number of connections to one target, lent to one thread at a time.
 *
 * Purpose:   lends the most recently used connection first, so that the server's idle timeout can close the
 *            others. When all are lent, callers queue in order.
 * Lifecycle: new, lend and give back, close, free when no thread uses it.
 * Threads:   everything but new and free is safe from many threads. The mutex is held for a few
 *            instructions, never around I/O or the host's signal handlers.
 * Fork:      a pool belongs to the process that made it. A child makes a new one, and only closes the
 *            connections of the inherited one, whose mutex may be locked forever there. */
#ifndef TKSP_IO_POOL_H
#define TKSP_IO_POOL_H

#include "conn.h"
#include "tokenstore/client.h"

typedef struct tksp_pool tksp_pool;

/* A connection on loan; the borrower's storage. */
typedef struct tksp_lease {
    tksp_conn *conn;
    size_t slot;
    uint64_t generation; /* for tksp_pool_renew */
    bool used;           /* it was already open and had been used, */
    int64_t used_at;     /* last at this time; for tksp_pool_drop_idle */
} tksp_lease;

/* A pool of connections to `target`, over `tls` (NULL: plain). `name` is the target for messages. All are borrowed and must outlive
 * the pool. NULL: out of memory. */
tksp_pool *tksp_pool_new(const tks_target *target, tksp_tls_source *tls, const char *name);

/* The endpoint of its connections, for a connection outside the pool; borrowed. */
const tksp_endpoint *tksp_pool_get_endpoint(const tksp_pool *pool);

/* The process that created it. */
pid_t tksp_pool_get_pid(const tksp_pool *pool);

/* Lends a connection that is open, usable and fresh, or (always with `anew`) one that is not open yet.
 * TKS_OK, TKS_ERR_CLOSED, TKS_ERR_TIMEOUT (all were lent until the deadline; the message says so),
 * TKS_ERR_MEMORY, TKS_ERR_INTERRUPTED, TKS_ERR_CONNECTION (the process forked meanwhile). */
tks_status tksp_pool_lend(tksp_pool *pool, bool anew, tksp_wait *wait, tksp_lease *out,
                          tks_error *err);

/* Takes a connection back; one that is not usable is closed. */
void tksp_pool_give_back(tksp_pool *pool, const tksp_lease *lease);

/* So ended the opening of a connection on loan: for the stats. */
void tksp_pool_note_opening(tksp_pool *pool, tks_status status);

/* Adds what it has. */
void tksp_pool_add_stats(tksp_pool *pool, tks_pool_stats *stats);

/* No connection of `generation` or older is lent again. Has no effect within TKS_RENEW_EVERY_MS of the last
 * renewal. */
void tksp_pool_renew(tksp_pool *pool, uint64_t generation);

/* Closes the connections that have been idle since `used_at` or longer. */
void tksp_pool_drop_idle(tksp_pool *pool, int64_t used_at);

/* Closes idle connections now, and lent ones when they are returned; lends new ones. */
void tksp_pool_retire(tksp_pool *pool);

/* Closes idle connections now and lent ones when they are returned; lends nothing any more. */
void tksp_pool_close(tksp_pool *pool);

/* In a forked child, once: closes the connections of the parent's pool without notifying the server. Does not lock
 * it. */
void tksp_pool_drop_inherited(tksp_pool *pool);

/* No connection may be on loan. NULL is accepted. */
void tksp_pool_free(tksp_pool *pool);

#endif
