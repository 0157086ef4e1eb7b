/* jwt_openssl_load.c - RSA and EC keys from JWKs and PEM, with OpenSSL.
 *
 * Purpose:   RFC 7518 section 6 (JWK); RFC 7468 (PEM) with SPKI, PKCS#1, PKCS#8, SEC 1 and X.509.
 *            tksp_key_evp decides which keys are accepted.
 * Lifecycle: private numbers are in memory that OpenSSL wipes.
 * Threads:   no state; OpenSSL's error queue is preserved for the host. */
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/param_build.h>
#include <openssl/pem.h>
#include <openssl/pkcs12.h>
#include <openssl/x509.h>

#include "jwt_private.h"

enum { COORDINATE_MAX = 66, PASSWORD_MAX = 1000 }; /* bytes: P-521; below OpenSSL's limit */

static tks_status refuse(tks_error *err, const char *problem) {
    return tks_fail(err, TKS_ERR_CONFIGURATION, "the key %s", problem);
}

/* ---- JWK ------------------------------------------------------------------------------------- */

/* Pushes a big-endian number; a `secret` one in memory that is wiped. The caller frees the number after the
 * parameters are built. */
static bool push_number(OSSL_PARAM_BLD *build, const char *name, tks_bytes number, bool secret,
                        BIGNUM **out) {
    *out = secret ? BN_secure_new() : BN_new();
    return *out != NULL &&
           BN_bin2bn((const unsigned char *)number.data, (int)number.size, *out) != NULL &&
           OSSL_PARAM_BLD_push_BN(build, name, *out) == 1;
}

/* A key of `type` from the pushed numbers. NULL: OpenSSL rejects it. */
static EVP_PKEY *build_key(const char *type, OSSL_PARAM_BLD *build, bool is_private) {
    OSSL_PARAM *params = OSSL_PARAM_BLD_to_param(build);
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, type, NULL);
    EVP_PKEY *pkey = NULL;

    if (params == NULL || ctx == NULL || EVP_PKEY_fromdata_init(ctx) != 1 ||
        EVP_PKEY_fromdata(ctx, &pkey, is_private ? EVP_PKEY_KEYPAIR : EVP_PKEY_PUBLIC_KEY,
                          params) != 1) {
        pkey = NULL;
    }
    EVP_PKEY_CTX_free(ctx);
    OSSL_PARAM_free(params);
    return pkey;
}

static tks_status jwk_rsa(const tks_bytes numbers[TKSP_RSA_COUNT], tks_key **out, tks_error *err) {
    static const char *const names[TKSP_RSA_COUNT] = {
        OSSL_PKEY_PARAM_RSA_N,         OSSL_PKEY_PARAM_RSA_E,
        OSSL_PKEY_PARAM_RSA_D,         OSSL_PKEY_PARAM_RSA_FACTOR1,
        OSSL_PKEY_PARAM_RSA_FACTOR2,   OSSL_PKEY_PARAM_RSA_EXPONENT1,
        OSSL_PKEY_PARAM_RSA_EXPONENT2, OSSL_PKEY_PARAM_RSA_COEFFICIENT1};
    BIGNUM *values[TKSP_RSA_COUNT] = {NULL};
    bool is_private = numbers[TKSP_RSA_D].size > 0;
    OSSL_PARAM_BLD *build = NULL;
    EVP_PKEY *pkey = NULL;
    bool pushed = true;
    tks_status status = TKS_OK;

    *out = NULL;
    for (size_t i = 0; i < TKSP_RSA_COUNT; i++) {
        if (numbers[i].size > TKSP_SIGNATURE_MAX + 1) {
            return refuse(err, "(RSA) has a key parameter of more than 8192 bits");
        }
    }
    ERR_set_mark();
    build = OSSL_PARAM_BLD_new();
    pushed = build != NULL;
    for (size_t i = 0; i < TKSP_RSA_COUNT && pushed; i++) {
        if (numbers[i].size > 0) {
            pushed = push_number(build, names[i], numbers[i], i >= TKSP_RSA_D, &values[i]);
        }
    }
    if (pushed) pkey = build_key("RSA", build, is_private);
    status = pkey != NULL ? tksp_key_evp(pkey, is_private, out, err)
                          : refuse(err, "(RSA) is not accepted by OpenSSL");
    for (size_t i = 0; i < TKSP_RSA_COUNT; i++) BN_clear_free(values[i]);
    OSSL_PARAM_BLD_free(build);
    ERR_pop_to_mark();
    return status;
}

static tks_status jwk_ec(tks_key_kind curve, tks_bytes x, tks_bytes y, tks_bytes d, tks_key **out,
                         tks_error *err) {
    static const char *const names[] =
        {[TKS_KEY_P256] = "P-256", [TKS_KEY_P384] = "P-384", [TKS_KEY_P521] = "P-521"};
    unsigned char point[1 + 2 * COORDINATE_MAX] = {POINT_CONVERSION_UNCOMPRESSED};
    OSSL_PARAM_BLD *build = NULL;
    BIGNUM *number = NULL;
    EVP_PKEY *pkey = NULL;
    tks_status status = TKS_OK;

    *out = NULL;
    memcpy(point + 1, x.data, x.size);
    memcpy(point + 1 + x.size, y.data, y.size);
    ERR_set_mark();
    build = OSSL_PARAM_BLD_new();
    if (build != NULL &&
        OSSL_PARAM_BLD_push_utf8_string(build, OSSL_PKEY_PARAM_GROUP_NAME, names[curve], 0) == 1 &&
        OSSL_PARAM_BLD_push_octet_string(build, OSSL_PKEY_PARAM_PUB_KEY, point,
                                         1 + x.size + y.size) == 1 &&
        (d.size == 0 || push_number(build, OSSL_PKEY_PARAM_PRIV_KEY, d, true, &number))) {
        pkey = build_key("EC", build, d.size > 0);
    }
    status = pkey != NULL ? tksp_key_evp(pkey, d.size > 0, out, err)
                          : refuse(err, "(EC) is not a point on its curve");
    BN_clear_free(number);
    OSSL_PARAM_BLD_free(build);
    ERR_pop_to_mark();
    return status;
}

const tks_jwt_provider *tks_jwt_openssl(void) {
    static const tks_jwt_provider provider = {tksp_key_hmac_openssl, jwk_rsa, jwk_ec};
    return &provider;
}

/* ---- PEM ------------------------------------------------------------------------------------- */

static EVP_PKEY *read_certificate(const unsigned char **at, long size) {
    X509 *certificate = d2i_X509(NULL, at, size);
    EVP_PKEY *pkey = certificate != NULL ? X509_get_pubkey(certificate) : NULL;
    X509_free(certificate);
    return pkey;
}

/* ---- encrypted PEM ------------------------------------------------------------------------------ */

/* True if OpenSSL's last error is a missing feature. */
static bool is_unsupported(void) {
    unsigned long error = ERR_peek_last_error();
    int lib = ERR_GET_LIB(error);
    int reason = ERR_GET_REASON(error);
    return reason == ERR_R_UNSUPPORTED ||
           (lib == ERR_LIB_PEM && reason == PEM_R_UNSUPPORTED_ENCRYPTION) ||
           (lib == ERR_LIB_EVP && reason == EVP_R_UNSUPPORTED_ALGORITHM);
}

/* Why a key could not be decrypted. A wrong password leads to invalid padding or to an invalid key. */
static tks_status fail_decrypt(tks_error *err) {
    return refuse(err, is_unsupported()
                           ? "is encrypted with a cipher that this OpenSSL lacks: re-encrypt it "
                             "with openssl pkcs8 -topk8 -v2 aes-256-cbc"
                           : "is encrypted: the password is wrong, or the key is corrupt");
}

/* PKCS#8 (RFC 5958, section 3). */
static EVP_PKEY *decrypt_pkcs8(const unsigned char *der, long size, tks_bytes password) {
    const unsigned char *at = der;
    X509_SIG *sealed = d2i_X509_SIG(NULL, &at, size);
    PKCS8_PRIV_KEY_INFO *open = NULL;
    EVP_PKEY *pkey = NULL;
    if (sealed != NULL && at == der + size) {
        open = PKCS8_decrypt(sealed, password.size > 0 ? password.data : "", (int)password.size);
    }
    if (open != NULL) pkey = EVP_PKCS82PKEY(open);
    PKCS8_PRIV_KEY_INFO_free(open);
    X509_SIG_free(sealed);
    return pkey;
}

/* Without a callback OpenSSL would prompt at the terminal. */
static int give_password(char *buf, int size, int writing, void *context) {
    const tks_bytes *password = context;
    (void)writing;
    if (password->size > (size_t)size) return -1;
    if (password->size > 0) memcpy(buf, password->data, password->size);
    return (int)password->size;
}

/* Decrypts a block with RFC 1421 headers in place. */
static bool decrypt_block(char *header, unsigned char *der, long *size, tks_bytes password) {
    EVP_CIPHER_INFO cipher;
    return PEM_get_EVP_CIPHER_INFO(header, &cipher) == 1 &&
           PEM_do_header(&cipher, der, size, give_password, &password) == 1;
}

/* The key in one PEM block; NULL: unreadable. */
static EVP_PKEY *read_block(const char *name, const unsigned char *der, long size,
                            bool *is_private) {
    const unsigned char *at = der;
    EVP_PKEY *pkey = NULL;

    *is_private = strstr(name, "PRIVATE KEY") != NULL;
    if (strcmp(name, PEM_STRING_PUBLIC) == 0) {
        pkey = d2i_PUBKEY(NULL, &at, size);
    } else if (strcmp(name, PEM_STRING_RSA_PUBLIC) == 0) {
        pkey = d2i_PublicKey(EVP_PKEY_RSA, NULL, &at, size);
    } else if (strcmp(name, PEM_STRING_X509) == 0) {
        pkey = read_certificate(&at, size);
    } else if (strcmp(name, PEM_STRING_RSA) == 0) {
        pkey = d2i_PrivateKey(EVP_PKEY_RSA, NULL, &at, size);
    } else if (strcmp(name, PEM_STRING_ECPRIVATEKEY) == 0) {
        pkey = d2i_PrivateKey(EVP_PKEY_EC, NULL, &at, size);
    } else if (strcmp(name, PEM_STRING_PKCS8INF) == 0) {
        pkey = d2i_AutoPrivateKey(NULL, &at, size);
    }
    if (pkey != NULL && at != der + size) { /* trailing data after the key */
        EVP_PKEY_free(pkey);
        pkey = NULL;
    }
    return pkey;
}

/* The key in a block, encrypted or not. */
static tks_status read_any(const char *name, char *header, unsigned char *der, long size,
                           tks_bytes password, EVP_PKEY **pkey, bool *is_private, tks_error *err) {
    bool pkcs8 = strcmp(name, PEM_STRING_PKCS8) == 0;
    *is_private = true;
    if ((pkcs8 || header[0] != '\0') && password.data == NULL) {
        return refuse(err, "is encrypted: give its password");
    }
    if (pkcs8) {
        *pkey = decrypt_pkcs8(der, size, password);
        return *pkey != NULL ? TKS_OK : fail_decrypt(err);
    }
    if (header[0] != '\0' && !decrypt_block(header, der, &size, password)) return fail_decrypt(err);
    *pkey = read_block(name, der, size, is_private);
    if (*pkey != NULL) return TKS_OK;
    if (header[0] != '\0') return fail_decrypt(err);
    return refuse(err, "in the PEM text could not be read: its type is unknown, or it is corrupt");
}

/* Reads the only block that is a key; `text` is the caller's original. */
static tks_status read_pem(BIO *bio, tks_bytes text, tks_bytes password, EVP_PKEY **pkey,
                           bool *is_private, tks_error *err) {
    tks_status status = TKS_OK;
    char *name = NULL;
    char *header = NULL;
    unsigned char *der = NULL;
    long size = 0;
    size_t blocks = 0;

    *pkey = NULL;
    while (status == TKS_OK && PEM_read_bio(bio, &name, &header, &der, &size) == 1) {
        if (strcmp(name, PEM_STRING_ECPARAMETERS) == 0) {
            /* openssl ecparam writes it before the key, which names the curve again */
        } else if (blocks++ > 0) {
            status =
                refuse(err, "text contains more than one key or certificate: provide exactly one");
        } else if (strcmp(name, "OPENSSH PRIVATE KEY") == 0) {
            status = refuse(err, tksp_pem_explain(text));
        } else {
            status = read_any(name, header, der, size, password, pkey, is_private, err);
        }
        OPENSSL_free(name);
        OPENSSL_free(header);
        OPENSSL_clear_free(der, (size_t)size);
    }
    if (status == TKS_OK && *pkey == NULL) status = refuse(err, tksp_pem_explain(text));
    return status;
}

tks_status tks_key_from_pem(tks_bytes pem, const tks_key_options *options, tks_key **out,
                            tks_error *err) {
    EVP_PKEY *pkey = NULL;
    tks_key *key = NULL;
    bool is_private = false;
    tks_status status = TKS_OK;
    BIO *bio = NULL;
    tks_buf tidy;
    tks_bytes password = options != NULL ? options->password : tks_bytes_of(NULL, 0);

    *out = NULL;
    if (password.size > PASSWORD_MAX) {
        return refuse(err, "has a password longer than 1000 bytes");
    }
    if (pem.size > TKS_JWK_SIZE_MAX) return refuse(err, "text is longer than 1 MiB");
    tks_buf_init(&tidy, 2 * TKS_JWK_SIZE_MAX);
    ERR_set_mark();
    if (tksp_pem_tidy(pem, &tidy) == TKS_OK) {
        bio = BIO_new_mem_buf(tidy.size > 0 ? tidy.data : "", (int)tidy.size);
    }
    status =
        bio != NULL ? read_pem(bio, pem, password, &pkey, &is_private, err) : tks_fail_memory(err);
    BIO_free(bio);
    tks_buf_wipe(&tidy);
    if (status == TKS_OK) {
        status = tksp_key_evp(pkey, is_private, &key, err);
        pkey = NULL;
    }
    EVP_PKEY_free(pkey);
    if (status == TKS_OK) status = tksp_key_apply(key, options, err);
    ERR_pop_to_mark();
    if (status != TKS_OK) {
        tks_key_free(key);
        return status;
    }
    *out = key;
    return TKS_OK;
}
