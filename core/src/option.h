/* option.h - what the tables of options are written with. See tokenstore/option.h.
 *
 * Threads: no state but the caller's. */
#ifndef TKSP_OPTION_H
#define TKSP_OPTION_H

#include "operation.h"
#include "tokenstore/option.h"

/* The beginning of a row: its name and member. TKSP_OPTIONS_OF is the struct of the table. */
#define TKSP_MEMBER(member)                                                                        \
    .offset = offsetof(TKSP_OPTIONS_OF, member), .size = sizeof((TKSP_OPTIONS_OF *)0)->member
#define TKSP_OPTION(named, typed, member) .name = (named), .type = (typed), TKSP_MEMBER(member)

/* The table of an array of rows. */
#define TKSP_OPTIONS(array, start)                                                                 \
    { TKSP_COUNT(array), (array), sizeof(start), &(start) }

/* The rows of a struct's member `durability`. */
#define TKSP_DURABILITY_ROWS                                                                       \
    {TKSP_OPTION("wait_replicas", TKS_OPTION_COUNT, durability.replicas), .min = 0,                \
     .max = TKS_REPLICAS_MAX, .fallback = "0"},                                                    \
        {TKSP_OPTION("wait_fsync", TKS_OPTION_FLAG, durability.fsync), .fallback = "false"}, {     \
        TKSP_OPTION("wait_timeout", TKS_OPTION_DURATION, durability.timeout_ms),                   \
            .min = 10, .max = 3600000, .fallback = "1"                                             \
    }

#define TKSP_DATA_SIZE_MAX (INT64_C(512) << 20) /* what Redis stores in one value */

/* The value that a text in a URL stands for: digits for a number, "true" for a flag. Borrows `text`. TKS_OK,
 * TKS_ERR_CONFIGURATION. */
tks_status tksp_option_parse(const tks_option *option, tks_bytes text, tks_value *out,
                             tks_error *err);

/* Checks each member that is given, and sets the others to their defaults. TKS_OK, TKS_ERR_CONFIGURATION. */
tks_status tksp_options_complete(const tks_options *table, void *options, tks_error *err);

/* Checks each member that is given, and adds all that is wrong to `faults`. */
void tksp_options_check(const tks_options *table, const void *options, tks_buf *faults);

#endif
