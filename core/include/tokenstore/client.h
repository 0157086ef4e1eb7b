/* tokenstore/client.h - the blocking driver: a thread-safe pool of connections that runs operations.
 *
 * Purpose:   tks_client_run takes an operation to its end: connects (TCP, unix socket, TLS), AUTH,
 *            SELECT, CLIENT SETNAME, writes, reads, sleeps, all under one monotonic deadline.
 * Rules:     1. one request owns one place in one connection's queue; 2. whatever ends otherwise than
 *            with exactly one whole reply per command, and not a byte more, closes that connection;
 *            3. a connection is used again only with nothing outstanding, an empty reader, no stray
 *            bytes and the same pid; 4. one pool for one target; 5. what a value is bound to is
 *            checked by the operations.
 * Lifecycle: tks_client_new connects nothing (but starts the server for embedded:). tks_client_close
 *            may come any time, twice too; runs under way end with TKS_ERR_CLOSED or normally.
 *            tks_client_free after the last user is gone.
 * Threads:   everything but free is safe from many threads.
 * Fork:      the child drops the inherited connections without touching them and makes its own.
 *            (OpenSSL has locks of the whole process, taken when a thread first uses it, when such a
 *            thread ends, and while a session begins: a child forked at that very moment may hang in
 *            OpenSSL. Without other threads, or without TLS, this cannot be.)
 * Deadlines: cover everything, looking up the host's name included. That runs in a thread of its own, at
 *            most one for each client, which ends by itself where no caller is waiting for it any more: a shared
 *            object with this code in it, that may be unloaded, must be linked with -z nodelete.
 * Signals:   no SIGPIPE is ever raised. EINTR calls the host's handler at once. */
#ifndef TOKENSTORE_CLIENT_H
#define TOKENSTORE_CLIENT_H

#include <sys/types.h>

#include "tokenstore/api.h"
#include "tokenstore/greeting.h"
#include "tokenstore/op.h"
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

/** Takes `target` over, on failure too. For embedded: the server is up when this returns.
 * TKS_OK, TKS_ERR_CONFIGURATION (CA file unreadable, no server binary …), TKS_ERR_CONNECTION (the
 * private server did not start), TKS_ERR_MEMORY. `interrupt` may be NULL. */
TKS_MUST_USE tks_status tks_client_new(tks_target *target, const tks_interrupt *interrupt,
                                       tks_client **out, tks_error *err);

/** Runs `op` to its end. TKS_OK: read tks_op_get_result. Otherwise the operation's error is in `err`.
 * `timeout_ms` 0: the target's. The operation stays the caller's, to free. `interrupt` may be NULL. */
tks_status tks_client_run(tks_client *client, tks_op *op, int64_t timeout_ms,
                          const tks_interrupt *interrupt, tks_error *err);

typedef struct tks_flight tks_flight; /**< an operation on its way */

/** tks_client_run in two halves, for callers with work to do while the answer is on its way. The first
 * may wait for a connection, not for an answer; what goes wrong with either is said by the second. TKS_OK,
 * TKS_ERR_CLOSED, TKS_ERR_MEMORY. `interrupt` is borrowed until the end. */
TKS_MUST_USE tks_status tks_client_begin(tks_client *client, tks_op *op, int64_t timeout_ms,
                                         const tks_interrupt *interrupt, tks_flight **out,
                                         tks_error *err);

/** Goes on to the end as tks_client_run does, but frees nothing, or until *asks: a new connection is needed, and
 * the target says that the host gives user and password for each. It is asked again, once, where the server
 * refuses them. tks_flight_give then, and on; or tks_flight_free. */
tks_status tks_flight_proceed(tks_flight *flight, bool *asks, tks_error *err);

/** What it asked for: taken over, leaving nothing in *credentials, and wiped after use. */
void tks_flight_give(tks_flight *flight, tks_credentials *credentials);

/** As tks_client_run. Frees the flight. */
tks_status tks_flight_end(tks_flight *flight, tks_error *err);

/** Instead of the end: the connection is closed, and what was sent may have happened. NULL is accepted. */
void tks_flight_free(tks_flight *flight);

/** The target, borrowed; of an embedded server: the unix socket it listens on. */
const tks_target *tks_client_get_target(const tks_client *client) TKS_ALL_NONNULL;

/** The id of this process, without a system call where the system allows: for callers that must know on each
 * call whether it is in a forked child. */
pid_t tks_client_get_pid(const tks_client *client) TKS_ALL_NONNULL;

/** Closes idle connections now and busy ones when they come back; ends an embedded server that this
 * process started. */
void tks_client_close(tks_client *client);

/** tks_client_close, then frees. NULL is accepted. */
void tks_client_free(tks_client *client);

TKS_END_DECLS
#endif
