/* sock.h - a socket whose recv() waits for a slice at most.
 *
 * Lifecycle: tksp_sock is the caller's storage: init, open, close (any number of times), or drop in a
 *            forked child.
 * Threads:   one thread at a time; but the descriptor is published the moment it exists, so that
 *            after fork() the child's one thread finds the sockets that other threads held. */
#ifndef TKSP_IO_SOCK_H
#define TKSP_IO_SOCK_H

#include <stdatomic.h>
#include <stdbool.h>
#include <sys/types.h>

typedef struct tksp_sock {
    atomic_int fd; /* -1: none */
    dev_t device;  /* with `inode`: which socket `fd` is */
    ino_t inode;
} tksp_sock;

void tksp_sock_init(tksp_sock *sock);

/* Makes a socket that never blocks; one for TCP has keepalive as in tokenstore/connecting.h. 0 or errno. */
int tksp_sock_open(tksp_sock *sock, int family);

/* From now on recv() blocks, for a slice at most; callers that must not wait use MSG_DONTWAIT. 0 or errno. */
int tksp_sock_set_blocking(const tksp_sock *sock);

void tksp_sock_close(tksp_sock *sock);

/* `to`, which is closed, takes the socket of `from` over. */
void tksp_sock_move(tksp_sock *to, tksp_sock *from);

/* In a forked child: closes the descriptor if it still is the inherited socket. A program that
 * became a daemon may have closed all descriptors and opened its own under the same numbers. */
void tksp_sock_drop_inherited(tksp_sock *sock);

#endif
