/* op_near.h - what a change means for the near cache of this process: no call that begins after it has returned finds what it changed. */
#ifndef TKSP_OP_NEAR_H
#define TKSP_OP_NEAR_H

#include "op_private.h"

/* Drops the keys that the batch under way may change; before its outcome is taken. */
void tksp_op_drop_near(tks_op *op);

#endif
