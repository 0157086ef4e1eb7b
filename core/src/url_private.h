/* url_private.h - what url.c (the grammar of URLs) and target.c (the options) share.
 *
 * Threads: no state but the caller's. */
#ifndef TKSP_URL_PRIVATE_H
#define TKSP_URL_PRIVATE_H

#include "tokenstore/url.h"

enum { TKSP_UNIX_PATH_MAX = 107 }; /* sun_path of Linux, less its NUL */

/* For messages about an unknown option. */
#define TKSP_OPTION_NAMES                                                                          \
    "connect_timeout, timeout, max_connection_age, pool_size, max_reply_size, client_name, db; "   \
    "for TLS ca, cert, key, server_name; for embedded: server"

/* A target with the defaults of `transport`. NULL when memory is out. */
tks_target *tksp_target_new(tks_transport transport, bool tls);

/* The place of option `name` in the table of options (below 32), or -1. */
int tksp_option_find(tks_bytes name);

/* Sets option `index`, which came from tksp_option_find. As tks_target_set. */
tks_status tksp_option_set(tks_target *target, int index, tks_bytes value, tks_error *err);

/* Are the parts between dots of a host's name 1 to 63 bytes each (RFC 1035, 2.3.4)? A dot may end it. Others exist
 * nowhere, and libraries on the way differ in how they say so. */
bool tksp_labels_fit(tks_bytes name);

/* Reads decimal digits and nothing else; false when there are none, others, or more than `max`. */
bool tksp_decimal(tks_bytes text, uint64_t max, uint64_t *out);

#endif
