/* tls_private.h - what core/io/tls*.c share: the two files that see OpenSSL.
 *
 *     tls.c         sessions, and what a context is set to
 *     tls_files.c   certificates and keys, from files into a context */
#ifndef TKSP_IO_TLS_PRIVATE_H
#define TKSP_IO_TLS_PRIVATE_H

#include <openssl/ssl.h>

#include "tls.h"

enum { REASON_SIZE = 160 };

/* The first reason in OpenSSL's queue, in `out`, which is returned; empties the queue. */
const char *tksp_tls_take_reason(char *out, size_t size);

/* Loads the authorities, our certificate and its key. TKS_OK, TKS_ERR_CONFIGURATION (the message names the
 * file), TKS_ERR_MEMORY. */
tks_status tksp_tls_load_files(SSL_CTX *ctx, const tks_target *target, tks_error *err);

#endif
