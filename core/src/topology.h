/* topology.h - what one node of a cluster says of it: which node serves which slot.
 *
 * Threads: as the nodes that it adds to. Pure. */
#ifndef TKSP_TOPOLOGY_H
#define TKSP_TOPOLOGY_H

#include "nodes.h"
#include "slot.h"
#include "tokenstore/resp.h"

typedef struct tksp_view {
    size_t coverage;        /* how many slots have a primary */
    uint16_t of[TKS_SLOTS]; /* its number, plus one; 0: nobody's */
} tksp_view;

/* Reads the answer of the node `asked` to CLUSTER SLOTS. Of a node whose host is not known to itself (empty, "?", nil) the host is
 * that of `asked`. Slots beyond the last, and ranges without a primary, are left out. TKS_OK, TKS_ERR_CONNECTION (no such
 * answer), TKS_ERR_MEMORY. */
tks_status tksp_view_read(const tks_reply *reply, int asked, tksp_nodes *nodes, tksp_view *out,
                          tks_error *err);

/* Does a node that does not know its host say this of it? */
bool tksp_is_no_host(tks_bytes host);

/* Reads "3999 host:6381", behind MOVED or ASK. The host may be empty or "?", or an IPv6 address without brackets: the port is behind
 * the last colon. */
bool tksp_redirection_read(tks_bytes text, unsigned *slot, tks_bytes *host, uint16_t *port);

#endif
