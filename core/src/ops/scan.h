/* scan.h - SCAN, for operations that find keys by a prefix of their names.
 *
 * Source: redis.io, "SCAN" and its patterns.
 * Threads: no state. */
#ifndef TKSP_SCAN_H
#define TKSP_SCAN_H

#include "op_private.h"

/* The pattern for names that begin with `literal`, with all its characters taken literally, and
 * continue as the pattern `rest`. In the arena; data NULL: out of memory. */
tks_bytes tksp_scan_pattern(tksp_arena *arena, tks_bytes literal, const char *rest);

/* Adds a SCAN of about `count` keys. The words are in the arena. `route`: as for tksp_op_add.
 * TKS_OK, TKS_ERR_MEMORY. */
tks_status tksp_scan_add(tks_op *op, tksp_arena *arena, tks_bytes cursor, tks_bytes pattern,
                         uint32_t count, tks_bytes route);

/* SCANs the node of one slot, and where its keys are being moved to meanwhile. After each whole scan a question about a key of the slot
 * that there is not says where the slot is: a node that is giving it away sends that on, as does one that has given it away.
 * So keys that leave a node before they are scanned there are found at the next one. */
typedef struct tksp_slot_scan {
    tks_bytes route; /* a key of the slot */
    int next;        /* the node to be scanned, plus one; 0: that of the slot */
    int scanned;
    bool asking; /* where the slot is */
} tksp_slot_scan;

/* As tksp_scan_add, at the next node. */
tks_status tksp_slot_scan_add(tksp_slot_scan *scan, tks_op *op, tksp_arena *arena, tks_bytes cursor,
                              tks_bytes pattern, uint32_t count);

/* The answer of command `i`, a SCAN, is being taken. */
void tksp_slot_scan_note(tksp_slot_scan *scan, const tks_op *op, size_t i);

/* A scan is over: adds the question, unless there is one server. False: there is nothing to ask, or no memory, which the arena says. */
bool tksp_slot_scan_ask(tksp_slot_scan *scan, tks_op *op, tksp_arena *arena);

/* Takes its answer, and clears the commands. True: another node must be scanned. */
bool tksp_slot_scan_goes_on(tksp_slot_scan *scan, tks_op *op);

/* A way through all primaries of a cluster; where there is one server, through that. Keys move meanwhile: where the map has changed, it
 * begins again, but not for ever. */
typedef struct tksp_walk {
    enum { TKSP_WALK_NEW, TKSP_WALK_ASKED, TKSP_WALK_ON } stage;
    int node; /* the one that is scanned; -1: there is one server */
    uint64_t version;
    unsigned rounds;
} tksp_walk;

/* Goes to the first node, or to the next one. False: there are no more. It may have added a command instead, whose answer
 * says nothing, and is to be called again then: it asks any node, which takes the map. */
bool tksp_walk_on(tksp_walk *walk, tks_op *op);

/* Reads the answer {cursor, {name, …}}. An empty cursor: the scan is over. Both are borrowed from
 * the reply, whose names are strings. False: invalid answer. */
bool tksp_scan_read(const tks_reply *reply, tks_bytes *cursor, const tks_reply **names);

#endif
