/* server.h - what a client has learned of its server, beyond its answers. See tks_server in tokenstore/op.h.
 *
 * Threads: any; the facts are hints, and a wrong one costs a round trip, never a result. */
#ifndef TKSP_SERVER_H
#define TKSP_SERVER_H

#include "tokenstore/op.h"

typedef enum tksp_fact { TKSP_UNKNOWN, TKSP_YES, TKSP_NO } tksp_fact;

/* What the one server of a client is called in answers by node: "host:port", or the path of its socket. A copy is kept. TKS_OK,
 * TKS_ERR_MEMORY. Set once, before the server is shared. */
tks_status tksp_server_set_name(tks_server *server, tks_bytes name);

/* Empty: it has none. Borrowed from the server. */
tks_bytes tksp_server_name(const tks_server *server);

/* Can it end a field of a hash by itself (HPEXPIRE: Redis 7.4, Valkey 9)? NULL is a server that nothing is known of. */
tksp_fact tksp_server_ends_fields(const tks_server *server);
void tksp_server_set_ends_fields(tks_server *server, tksp_fact fact);

/* Does it have HSETEX (Redis 8.0, Valkey 9), and may we use it? */
tksp_fact tksp_server_sets_ending(const tks_server *server);
void tksp_server_set_sets_ending(tks_server *server, tksp_fact fact);

/* Its clock, by what it last said and the time since then on the caller's (tks_event's boot_ms). A little behind: the
 * answer had to travel. */
void tksp_server_learn_time(tks_server *server, int64_t us, int64_t boot_ms);

/* A connection was lost: the next one may be to another server, to an upgraded one, or to one that lost its data and with
 * it the kinds of keys. */
void tksp_server_forget(tks_server *server);

typedef enum tksp_clock {
    TKSP_CLOCK_GOOD,
    TKSP_CLOCK_OLD, /* good, but it should be learned again */
    TKSP_CLOCK_LOST
} tksp_clock;

/* A time of creation: its clock in microseconds since 1970, later than all that this gave before and than what was
 * learned. *out is set unless the
 * clock is lost. */
tksp_clock tksp_server_stamp(tks_server *server, int64_t boot_ms, int64_t *out);

/* Is a kind of key with this number in the registry of its prefix? Of more than some hundred kinds, those that were added
 * long ago are forgotten: they are registered once more. */
bool tksp_server_knows_kind(const tks_server *server, uint32_t number);
void tksp_server_add_kind(tks_server *server, uint32_t number);

#endif
