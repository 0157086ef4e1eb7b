/* tls.h - TLS on a socket, without ever waiting.
 *
 * Purpose:   verified TLS 1.2 or newer: chain, purpose, host name.
 * Lifecycle: a context, counted, made from the files of a target (tls_source.h makes it anew when they
 *            change); a tksp_tls for each connection. The socket stays the caller's.
 * Threads:   a context serves many threads; a tksp_tls one at a time.
 * Signals:   bytes go out with MSG_NOSIGNAL, never through OpenSSL's own write(). */
#ifndef TKSP_IO_TLS_H
#define TKSP_IO_TLS_H

#include <stdbool.h>
#include <stddef.h>

#include "tokenstore/url.h"

typedef struct tksp_tls_context tksp_tls_context;
typedef struct tksp_tls tksp_tls;

/* What came of an attempt to move bytes without waiting. */
typedef enum tksp_io {
    TKSP_IO_DONE,
    TKSP_IO_WANT_READ,
    TKSP_IO_WANT_WRITE,
    TKSP_IO_FAILED,   /* the error is noted: TKS_ERR_CONNECTION, TKS_ERR_MEMORY */
    TKSP_IO_REFUSED,  /* as FAILED, and trying again cannot help: a certificate, the protocol */
    TKSP_IO_UNTRUSTED /* as REFUSED: of the server's certificate, with the authorities as they are */
} tksp_io;

/* Reads the files `target` names. TKS_OK, TKS_ERR_CONFIGURATION (the message names the file),
 * TKS_ERR_MEMORY. */
tks_status tksp_tls_context_new(const tks_target *target, tksp_tls_context **out, tks_error *err);

/* Another reference to `context`, which is returned. */
tksp_tls_context *tksp_tls_context_share(tksp_tls_context *context);

/* NULL is accepted. */
void tksp_tls_context_release(tksp_tls_context *context);

/* Where the certificates of the system's authorities are: a file and a directory, which need not exist. */
void tksp_tls_system_authorities(const char **file, const char **directory);

/* A session on the connected socket `fd` for the server that `target` names. */
tks_status tksp_tls_new(tksp_tls_context *context, const tks_target *target, int fd, tksp_tls **out,
                        tks_error *err);

tksp_io tksp_tls_handshake(tksp_tls *tls, tks_error *err);

/* At most `size` bytes; *moved says how many. An end of the stream is TKSP_IO_FAILED. */
tksp_io tksp_tls_read(tksp_tls *tls, void *data, size_t size, size_t *moved, tks_error *err);
tksp_io tksp_tls_write(tksp_tls *tls, const void *data, size_t size, size_t *moved, tks_error *err);

/* Has any byte of the session been taken by the socket since the last call? */
bool tksp_tls_take_sent(tksp_tls *tls);

/* Are bytes waiting inside, that poll() on the socket does not know of? */
bool tksp_tls_has_pending(const tksp_tls *tls);

/* Says goodbye to the peer if the socket takes it at once. */
void tksp_tls_goodbye(tksp_tls *tls);

/* Frees without touching the socket. NULL is accepted. */
void tksp_tls_free(tksp_tls *tls);

#endif
