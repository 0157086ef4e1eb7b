/* pool.h - a fixed number of connections to one target, lent to one thread at a time.
 *
 * Purpose:   the connection used last is lent first, so that the others can grow old at the server.
 *            When all are lent, callers queue up and are served in their order.
 * Lifecycle: new, lend and give back, close, free after the last user.
 * Threads:   everything but new and free is safe from many threads. The mutex is held for a few
 *            instructions, never around I/O or the host's signal handlers.
 * Fork:      a pool belongs to the process that made it. A child makes a pool of its own and lets it
 *            adopt this one, whose mutex may be locked for ever there. */
#ifndef TKSP_IO_POOL_H
#define TKSP_IO_POOL_H

#include "conn.h"

typedef struct tksp_pool tksp_pool;

/* A connection on loan; the borrower's storage. */
typedef struct tksp_lease {
    tksp_conn *conn;
    size_t slot;
    uint64_t generation; /* for tksp_pool_renew */
    bool used;           /* it was open, and used before: */
    int64_t used_at;     /* at this time; for tksp_pool_drop_idle */
} tksp_lease;

/* Of connections to `target`, over `tls` (NULL: plain), which is taken over, on failure too; `name` is the
 * target for messages. Both others are borrowed for the pool's life. NULL when memory is out. */
tksp_pool *tksp_pool_new(const tks_target *target, tksp_tls_source *tls, const char *name);

/* What its connections are made of, for one outside the pool; borrowed. */
const tksp_endpoint *tksp_pool_get_endpoint(const tksp_pool *pool);

/* The process that made it. */
pid_t tksp_pool_get_pid(const tksp_pool *pool);

/* Lends a connection that is open, usable and fresh, or - always with `anew` - one still to be opened.
 * TKS_OK, TKS_ERR_CLOSED, TKS_ERR_TIMEOUT (all were lent until the deadline; the message says so),
 * TKS_ERR_MEMORY, TKS_ERR_INTERRUPTED, TKS_ERR_CONNECTION (the process forked meanwhile). */
tks_status tksp_pool_lend(tksp_pool *pool, bool anew, tksp_wait *wait, tksp_lease *out,
                          tks_error *err);

/* Takes a connection back; one that is not usable is closed. */
void tksp_pool_give_back(tksp_pool *pool, const tksp_lease *lease);

/* No connection of `generation` or older is lent again; but the pool was renewed less than TKS_RENEW_EVERY_MS ago. */
void tksp_pool_renew(tksp_pool *pool, uint64_t generation);

/* Closes the connections that have been idle since `used_at` or longer. */
void tksp_pool_drop_idle(tksp_pool *pool, int64_t used_at);

/* Idle connections are closed now, lent ones when they come back; nothing is lent any more. */
void tksp_pool_close(tksp_pool *pool);

/* In a forked child, once: takes over the pool of the parent, to be freed with this one, and gives
 * up its connections without a word to the server. Takes no lock of the old one. */
void tksp_pool_adopt(tksp_pool *pool, tksp_pool *inherited);

/* NULL is accepted. Nothing may be lent. */
void tksp_pool_free(tksp_pool *pool);

#endif
