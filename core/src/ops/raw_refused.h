/* raw_refused.h - which raw commands may not go over a connection that others use too.
 *
 * Threads: no state. */
#ifndef TKSP_RAW_REFUSED_H
#define TKSP_RAW_REFUSED_H

#include "tokenstore/op.h"

/* TKS_OK, or TKS_ERR_DATA: one of the `count` commands would leave its connection changed for the next user.
 * The message names it and says what to do instead. Commands as of tks_raw_new, each of one word at least. */
tks_status tksp_raw_check(size_t count, const size_t *argc, const tks_bytes *argv, tks_error *err);

/* Is it the EXEC or DISCARD that ends a MULTI? */
bool tksp_raw_ends_multi(size_t argc, const tks_bytes *argv);

#endif
