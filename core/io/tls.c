/* tls.c - TLS with OpenSSL 1.1.1 or 3.x. See tls.h.
 *
 * The server's name must be in subjectAltName: commonName is not used (RFC 9525). */
#define _POSIX_C_SOURCE 200809L

#include <arpa/inet.h>
#include <errno.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "tls_private.h"

enum { SECURITY_LEVEL = 2, NAME_MAX_SIZE = 256 };

struct tksp_tls_context {
    atomic_uint users;
    SSL_CTX *ctx;
    BIO_METHOD *method;
};

struct tksp_tls {
    tksp_tls_context *context; /* shared: its BIO method must outlive the session */
    SSL *ssl;
    int fd;
    int sys_error; /* errno of the last failed send or recv */
    bool eof;
    bool sent;
};

/* ---- the socket as OpenSSL sees it ------------------------------------------------------------- */

static int socket_write(BIO *bio, const char *data, int size) {
    tksp_tls *tls = BIO_get_data(bio);
    BIO_clear_retry_flags(bio);
    ssize_t n = send(tls->fd, data, (size_t)size, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (n >= 0) {
        tls->sent = true;
        return (int)n;
    }
    tls->sys_error = errno;
    if (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR) {
        BIO_set_retry_write(bio);
    }
    return -1;
}

static int socket_read(BIO *bio, char *data, int size) {
    tksp_tls *tls = BIO_get_data(bio);
    BIO_clear_retry_flags(bio);
    ssize_t n = recv(tls->fd, data, (size_t)size, MSG_DONTWAIT);
    if (n >= 0) {
        tls->eof = n == 0;
        return (int)n;
    }
    tls->sys_error = errno;
    if (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR) {
        BIO_set_retry_read(bio);
    }
    return -1;
}

static long socket_control(BIO *bio, int command, long number, void *pointer) {
    (void)number, (void)pointer;
    if (command == BIO_CTRL_EOF) {
        const tksp_tls *tls = BIO_get_data(bio);
        return tls != NULL && tls->eof;
    }
    return command == BIO_CTRL_FLUSH;
}

/* ---- the context ------------------------------------------------------------------------------- */

tks_status tksp_tls_context_new(const tks_target *target, tksp_tls_context **out, tks_error *err) {
    tks_status status = TKS_ERR_MEMORY;
    *out = NULL;
    tksp_tls_context *context = calloc(1, sizeof *context);
    if (context == NULL) {
        return tks_fail_memory(err);
    }
    atomic_init(&context->users, 1);
    ERR_clear_error();
    context->ctx = SSL_CTX_new(TLS_client_method());
    context->method = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "tokenstore");
    if (context->ctx == NULL || context->method == NULL ||
        BIO_meth_set_write(context->method, socket_write) != 1 ||
        BIO_meth_set_read(context->method, socket_read) != 1 ||
        BIO_meth_set_ctrl(context->method, socket_control) != 1 ||
        SSL_CTX_set_min_proto_version(context->ctx, TLS1_2_VERSION) != 1) {
        status = tks_fail_memory(err);
        goto cleanup;
    }
    SSL_CTX_set_verify(context->ctx, SSL_VERIFY_PEER, NULL);
    if (SSL_CTX_get_security_level(context->ctx) < SECURITY_LEVEL) {
        SSL_CTX_set_security_level(context->ctx, SECURITY_LEVEL);
    }
    SSL_CTX_set_options(context->ctx, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
    SSL_CTX_set_mode(context->ctx,
                     SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    SSL_CTX_set_session_cache_mode(context->ctx, SSL_SESS_CACHE_OFF);
    status = tksp_tls_load_files(context->ctx, target, err);

cleanup:
    if (status != TKS_OK) {
        ERR_clear_error();
        tksp_tls_context_release(context);
        return status;
    }
    *out = context;
    return TKS_OK;
}

tksp_tls_context *tksp_tls_context_share(tksp_tls_context *context) {
    atomic_fetch_add(&context->users, 1);
    return context;
}

void tksp_tls_context_release(tksp_tls_context *context) {
    if (context == NULL || atomic_fetch_sub(&context->users, 1) != 1) {
        return;
    }
    SSL_CTX_free(context->ctx);
    BIO_meth_free(context->method);
    free(context);
}

/* ---- a session --------------------------------------------------------------------------------- */

/* Sets the name that the certificate must contain: without the zone of an IPv6 address and without a trailing
 * dot. */
static tks_status set_name(SSL *ssl, const tks_target *target, tks_error *err) {
    const char *given = target->server_name != NULL ? target->server_name : target->host;
    char name[NAME_MAX_SIZE];
    unsigned char address[sizeof(struct in6_addr)];
    size_t size = strcspn(given, "%");
    if (size > 1 && given[size - 1] == '.') {
        size--;
    }
    if (size >= sizeof name) {
        return tks_fail(err, TKS_ERR_CONFIGURATION, "the server's name is too long");
    }
    memcpy(name, given, size);
    name[size] = '\0';
    X509_VERIFY_PARAM *param = SSL_get0_param(ssl);
    X509_VERIFY_PARAM_set_hostflags(
        param, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS | X509_CHECK_FLAG_NEVER_CHECK_SUBJECT);
    bool is_address =
        inet_pton(AF_INET, name, address) == 1 || inet_pton(AF_INET6, name, address) == 1;
    if (is_address ? X509_VERIFY_PARAM_set1_ip_asc(param, name) != 1
                   : X509_VERIFY_PARAM_set1_host(param, name, size) != 1 ||
                         SSL_set_tlsext_host_name(ssl, name) != 1) {
        return tks_fail_memory(err);
    }
    return TKS_OK;
}

tks_status tksp_tls_new(tksp_tls_context *context, const tks_target *target, int fd, tksp_tls **out,
                        tks_error *err) {
    *out = NULL;
    tks_status status;
    BIO *bio = NULL;
    tksp_tls *tls = calloc(1, sizeof *tls);
    if (tls == NULL) {
        return tks_fail_memory(err);
    }
    tls->context = tksp_tls_context_share(context);
    tls->fd = fd;
    tls->ssl = SSL_new(context->ctx);
    bio = BIO_new(context->method);
    if (tls->ssl == NULL || bio == NULL) {
        BIO_free(bio);
        status = tks_fail_memory(err);
        goto cleanup;
    }
    BIO_set_data(bio, tls);
    BIO_set_init(bio, 1);
    SSL_set_bio(tls->ssl, bio, bio);
    SSL_set_connect_state(tls->ssl);
    status = set_name(tls->ssl, target, err);

cleanup:
    if (status != TKS_OK) {
        ERR_clear_error();
        tksp_tls_free(tls);
        return status;
    }
    *out = tls;
    return TKS_OK;
}

/* True if other CA certificates could change the result. */
static bool is_about_trust(long verdict) {
    static const long verdicts[] = {X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT,
                                    X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY,
                                    X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE,
                                    X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN,
                                    X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT,
                                    X509_V_ERR_CERT_SIGNATURE_FAILURE,
                                    X509_V_ERR_AKID_SKID_MISMATCH};
    for (size_t i = 0; i < sizeof verdicts / sizeof verdicts[0]; i++) {
        if (verdict == verdicts[i]) {
            return true;
        }
    }
    return false;
}

/* Classifies the result of a call that returned `result` <= 0. */
static tksp_io judge(tksp_tls *tls, int result, tks_error *err) {
    char reason[REASON_SIZE];
    int kind = SSL_get_error(tls->ssl, result);
    if (kind == SSL_ERROR_WANT_READ) {
        return TKSP_IO_WANT_READ;
    }
    if (kind == SSL_ERROR_WANT_WRITE) {
        return TKSP_IO_WANT_WRITE;
    }
    long verdict = SSL_get_verify_result(tls->ssl);
    if (verdict != X509_V_OK) {
        ERR_clear_error();
        tks_fail(
            err, TKS_ERR_CONNECTION, "the server's certificate was rejected: %s%s",
            X509_verify_cert_error_string(verdict),
            verdict == X509_V_ERR_HOSTNAME_MISMATCH || verdict == X509_V_ERR_IP_ADDRESS_MISMATCH
                ? " (the name must be in its subjectAltName; server_name= sets another)"
                : "");
        return is_about_trust(verdict) ? TKSP_IO_UNTRUSTED : TKSP_IO_REFUSED;
    }
    if (kind == SSL_ERROR_ZERO_RETURN || tls->eof) {
        ERR_clear_error();
        tks_fail(err, TKS_ERR_CONNECTION, "the server closed the connection");
        return TKSP_IO_FAILED;
    }
    if (kind == SSL_ERROR_SYSCALL) {
        ERR_clear_error();
        tks_fail(err, TKS_ERR_CONNECTION, "%s",
                 tls->sys_error != 0 ? strerror(tls->sys_error) : "the connection was lost");
        return TKSP_IO_FAILED;
    }
    bool is_other_protocol = ERR_GET_REASON(ERR_peek_error()) == SSL_R_WRONG_VERSION_NUMBER;
    tks_fail(err, TKS_ERR_CONNECTION, "TLS failed: %s%s",
             tksp_tls_take_reason(reason, sizeof reason),
             is_other_protocol ? " (does the server speak TLS on this port?)" : "");
    return TKSP_IO_REFUSED;
}

tksp_io tksp_tls_handshake(tksp_tls *tls, tks_error *err) {
    ERR_clear_error();
    int result = SSL_do_handshake(tls->ssl);
    return result == 1 ? TKSP_IO_DONE : judge(tls, result, err);
}

tksp_io tksp_tls_read(tksp_tls *tls, void *data, size_t size, size_t *moved, tks_error *err) {
    *moved = 0;
    ERR_clear_error();
    int result = SSL_read_ex(tls->ssl, data, size, moved);
    return result == 1 ? TKSP_IO_DONE : judge(tls, result, err);
}

tksp_io tksp_tls_write(tksp_tls *tls, const void *data, size_t size, size_t *moved,
                       tks_error *err) {
    *moved = 0;
    ERR_clear_error();
    int result = SSL_write_ex(tls->ssl, data, size, moved);
    return result == 1 ? TKSP_IO_DONE : judge(tls, result, err);
}

bool tksp_tls_take_sent(tksp_tls *tls) {
    bool sent = tls->sent;
    tls->sent = false;
    return sent;
}

bool tksp_tls_has_pending(const tksp_tls *tls) {
    return SSL_has_pending(tls->ssl) == 1;
}

void tksp_tls_goodbye(tksp_tls *tls) {
    ERR_clear_error();
    (void)SSL_shutdown(tls->ssl);
    ERR_clear_error();
}

void tksp_tls_free(tksp_tls *tls) {
    if (tls == NULL) {
        return;
    }
    if (tls->ssl != NULL) {
        /* Write nothing and take no lock of the context: this may be a forked child. */
        SSL_set_shutdown(tls->ssl, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
        SSL_free(tls->ssl);
    }
    tksp_tls_context_release(tls->context);
    free(tls);
}
