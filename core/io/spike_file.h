/* spike_file.h - the client's secret or assertion in a file, which may change at any time. */
#ifndef TKSP_IO_SPIKE_FILE_H
#define TKSP_IO_SPIKE_FILE_H

#include "tokenstore/buf.h"

enum { TKSP_SPIKE_FILE_MAX = 64 * 1024 };

/* Appends the content of the file at `path`, without surrounding whitespace: editors add a newline,
 * Kubernetes does not. `out` must be wiped. TKS_OK; TKS_ERR_SPIKE: the file cannot be read, is empty or too
 * large (the message does not quote it); TKS_ERR_MEMORY. */
tks_status tksp_spike_read_file(tks_bytes path, tks_buf *out, tks_error *err);

/* Appends the digest of the file at `path`, the client's certificate: tokens may be bound to it. Statuses as
 * above. */
tks_status tksp_spike_digest_file(const char *path, tks_buf *out, tks_error *err);

#endif
