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

enum { TKS_EMBEDDED_NODES = 3, TKS_EMBEDDED_PASSWORD_SIZE = 32 };

/** A cluster of primaries, ready to be used: on ports of 127.0.0.1, which other users of this machine can reach, so with a
 * password. */
typedef struct tks_embedded_cluster {
    uint16_t ports[TKS_EMBEDDED_NODES];
    char password[TKS_EMBEDDED_PASSWORD_SIZE + 1];
} tks_embedded_cluster;

/** As tks_embedded_start, of a cluster, which keeps no data. */
TKS_MUST_USE tks_status tks_embedded_start_cluster(const char *binary, int64_t timeout_ms,
                                                   const tks_interrupt *interrupt,
                                                   tks_embedded_cluster *cluster,
                                                   tks_embedded **out, tks_error *err);

/** The path of the unix socket, of a cluster its first node's; borrowed. */
const char *tks_embedded_get_socket(const tks_embedded *embedded) TKS_ALL_NONNULL;

/** Ends the server or the cluster, waits for it to be gone, frees. NULL is accepted. */
void tks_embedded_stop(tks_embedded *embedded);

TKS_END_DECLS
#endif
