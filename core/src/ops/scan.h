/* scan.h - SCAN, for the operations that look for keys by the beginning of their names.
 *
 * Source: redis.io, "SCAN", and the patterns that it takes.
 * Threads: no state. */
#ifndef TKSP_SCAN_H
#define TKSP_SCAN_H

#include "op_private.h"

/* The pattern for names that begin with `literal`, whatever characters it holds, and go on as the pattern `rest` says.
 * In the arena; data NULL: no memory. */
tks_bytes tksp_scan_pattern(tksp_arena *arena, tks_bytes literal, const char *rest);

/* Adds SCAN, which looks at about `count` keys. The words are in the arena. `route`: as of tksp_op_add. TKS_OK,
 * TKS_ERR_MEMORY. */
tks_status tksp_scan_add(tks_op *op, tksp_arena *arena, tks_bytes cursor, tks_bytes pattern,
                         uint32_t count, tks_bytes route);

/* Reads the answer {cursor, {name, …}}. An empty cursor: the scan is over. Both are borrowed from the reply, whose
 * names are strings. False: it is no such answer. */
bool tksp_scan_read(const tks_reply *reply, tks_bytes *cursor, const tks_reply **names);

#endif
