/* op_parts.h - the parts of an operation whose commands go to several nodes of a cluster; for core/src/op.c.
 *
 * A part is an operation of its own, about one node's commands. So it follows redirections and losses as any does, and a driver runs it as
 * any. When all have ended, their replies are joined. */
#ifndef TKSP_OP_PARTS_H
#define TKSP_OP_PARTS_H

#include "op_private.h"

/* Do the commands without replies go to several nodes, all known? */
bool tksp_op_is_spread(tks_op *op);

/* Makes a part for each node, in the order of their numbers. TKS_OK, TKS_ERR_MEMORY. */
tks_status tksp_op_split(tks_op *op);

/* Takes the parts' replies and notes, and frees them. False: one has failed, for the reason in `why`; *done: another has not. */
bool tksp_op_join(tks_op *op, tks_error *why, bool *done);

void tksp_op_drop_parts(tks_op *op);

#endif
