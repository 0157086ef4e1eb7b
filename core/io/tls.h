/* tls.h - non-blocking TLS on a socket.
 *
 * Purpose:   verified TLS 1.2 or newer: chain, purpose, host name.
 * Lifecycle: a reference-counted context, made from the files of a target (tls_source.h renews it when they
 *            change); a tksp_tls for each connection. The caller owns the socket.
 * Threads:   a context may be shared by threads; a tksp_tls is used by one at a time.
 * Signals:   sends with MSG_NOSIGNAL, never through OpenSSL's own write(). */
#ifndef TKSP_IO_TLS_H
#define TKSP_IO_TLS_H

#include <stdbool.h>
#include <stddef.h>

#include "tokenstore/url.h"

typedef struct tksp_tls_context tksp_tls_context;
typedef struct tksp_tls tksp_tls;

/* The result of a non-blocking read, write or handshake. */
typedef enum tksp_io {
    TKSP_IO_DONE,
    TKSP_IO_WANT_READ,
    TKSP_IO_WANT_WRITE,
    TKSP_IO_FAILED,   /* `err` is set: TKS_ERR_CONNECTION, TKS_ERR_MEMORY */
    TKSP_IO_REFUSED,  /* as FAILED, but retrying cannot help: a certificate, the protocol */
    TKSP_IO_UNTRUSTED /* as REFUSED: the current CAs do not trust the server's certificate */
} tksp_io;

/* Reads the files named by `target`. TKS_OK, TKS_ERR_CONFIGURATION (the message names the file),
 * TKS_ERR_MEMORY. */
tks_status tksp_tls_context_new(const tks_target *target, tksp_tls_context **out, tks_error *err);

/* Adds a reference to `context` and returns it. */
tksp_tls_context *tksp_tls_context_share(tksp_tls_context *context);

/* NULL is accepted. */
void tksp_tls_context_release(tksp_tls_context *context);

/* The paths of the system's CA certificates: a file and a directory, which need not exist. */
void tksp_tls_system_authorities(const char **file, const char **directory);

/* A session on the connected socket `fd`, for the server named by `target`. */
tks_status tksp_tls_new(tksp_tls_context *context, const tks_target *target, int fd, tksp_tls **out,
                        tks_error *err);

tksp_io tksp_tls_handshake(tksp_tls *tls, tks_error *err);

/* Reads at most `size` bytes; *moved: how many. EOF is TKSP_IO_FAILED. */
tksp_io tksp_tls_read(tksp_tls *tls, void *data, size_t size, size_t *moved, tks_error *err);
tksp_io tksp_tls_write(tksp_tls *tls, const void *data, size_t size, size_t *moved, tks_error *err);

/* True if the socket has accepted any byte of the session since the last call. */
bool tksp_tls_take_sent(tksp_tls *tls);

/* True if decrypted bytes are buffered, which poll() on the socket does not report. */
bool tksp_tls_has_pending(const tksp_tls *tls);

/* Sends close_notify if that is possible without waiting. */
void tksp_tls_goodbye(tksp_tls *tls);

/* Frees the session; does not touch the socket. NULL is accepted. */
void tksp_tls_free(tksp_tls *tls);

#endif
