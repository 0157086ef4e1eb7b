/* connect.h - from a target to a connected socket.
 *
 * Purpose:   a unix socket, or TCP to whichever address of a host is there first: attempts begin one
 *            TKS_STAGGER_MS after the other, so that an address that swallows all packets costs no more
 *            than that (RFC 8305).
 * Lifecycle: tksp_attempts is the caller's storage, next to the socket that comes of it, so that a forked
 *            child finds the sockets of attempts under way.
 * Threads:   one thread at a time. */
#ifndef TKSP_IO_CONNECT_H
#define TKSP_IO_CONNECT_H

#include "endpoint.h"
#include "sock.h"

enum { TKSP_ATTEMPTS_MAX = 8 }; /* at a time */

typedef struct tksp_attempts {
    tksp_sock socks[TKSP_ATTEMPTS_MAX];
    int64_t until[TKSP_ATTEMPTS_MAX]; /* monotonic: when each is given up */
} tksp_attempts;

void tksp_attempts_init(tksp_attempts *attempts);

/* Connects `sock`, which is closed. Each attempt has connect_timeout. On return no attempt is under way,
 * and after a failure `sock` is closed. TKS_OK, TKS_ERR_TIMEOUT (the deadline of `wait` passed; `err` says
 * why where that was not in connecting), TKS_ERR_CONNECTION, TKS_ERR_CONFIGURATION (not an address),
 * TKS_ERR_MEMORY, TKS_ERR_INTERRUPTED. */
tks_status tksp_connect(const tksp_endpoint *endpoint, tksp_sock *sock, tksp_attempts *attempts,
                        tksp_wait *wait, tks_error *err);

/* In a forked child: gives up this process's copies of the sockets. */
void tksp_attempts_drop_inherited(tksp_attempts *attempts);

#endif
