/* sock.h - from a target to a connected socket, whose recv() waits for a slice at most, and its end.
 *
 * Lifecycle: tksp_sock is the caller's storage: init, connect, close (any number of times), or drop
 *            in a forked child.
 * Threads:   one thread at a time; but the descriptor is published the moment it exists, so that
 *            after fork() the child's one thread finds the sockets that other threads held. */
#ifndef TOKENSTORE_IO_SOCK_H
#define TOKENSTORE_IO_SOCK_H

#include <stdatomic.h>
#include <sys/types.h>

#include "tokenstore/url.h"
#include "wait.h"

typedef struct tksp_sock {
    atomic_int fd; /* -1: none */
    dev_t device;  /* with `inode`: which socket `fd` is */
    ino_t inode;
} tksp_sock;

void tksp_sock_init(tksp_sock *sock);

/* Connects to `target` (TCP or a unix socket), trying each address of a host name in turn, each for
 * at most target->connect_timeout_ms. On failure the socket is closed. TKS_OK, TKS_ERR_TIMEOUT (the
 * deadline of `wait` passed), TKS_ERR_CONNECTION, TKS_ERR_CONFIGURATION (not an address),
 * TKS_ERR_MEMORY, TKS_ERR_INTERRUPTED. */
tks_status tksp_sock_connect(tksp_sock *sock, const tks_target *target, tksp_wait *wait,
                             tks_error *err);

void tksp_sock_close(tksp_sock *sock);

/* In a forked child: closes the descriptor if it still is the inherited socket. A program that
 * became a daemon may have closed all descriptors and opened its own under the same numbers. */
void tksp_sock_drop_inherited(tksp_sock *sock);

#endif
