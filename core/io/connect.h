/* connect.h - from a target to a connected socket.
 *
 * Purpose:   connects to a unix socket, or by TCP to the address of a host that accepts first. Attempts start
 *            TKS_STAGGER_MS apart, so that an address that drops all packets costs no more than that (RFC
 *            8305).
 * Lifecycle: tksp_attempts is the caller's storage, next to the resulting socket, so that a forked child
 *            finds the sockets of attempts in progress.
 * Threads:   one thread at a time. */
#ifndef TKSP_IO_CONNECT_H
#define TKSP_IO_CONNECT_H

#include "endpoint.h"
#include "sock.h"

enum { TKSP_ATTEMPTS_MAX = 8 }; /* at a time */

typedef struct tksp_attempts {
    tksp_sock socks[TKSP_ATTEMPTS_MAX];
    int64_t until[TKSP_ATTEMPTS_MAX]; /* monotonic: when each times out */
} tksp_attempts;

void tksp_attempts_init(tksp_attempts *attempts);

/* Connects `sock`, which must be closed. Each attempt is limited by connect_timeout. On return no attempt is
 * in progress, and after a failure `sock` is closed. TKS_OK, TKS_ERR_TIMEOUT (the deadline of `wait` passed;
 * `err` has a message if it passed before connecting), TKS_ERR_CONNECTION, TKS_ERR_CONFIGURATION (not an
 * address),
 * TKS_ERR_MEMORY, TKS_ERR_INTERRUPTED. */
tks_status tksp_connect(const tksp_endpoint *endpoint, tksp_sock *sock, tksp_attempts *attempts,
                        tksp_wait *wait, tks_error *err);

/* In a forked child: closes this process's copies of the sockets. */
void tksp_attempts_drop_inherited(tksp_attempts *attempts);

#endif
