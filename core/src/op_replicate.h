/* op_replicate.h - when a change counts as done: WAIT and WAITAOF behind it, in the same batch. For op.c only.
 *
 * What they promise is no consensus: a change that reached fewer replicas has still been made, and a failover may still
 * choose a replica that lacks it. Source: redis.io, WAIT and WAITAOF. */
#ifndef TKSP_OP_REPLICATE_H
#define TKSP_OP_REPLICATE_H

#include "op_private.h"

/* Appends the question to the batch, if the operation changes something and its store wants it. TKS_OK,
 * TKS_ERR_MEMORY, TKS_ERR_DATA. */
tks_status tksp_replicate_ask(tks_op *op);

/* Takes the answer, which is about what the batch changed. */
void tksp_replicate_take(tks_op *op, const tks_reply *answer);

/* Takes over what a part learned. */
void tksp_replicate_join(tks_op *op, const tks_op *part);

#endif
