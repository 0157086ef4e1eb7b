/* tokenstore/meter.h - what operations have cost: counts and durations, for whoever runs the service.
 *
 * Purpose:   each client has a meter (url.h). It does nothing until it is started; then every operation that ends is
 *            measured: tks_op_get_measure says what that one has cost, and the meter has the sums, by operation.
 *            Measures have names, numbers and codes, and so can hold no token, no owner and no data.
 * Rules:     measured are the operations of the tables (operation.h), raw commands, ping, and get_token of a Spike that
 *            has this client for its Redis. What the library does by itself is not: connecting, asking for the map of a
 *            cluster, keeping the near cache true. What the near cache answered is not in the sums: it has its own
 *            (tks_near_stats).
 * Lifecycle: counted, like tks_server. Started once, and never stopped.
 * Threads:   any. A reader sees each number whole, and several of them a moment apart. */
#ifndef TOKENSTORE_METER_H
#define TOKENSTORE_METER_H

#include "tokenstore/api.h"
#include "tokenstore/op.h"

TKS_BEGIN_DECLS

typedef struct tks_meter tks_meter;

tks_meter *tks_meter_new(void);              /**< NULL: out of memory */
tks_meter *tks_meter_hold(tks_meter *meter); /**< counts one more holder; returns it */
void tks_meter_free(tks_meter *meter); /**< one holder fewer, the last frees it; NULL is accepted */

/** From now on operations are measured, by this clock: microseconds since some moment, never set back. Again: nothing
 * changes. TKS_OK, TKS_ERR_MEMORY. */
TKS_MUST_USE tks_status tks_meter_start(tks_meter *meter, int64_t (*clock_us)(void));

/** Are operations being measured? */
bool tks_meter_is_started(const tks_meter *meter) TKS_ALL_NONNULL;

/** What one operation has cost; constant once it has ended. */
typedef struct tks_measure {
    const char *store; /**< "Sessions"; of raw commands and ping "Client" */
    const char *name;  /**< "get" */
    tks_status
        status; /**< how it ended; TKS_ERR_INTERRUPTED: it was given up, by a signal or with its task */
    bool missed;    /**< TKS_OK, and what it looked for is not there */
    bool near;      /**< the near cache had the answer */
    int node;       /**< of a cluster, by its number: the last one asked; -1: there is one server */
    uint32_t tries; /**< one more than it waited to try again */
    uint32_t trips; /**< how often it asked and waited for the answer */
    int64_t began_us, took_us; /**< by the meter's clock; waiting for a connection included */
    uint64_t sent, received;   /**< bytes: of commands, and of texts in their answers */
} tks_measure;

/** NULL: it is not measured, or has not ended. Borrowed from the operation. */
const tks_measure *tks_op_get_measure(const tks_op *op) TKS_ALL_NONNULL;

/** It has been given up, and is about to be freed: what it has cost until now counts. Freeing does the same. */
void tks_op_give_up(tks_op *op) TKS_ALL_NONNULL;

/** Before the first step: the client's meter. */
void tks_op_set_meter(tks_op *op, tks_meter *meter) TKS_ALL_NONNULL;

enum { TKS_METER_BUCKETS = 16, TKS_METER_OUTCOMES = TKS_STATUS_COUNT + 1 };

/** The upper bound of the durations in a bucket, in microseconds; the one after the last has those that took longer. */
int64_t tks_meter_bound(size_t bucket);

/** The name of an outcome: the code of a status, or "not_found". */
const char *tks_meter_outcome(size_t outcome);

/** The sums of one operation. */
typedef struct tks_meter_sums {
    const char *store, *name;
    uint64_t outcomes[TKS_METER_OUTCOMES];
    uint64_t durations[TKS_METER_BUCKETS + 1]; /**< each has only its own */
    uint64_t took_us, tries, trips, sent, received;
} tks_meter_sums;

size_t tks_meter_size(void); /**< how many operations there are */

/** The sums of operation `i`; false: none has ended. */
bool tks_meter_read(const tks_meter *meter, size_t i, tks_meter_sums *out) TKS_ALL_NONNULL;

TKS_END_DECLS
#endif
