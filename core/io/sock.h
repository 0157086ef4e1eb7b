/* sock.h - a socket whose recv() blocks for at most one slice.
 *
 * Lifecycle: tksp_sock is the caller's storage: init, open, close (any number of times), or drop in a
 *            forked child.
 * Threads:   one thread at a time. The descriptor is published as soon as it exists, so that after fork() the
 *            child finds the sockets of other threads. */
#ifndef TKSP_IO_SOCK_H
#define TKSP_IO_SOCK_H

#include <stdatomic.h>
#include <stdbool.h>
#include <sys/types.h>

typedef struct tksp_sock {
    atomic_int fd; /* -1: none */
    dev_t device;  /* with `inode`, identifies the socket */
    ino_t inode;
} tksp_sock;

void tksp_sock_init(tksp_sock *sock);

/* Opens a non-blocking socket; a TCP socket gets keepalive as in tokenstore/connecting.h. 0 or errno. */
int tksp_sock_open(tksp_sock *sock, int family);

/* Opens two unix sockets that are connected to each other. 0 or errno. */
int tksp_sock_open_pair(tksp_sock *one, tksp_sock *other);

/* Makes recv() block, for at most one slice; callers that must not wait use MSG_DONTWAIT. 0 or errno. */
int tksp_sock_set_blocking(const tksp_sock *sock);

void tksp_sock_close(tksp_sock *sock);

/* Moves the socket of `from` to `to`, which must be closed. */
void tksp_sock_move(tksp_sock *to, tksp_sock *from);

/* In a forked child: closes the descriptor if it is still the inherited socket. A program that became a
 * daemon may have closed all descriptors and reused their numbers. */
void tksp_sock_drop_inherited(tksp_sock *sock);

#endif
