/* server.h - what a client has learned of its server, beyond its answers. See tks_server in tokenstore/op.h.
 *
 * Threads: any; the facts are hints, and a wrong one costs a round trip, never a result. */
#ifndef TKSP_SERVER_H
#define TKSP_SERVER_H

#include "tokenstore/op.h"

typedef enum tksp_fact { TKSP_UNKNOWN, TKSP_YES, TKSP_NO } tksp_fact;

/* Can it end a field of a hash by itself (HPEXPIRE: Redis 7.4, Valkey 9)? NULL is a server that nothing is known of. */
tksp_fact tksp_server_ends_fields(const tks_server *server);
void tksp_server_set_ends_fields(tks_server *server, tksp_fact fact);

/* Is a kind of key with this number in the registry of its prefix? Of many kinds some count as registered that are
 * not: that only leaves a listing of keys without their names. */
bool tksp_server_knows_kind(const tks_server *server, uint32_t number);
void tksp_server_add_kind(tks_server *server, uint32_t number);

#endif
