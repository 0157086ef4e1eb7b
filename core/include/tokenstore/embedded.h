/* tokenstore/embedded.h - a private redis-server or valkey-server that lives as long as its owner.
 *
 * Purpose:   for prototypes and tests: no TCP port, a unix socket in a directory of mode 0700, nothing
 *            left behind. A small supervisor process watches the owner (its pid, not the thread that
 *            started it) and ends the server when the owner goes, by SIGKILL too. With a data
 *            directory the append-only file is on and a lock keeps a second owner out.
 * Lifecycle: start, stop. A forked child may use the server but does not own it: stop only frees there.
 * Not from:  a signal handler. start and stop block until the server is up, or gone.
 * Threads:   start and stop from one thread at a time for each handle. */
#ifndef TOKENSTORE_EMBEDDED_H
#define TOKENSTORE_EMBEDDED_H

#include "tokenstore/api.h"
#include "tokenstore/client.h"
#include "tokenstore/status.h"

TKS_BEGIN_DECLS

typedef struct tks_embedded tks_embedded;

/** Starts a server and waits until it accepts connections. `directory` NULL: no data is kept. `binary`
 * NULL: redis-server, else valkey-server, on PATH. TKS_ERR_CONFIGURATION: no binary (the message
 * says which package has it), the directory cannot be used or is owned by another process.
 * TKS_ERR_CONNECTION: it ended while starting, or took longer than `timeout_ms`.
 * TKS_ERR_INTERRUPTED. `interrupt` may be NULL. */
TKS_MUST_USE tks_status tks_embedded_start(const char *directory, const char *binary,
                                           int64_t timeout_ms, const tks_interrupt *interrupt,
                                           tks_embedded **out, tks_error *err);

/** The path of the unix socket; borrowed. */
const char *tks_embedded_get_socket(const tks_embedded *embedded) TKS_ALL_NONNULL;

/** Ends the server, waits for it to be gone, frees. NULL is accepted. */
void tks_embedded_stop(tks_embedded *embedded);

TKS_END_DECLS
#endif
