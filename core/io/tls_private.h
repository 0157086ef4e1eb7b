/* tls_private.h - shared by the two files that use OpenSSL.
 *
 *     tls.c         sessions, and the settings of a context
 *     tls_files.c   certificates and keys, from files into a context */
#ifndef TKSP_IO_TLS_PRIVATE_H
#define TKSP_IO_TLS_PRIVATE_H

#include <openssl/ssl.h>

#include "tls.h"

enum { REASON_SIZE = 160 };

/* Writes the first reason in OpenSSL's error queue to `out` and returns it; empties the queue. */
const char *tksp_tls_take_reason(char *out, size_t size);

/* Loads the CA certificates, the client's certificate and its key. TKS_OK, TKS_ERR_CONFIGURATION (the message
 * names the
 * file), TKS_ERR_MEMORY. */
tks_status tksp_tls_load_files(SSL_CTX *ctx, const tks_target *target, tks_error *err);

#endif
