/* nodes.h - the nodes of a cluster by number: host, port, and what is known of each.
 *
 * A number is given on first sight and never again, so what belongs to a node, such as its connections, is kept by number.
 *
 * Threads: finding is free of locks; one thread at a time adds. Pure. */
#ifndef TKSP_NODES_H
#define TKSP_NODES_H

#include <stdatomic.h>

#include "tokenstore/op.h"
#include "tokenstore/router.h"

enum { TKS_HOST_MAX = 255 }; /* bytes of a host's name */

typedef struct tksp_node {
    char *host;
    uint16_t port;
    tks_server *clock;  /* of this node alone */
    atomic_int slots;   /* how many it serves */
    atomic_uint copied; /* the last round that saw it as a replica */
    atomic_int standby; /* its first replica, plus one; 0: none is known */
} tksp_node;

typedef struct tksp_nodes {
    atomic_int count;
    atomic_bool with_replicas; /* replicas are wanted, too */
    atomic_uint round, agreed; /* of refreshes: this one, and the last that was adopted */
    tksp_node *_Atomic all[TKS_NODES_MAX];
    char *address_map; /* of what they announce; owned; NULL: none */
} tksp_nodes;

void tksp_nodes_clear(tksp_nodes *nodes);

/* The number of this host and port, added if it is new; -1: out of memory, or too many. */
int tksp_nodes_number(tksp_nodes *nodes, tks_bytes host, uint16_t port);

/* In this round it is a replica. */
void tksp_nodes_note_replica(tksp_nodes *nodes, int number);

/* The same of an address that a node announced. */
int tksp_nodes_announced(tksp_nodes *nodes, tks_bytes host, uint16_t port);

/* NULL: there is none of this number. */
tksp_node *tksp_nodes_find(const tksp_nodes *nodes, int number);

#endif
