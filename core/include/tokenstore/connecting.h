/* tokenstore/connecting.h - the numbers by which every driver connects, and finds out that a connection
 * is dead.
 *
 * Purpose:   routers and load balancers forget connections that say nothing for some minutes, without a
 *            word to either side. Keepalive keeps them in mind, and ends a connection whose peer has
 *            vanished.
 * Lifecycle: constants.
 * Threads:   any. */
#ifndef TOKENSTORE_CONNECTING_H
#define TOKENSTORE_CONNECTING_H

enum {
    /** An attempt to connect to the next address begins this long after the one before, unless that has
     * failed sooner. Source: RFC 8305, "Connection Attempt Delay". */
    TKS_STAGGER_MS = 250,

    /** TCP_KEEPIDLE, TCP_KEEPINTVL, TCP_KEEPCNT: a peer that has vanished is noticed after a minute. */
    TKS_KEEPALIVE_IDLE_S = 30,
    TKS_KEEPALIVE_INTERVAL_S = 10,
    TKS_KEEPALIVE_COUNT = 3,

    /** TCP_USER_TIMEOUT: bytes that were sent are acknowledged within this time, or the connection ends. As
     * long as keepalive takes, which it would override otherwise. Source: tcp(7). */
    TKS_UNACKNOWLEDGED_MS = 60000,

    /** A connection that was used before may lead nowhere by now. Commands that may be sent twice wait this
     * share of the time that is left for the first byte of an answer there (1/4), and then go over a new
     * connection. */
    TKS_SILENCE_DIVISOR = 4,

    /** Commands that may not are preceded by PING on a connection that was idle for so long. */
    TKS_PROBE_AFTER_MS = 1000,

    /** The connections to a server that has become a replica are given up once in this time at most: where it
     * stays one, a new connection for each call would not help. */
    TKS_RENEW_EVERY_MS = 1000
};

#endif
