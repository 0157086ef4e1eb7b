/* tidy.h - included by clang-tidy before each file (scripts/lint), because it analyses one file at a time:
 * tks_fail returns its status argument. Otherwise it would follow paths on which a failure is TKS_OK. */
#ifndef TOKENSTORE_TIDY_H
#define TOKENSTORE_TIDY_H

#include "tokenstore/status.h"

static inline tks_status tidy_fail(tks_error *err, tks_status status) {
    (void)err;
    return status;
}
#define tks_fail(err, status, ...) tidy_fail(err, status)
#define tks_fail_memory(err)       tidy_fail(err, TKS_ERR_MEMORY)

#endif
