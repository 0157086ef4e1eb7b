/* tokenstore/connecting.h - constants with which every driver connects, and detects dead connections.
 *
 * Purpose:   routers and load balancers silently drop connections that are idle for some minutes. Keepalive keeps
 *            them open, and ends a connection whose peer has vanished.
 * Lifecycle: constants.
 * Threads:   any. */
#ifndef TOKENSTORE_CONNECTING_H
#define TOKENSTORE_CONNECTING_H

enum {
    /** The attempt to connect to the next address starts this long after the one before, unless that fails sooner.
     * Source: RFC 8305, "Connection Attempt Delay". */
    TKS_STAGGER_MS = 250,

    /** TCP_KEEPIDLE, TCP_KEEPINTVL, TCP_KEEPCNT: a vanished peer is detected after a minute. */
    TKS_KEEPALIVE_IDLE_S = 30,
    TKS_KEEPALIVE_INTERVAL_S = 10,
    TKS_KEEPALIVE_COUNT = 3,

    /** TCP_USER_TIMEOUT: bytes that were sent are acknowledged within this time, or the connection ends. As
     * long as keepalive takes, which it would override otherwise. Source: tcp(7). */
    TKS_UNACKNOWLEDGED_MS = 60000,

    /** A reused connection may be dead. Commands that may be sent twice wait this share of the remaining time (1/4)
     * for the first byte of an answer there, and then move to a new connection. */
    TKS_SILENCE_DIVISOR = 4,

    /** Commands that may not be sent twice are preceded by PING on a connection that was idle this long. */
    TKS_PROBE_AFTER_MS = 1000,

    /** The connections to a server that has become a replica are dropped at most once in this time: if it stays
     * one, a new connection for each call would not help. */
    TKS_RENEW_EVERY_MS = 1000
};

#endif
