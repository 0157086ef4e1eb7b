/* tls_files.c - loads certificates and keys from files into an OpenSSL context.
 *
 * The files are read here and passed to OpenSSL as memory. OpenSSL's own readers treat an interrupted or
 * failed read as the end of the file: they load the first part of a bundle and report success. */
#define _POSIX_C_SOURCE 200809L

#include <errno.h>
#include <fcntl.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tls_private.h"
#include "tokenstore/buf.h"

enum { FILE_MAX = 16 << 20, PIECE = 64 * 1024 };

static const char CA_HINT[] =
    " (it must be a file of PEM certificates, or a directory prepared with `openssl rehash`)";

const char *tksp_tls_take_reason(char *out, size_t size) {
    unsigned long code = ERR_get_error();
    const char *reason = code != 0 ? ERR_reason_error_string(code) : NULL;
    (void)BIO_snprintf(out, size, "%s", reason != NULL ? reason : "unknown reason");
    ERR_clear_error();
    return out;
}

static tks_status bad_file(const char *option, const char *path, const char *hint, tks_error *err) {
    char reason[REASON_SIZE];
    return tks_fail(err, TKS_ERR_CONFIGURATION, "cannot use %s=%.100s: %s%s", option, path,
                    tksp_tls_take_reason(reason, sizeof reason), hint);
}

/* ---- reading ----------------------------------------------------------------------------------- */

static tks_status read_all(int fd, tks_buf *out) {
    for (;;) {
        char *at;
        tks_status status = tks_buf_reserve(out, PIECE, &at);
        if (status != TKS_OK) {
            return status;
        }
        ssize_t n = read(fd, at, PIECE);
        if (n > 0) {
            tks_buf_advance(out, (size_t)n);
        } else if (n == 0) {
            return TKS_OK;
        } else if (errno != EINTR) {
            return TKS_ERR_CONFIGURATION;
        }
    }
}

/* The whole file as a BIO over `buf`, which must be wiped afterwards. NULL: `err` is set. */
static BIO *open_file(const char *option, const char *path, tks_buf *buf, tks_error *err) {
    tks_buf_init(buf, FILE_MAX);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    tks_status status = fd >= 0 ? read_all(fd, buf) : TKS_ERR_CONFIGURATION;
    int error = errno;
    if (fd >= 0) {
        (void)close(fd);
    }
    if (status == TKS_ERR_CONFIGURATION) {
        tks_fail(err, status, "cannot use %s=%.100s: %s", option, path, strerror(error));
        return NULL;
    }
    if (status == TKS_ERR_DATA) {
        tks_fail(err, TKS_ERR_CONFIGURATION, "cannot use %s=%.100s: it is larger than 16 MiB",
                 option, path);
        return NULL;
    }
    BIO *bio = status == TKS_OK ? BIO_new_mem_buf(buf->data, (int)buf->size) : NULL;
    if (bio == NULL) {
        tks_fail_memory(err);
    }
    return bio;
}

static void close_file(BIO *bio, tks_buf *buf) {
    BIO_free(bio);
    tks_buf_wipe(buf);
}

/* Without this OpenSSL would prompt for the password of an encrypted key at the terminal. */
static int no_password(char *out, int size, int writing, void *context) {
    (void)out, (void)size, (void)writing, (void)context;
    return 0;
}

/* The next certificate. NULL at the end of the file, or with *bad on a parse error. */
static X509 *read_certificate(BIO *bio, bool *bad) {
    X509 *certificate = PEM_read_bio_X509_AUX(bio, NULL, no_password, NULL);
    unsigned long code = certificate == NULL ? ERR_peek_last_error() : 0;
    *bad = certificate == NULL &&
           !(ERR_GET_LIB(code) == ERR_LIB_PEM && ERR_GET_REASON(code) == PEM_R_NO_START_LINE);
    return certificate;
}

/* ---- authorities ------------------------------------------------------------------------------- */

static tks_status load_bundle(SSL_CTX *ctx, const char *path, tks_error *err) {
    tks_buf buf;
    size_t count = 0;
    bool bad = false, added = true;
    X509 *certificate;
    BIO *bio = open_file("ca", path, &buf, err);
    tks_status status = bio != NULL ? TKS_OK : TKS_ERR_CONFIGURATION;
    while (bio != NULL && added && (certificate = read_certificate(bio, &bad)) != NULL) {
        added = X509_STORE_add_cert(SSL_CTX_get_cert_store(ctx), certificate) == 1;
        X509_free(certificate);
        count++;
    }
    if (bio != NULL && (bad || count == 0 || !added)) {
        status = bad_file("ca", path, CA_HINT, err);
    }
    ERR_clear_error(); /* OpenSSL reports the end of the file as an error */
    close_file(bio, &buf);
    return status;
}

/* Fedora's and RHEL's bundle. They have no directory that an OpenSSL of another system, such as a wheel's, could search. */
static const char *bundle_elsewhere(void) {
    static const char *const bundles[] = {"/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
                                          "/etc/pki/tls/certs/ca-bundle.crt"};
    for (size_t i = 0; i < sizeof bundles / sizeof bundles[0]; i++) {
        if (access(bundles[i], R_OK) == 0) {
            return bundles[i];
        }
    }
    return NULL;
}

void tksp_tls_system_authorities(const char **file, const char **directory) {
    const char *given_file = getenv(X509_get_default_cert_file_env());
    const char *given_directory = getenv(X509_get_default_cert_dir_env());
    const char *ours = X509_get_default_cert_file();
    const char *elsewhere =
        given_directory == NULL && access(ours, R_OK) != 0 ? bundle_elsewhere() : NULL;
    *file = given_file != NULL ? given_file : elsewhere != NULL ? elsewhere : ours;
    *directory = given_directory != NULL ? given_directory : X509_get_default_cert_dir();
}

/* SSL_CERT_FILE and SSL_CERT_DIR override the system's. */
static tks_status load_system_authorities(SSL_CTX *ctx, tks_error *err) {
    const char *bundle, *directory;
    tksp_tls_system_authorities(&bundle, &directory);
    if (SSL_CTX_set_default_verify_paths(ctx) != 1) {
        return tks_fail_memory(err);
    }
    bool is_elsewhere = getenv(X509_get_default_cert_file_env()) == NULL &&
                        strcmp(bundle, X509_get_default_cert_file()) != 0;
    return is_elsewhere ? load_bundle(ctx, bundle, err) : TKS_OK;
}

static tks_status load_authorities(SSL_CTX *ctx, const char *ca, tks_error *err) {
    struct stat info;
    if (ca == NULL) {
        return load_system_authorities(ctx, err);
    }
    if (stat(ca, &info) != 0) {
        return tks_fail(err, TKS_ERR_CONFIGURATION, "cannot use ca=%.100s: %s", ca,
                        strerror(errno));
    }
    if (!S_ISDIR(info.st_mode)) {
        return load_bundle(ctx, ca, err);
    }
    return SSL_CTX_load_verify_locations(ctx, NULL, ca) == 1 ? TKS_OK
                                                             : bad_file("ca", ca, CA_HINT, err);
}

/* ---- client certificate ------------------------------------------------------------------------ */

/* The client's certificate comes first, then the intermediate ones. */
static tks_status load_chain(SSL_CTX *ctx, const char *path, tks_error *err) {
    tks_buf buf;
    bool bad = false, taken = false;
    BIO *bio = open_file("cert", path, &buf, err);
    tks_status status = bio != NULL ? TKS_OK : TKS_ERR_CONFIGURATION;
    X509 *certificate = bio != NULL ? read_certificate(bio, &bad) : NULL;
    if (certificate != NULL) {
        taken = SSL_CTX_use_certificate(ctx, certificate) == 1;
        X509_free(certificate);
    }
    while (taken && (certificate = read_certificate(bio, &bad)) != NULL) {
        taken = SSL_CTX_add0_chain_cert(ctx, certificate) == 1;
        if (!taken) {
            X509_free(certificate);
        }
    }
    if (bio != NULL && (bad || !taken)) {
        status = bad_file("cert", path, "", err);
    }
    ERR_clear_error();
    close_file(bio, &buf);
    return status;
}

static tks_status load_key(SSL_CTX *ctx, const char *path, tks_error *err) {
    tks_buf buf;
    BIO *bio = open_file("key", path, &buf, err);
    tks_status status = bio != NULL ? TKS_OK : TKS_ERR_CONFIGURATION;
    EVP_PKEY *key = bio != NULL ? PEM_read_bio_PrivateKey(bio, NULL, no_password, NULL) : NULL;
    if (bio != NULL && (key == NULL || SSL_CTX_use_PrivateKey(ctx, key) != 1)) {
        status =
            bad_file("key", path, " (it must be an unencrypted PEM key that matches cert=)", err);
    } else if (bio != NULL && SSL_CTX_check_private_key(ctx) != 1) {
        status = bad_file("key", path, " (the key does not match cert=)", err);
    }
    EVP_PKEY_free(key);
    close_file(bio, &buf);
    return status;
}

tks_status tksp_tls_load_files(SSL_CTX *ctx, const tks_target *target, tks_error *err) {
    tks_status status = load_authorities(ctx, target->ca, err);
    if (status != TKS_OK || (target->cert == NULL && target->key == NULL)) {
        return status;
    }
    if (target->cert == NULL) {
        return tks_fail(err, TKS_ERR_CONFIGURATION,
                        "key= is given without cert=: give the client certificate too");
    }
    status = load_chain(ctx, target->cert, err);
    if (status == TKS_OK) {
        status = load_key(ctx, target->key != NULL ? target->key : target->cert, err);
    }
    return status;
}
