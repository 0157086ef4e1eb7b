/* raw_refused.h - rejects raw commands that must not be sent on a shared connection.
 *
 * Threads: no state. */
#ifndef TKSP_RAW_REFUSED_H
#define TKSP_RAW_REFUSED_H

#include "tokenstore/op.h"

/* TKS_OK, or TKS_ERR_DATA: one of the `count` commands would change the connection for its next
 * user. The message names it and says what to do instead. Commands as for tks_raw_new, each of at
 * least one word. */
tks_status tksp_raw_check(size_t count, const size_t *argc, const tks_bytes *argv, tks_error *err);

/* True for EXEC and DISCARD, which end a MULTI. */
bool tksp_raw_ends_multi(size_t argc, const tks_bytes *argv);

#endif
