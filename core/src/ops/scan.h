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

/* Reads the answer {cursor, {name, …}}. An empty cursor: the scan is over. Both are borrowed from
 * the reply, whose names are strings. False: invalid answer. */
bool tksp_scan_read(const tks_reply *reply, tks_bytes *cursor, const tks_reply **names);

#endif
