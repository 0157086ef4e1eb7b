/* raw_refused.h - rejects raw commands that must not be sent on a shared connection.
 *
 * Threads: no state. */
#ifndef TKSP_RAW_REFUSED_H
#define TKSP_RAW_REFUSED_H

#include "tokenstore/op.h"

/* TKS_OK, or TKS_ERR_DATA: there is no command, one is empty, or one of the `count` would change the connection for its
 * next user. The message names it and says what to do instead. Commands as for tks_raw_new. */
tks_status tksp_raw_check(size_t count, const size_t *argc, const tks_bytes *argv, tks_error *err);

#endif
