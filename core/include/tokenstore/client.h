/* tokenstore/client.h - the blocking driver: a thread-safe pool of connections that runs operations.
 *
 * Purpose:   tks_client_run runs an operation to completion: connects (TCP, unix socket, TLS), AUTH,
 *            SELECT, CLIENT SETNAME, writes, reads, sleeps, all under one monotonic deadline.
 * Rules:     1. one request owns one place in one connection's queue; 2. anything but exactly one whole reply per
 *            command, and not a byte more, closes that connection; 3. a connection is reused only with nothing
 *            outstanding, an empty reader, no stray bytes and the same pid; 4. one pool per target; 5. operations
 *            check what a value is bound to.
 * Lifecycle: tks_client_new does not connect (but starts the server for embedded:). tks_client_close may be called
 *            at any time, even twice; runs in progress end with TKS_ERR_CLOSED or normally. tks_client_free after
 *            the last user is gone.
 * Not from:  a signal handler. From the thread of an event loop: it blocks there; step
 *            the operation as op.h describes.
 * Threads:   all functions but free are thread-safe.
 * Fork:      the child drops the inherited connections without touching them and opens its own. (OpenSSL has
 *            process-wide locks, taken when a thread first uses it, when such a thread ends, and while a session
 *            starts: a child forked at that very moment may hang in OpenSSL. Without other threads, or without TLS,
 *            this cannot happen.)
 * Deadlines: cover everything, including name resolution. That runs in a separate thread, at most one per client,
 *            which ends by itself when no caller waits for it: a shared object that contains this code and may be
 *            unloaded must be linked with -z nodelete.
 * Signals:   no SIGPIPE is ever raised. EINTR calls the host's handler at once. */
#ifndef TOKENSTORE_CLIENT_H
#define TOKENSTORE_CLIENT_H

#include <sys/types.h>

#include "tokenstore/api.h"
#include "tokenstore/greeting.h"
#include "tokenstore/near.h"
#include "tokenstore/op.h"
#include "tokenstore/router.h"
#include "tokenstore/url.h"

TKS_BEGIN_DECLS

typedef struct tks_client tks_client;

/** Called when a signal interrupted a wait (and at least every 50 ms while waiting for a free
 * connection). Returns true to give up: the run ends with TKS_ERR_INTERRUPTED and the connection is
 * closed. */
typedef struct tks_interrupt {
    bool (*check)(void *context);
    void *context;
} tks_interrupt;

/** Takes ownership of `target`, also on failure. For embedded: the server is up when this returns.
 * TKS_OK, TKS_ERR_CONFIGURATION (CA file unreadable, no server binary …), TKS_ERR_CONNECTION (the
 * private server did not start), TKS_ERR_MEMORY. `interrupt` may be NULL. */
TKS_MUST_USE tks_status tks_client_new(tks_target *target, const tks_interrupt *interrupt,
                                       tks_client **out, tks_error *err);

/** Runs `op` to completion. TKS_OK: read tks_op_get_result. Otherwise the operation's error is in `err`.
 * `timeout_ms` 0: the target's. The operation stays the caller's, to free. `interrupt` may be NULL. */
TKS_MUST_USE tks_status tks_client_run(tks_client *client, tks_op *op, int64_t timeout_ms,
                                       const tks_interrupt *interrupt, tks_error *err);

typedef struct tks_flight tks_flight; /**< an operation in progress */

/** tks_client_run in two halves, for callers with work to do until the answer arrives. The first may wait for a
 * connection, not for an answer; the second reports the failures of both. TKS_OK, TKS_ERR_CLOSED, TKS_ERR_MEMORY.
 * `interrupt` is borrowed until the end. */
TKS_MUST_USE tks_status tks_client_begin(tks_client *client, tks_op *op, int64_t timeout_ms,
                                         const tks_interrupt *interrupt, tks_flight **out,
                                         tks_error *err);

/** Continues to the end as tks_client_run does, but frees nothing; or until *asks: a new connection is needed, and
 * the target says that the host provides user and password for each. The host is asked once more if the server
 * rejects them. Then call tks_flight_give and this again; or tks_flight_free. */
TKS_MUST_USE tks_status tks_flight_proceed(tks_flight *flight, bool *asks, tks_error *err);

/** Provides what it asked for: moved out of *credentials, and wiped after use. */
void tks_flight_give(tks_flight *flight, tks_credentials *credentials);

/** As tks_client_run. Frees the flight. */
TKS_MUST_USE tks_status tks_flight_end(tks_flight *flight, tks_error *err);

/** Instead of tks_flight_end: the connection is closed, and what was sent may have happened. NULL is accepted. */
void tks_flight_free(tks_flight *flight);

/** The target, borrowed; of an embedded server: the unix socket it listens on. */
const tks_target *tks_client_get_target(const tks_client *client) TKS_ALL_NONNULL;

/** What it knows of its cluster, for other drivers: of this process; held, so the caller frees it. NULL: there is one server, or no
 * memory. */
tks_router *tks_client_hold_router(tks_client *client) TKS_ALL_NONNULL;

/** The near cache of this process, for other drivers, which give it to their operations; held, so the caller frees it. From the first call
 * on, or the first operation, a thread listens to every primary. NULL: there is none (near_cache), or no memory. */
tks_near *tks_client_hold_near(tks_client *client) TKS_ALL_NONNULL;

/** As tks_near_find_view, in the near cache of this process. Once the client is closed, there is none. */
void *tks_client_find_view(tks_client *client, const tks_near_question *question) TKS_ALL_NONNULL;

/** As tks_near_reap. For a client that is about to be freed, with `all`. */
void *tks_client_reap_view(tks_client *client, bool all) TKS_ALL_NONNULL;

/** With a near cache and a target that asks: another driver's connection has logged in with these. The thread that listens logs in with the same,
 * a copy of which it keeps. */
void tks_client_note_credentials(tks_client *client,
                                 const tks_credentials *credentials) TKS_ALL_NONNULL;

/** What it does. False: there is none. */
bool tks_client_get_near_stats(tks_client *client, tks_near_stats *out) TKS_ALL_NONNULL;

/** From now on its operations are measured (meter.h), those of other drivers, too. TKS_OK, TKS_ERR_MEMORY. */
TKS_MUST_USE tks_status tks_client_measure(tks_client *client) TKS_ALL_NONNULL;

/** The connections of the blocking driver, of a cluster to all nodes together. */
typedef struct tks_pool_stats {
    size_t limit;      /**< the most that it may have, to the nodes that it has had to do with */
    size_t idle, used; /**< open ones, and those that are being opened */
    size_t waiting;    /**< callers in the queue for one */
    uint64_t opened;   /**< since the beginning so many were opened, */
    uint64_t timeouts; /**< and so many callers waited in the queue until their deadline */
} tks_pool_stats;

/** They may have changed when this returns. */
tks_pool_stats tks_client_get_pool_stats(tks_client *client) TKS_ALL_NONNULL;

/** The id of this process, without a system call if the system allows: for callers that must check on each call
 * whether they run in a forked child. */
pid_t tks_client_get_pid(const tks_client *client) TKS_ALL_NONNULL;

/** Closes idle connections now and busy ones when they are returned; stops an embedded server started by this
 * process. */
void tks_client_close(tks_client *client);

/** tks_client_close, then frees. NULL is accepted. */
void tks_client_free(tks_client *client);

TKS_END_DECLS
#endif
