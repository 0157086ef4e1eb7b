/* spike_file.h - the client's secret or assertion in a file, which may change at any time. */
#ifndef TKSP_IO_SPIKE_FILE_H
#define TKSP_IO_SPIKE_FILE_H

#include "tokenstore/buf.h"

enum { TKSP_SPIKE_FILE_MAX = 64 * 1024 };

/* Appends what the file at `path` holds, without the blanks and ends of lines around it: Kubernetes writes none,
 * editors do. `out` must be wiped. TKS_OK; TKS_ERR_SPIKE: it cannot be read, is empty or too large, which the message
 * says and nothing of what it holds; TKS_ERR_MEMORY. */
tks_status tksp_spike_read_file(tks_bytes path, tks_buf *out, tks_error *err);

/* Appends the digest of the file at `path`: of the client's certificate, which tokens may be bound to. Statuses as
 * above. */
tks_status tksp_spike_digest_file(const char *path, tks_buf *out, tks_error *err);

#endif
