/* meter.h - the meter's other side: operations. See tokenstore/meter.h. */
#ifndef TKSP_METER_H
#define TKSP_METER_H

#include "tokenstore/meter.h"
#include "tokenstore/operation.h"

/* Operations that are in no table of a store. */
typedef enum tksp_plain_row {
    TKSP_EXECUTE,
    TKSP_PIPELINE,
    TKSP_FOR_EACH_PRIMARY,
    TKSP_PING,
    TKSP_PLAIN_COUNT
} tksp_plain_row;

extern const tks_operation tksp_plain_rows[TKSP_PLAIN_COUNT];
extern const tks_operation tksp_spike_row;

/* Microseconds by the clock that a started meter has. */
int64_t tksp_meter_now(const tks_meter *meter);

/* The place of a row among all operations, and in *store whose it is. A row of another copy of this library, in another
 * shared object, has none here. */
size_t tksp_meter_place_of(const tks_operation *row, const char **store);

/* Adds an operation that has ended to the sums. */
void tksp_meter_add(tks_meter *meter, size_t place, const tks_measure *measure);

#endif
