/* names.h - the limits that owners, ids, keys, tokens and durations of all stores share. Pure. */
#ifndef TKSP_NAMES_H
#define TKSP_NAMES_H

#include "tokenstore/buf.h"

/* TKS_OK, or TKS_ERR_DATA naming `what`: empty, too long, or with a NUL. */
tks_status tksp_check_name(tks_bytes name, const char *what, tks_error *err);

/* TKS_OK, or TKS_ERR_DATA naming `what`: not within 1 s … TKS_DURATION_MAX_MS. */
tks_status tksp_check_duration(int64_t ms, const char *what, tks_error *err);

/* Could such a token exist at all? */
bool tksp_is_possible_token(tks_bytes token);

#endif
