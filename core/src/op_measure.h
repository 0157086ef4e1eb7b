/* op_measure.h - what an operation costs, while a meter is running. See tokenstore/meter.h. */
#ifndef TKSP_OP_MEASURE_H
#define TKSP_OP_MEASURE_H

#include "op_private.h"

/* As tks_op_step, of an operation that is measured. */
tks_need tksp_op_step_measured(tks_op *op, const tks_event *event);

/* A part is measured for the whole. */
void tksp_op_measure_part(const tks_op *op, tks_op *part);

/* A measured operation is about to be freed: what has not ended never will. */
void tksp_op_end_measure(tks_op *op);

#endif
