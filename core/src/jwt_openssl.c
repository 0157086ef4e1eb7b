/* jwt_openssl.c - RSA and EC keys with OpenSSL (3.0 and later): RS, PS and ES 256/384/512.
 *
 * Purpose:   wraps an EVP_PKEY, rejects weak and unusual ones, verifies and signs (RFC 7518, sections 3.3 to
 *            3.5). jwt_openssl_load.c creates them. Nothing else in the core calls these two files, so a
 *            program that does not call tks_key_from_pem or tks_jwt_openssl does not link OpenSSL.
 * Lifecycle: a key owns its EVP_PKEY and its digests, fetched once because fetching costs more than hashing.
 * Threads:   an EVP_PKEY and an EVP_MD are only read; each call has its own context.
 *
 * The host may use OpenSSL too: its error queue is preserved. */
#include <openssl/opensslv.h>
#if OPENSSL_VERSION_NUMBER < 0x30000000L
#error "tokenstore needs OpenSSL 3.0 or later"
#endif

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/rsa.h>
#include <stdlib.h>

#include "jwt_private.h"

enum { RSA_BITS_MIN = 2048, RSA_BITS_MAX = TKSP_SIGNATURE_MAX * 8, RSA_EXPONENT_BITS_MAX = 64 };

#define RS_ALGS                                                                                    \
    (TKS_JWT_BIT(TKS_JWT_RS256) | TKS_JWT_BIT(TKS_JWT_RS384) | TKS_JWT_BIT(TKS_JWT_RS512))
#define PS_ALGS                                                                                    \
    (TKS_JWT_BIT(TKS_JWT_PS256) | TKS_JWT_BIT(TKS_JWT_PS384) | TKS_JWT_BIT(TKS_JWT_PS512))

/* The digests, in the order of the algorithms of each family. */
enum { DIGESTS = 3 };
static const char *const digest_names[DIGESTS] = {"SHA2-256", "SHA2-384", "SHA2-512"};

typedef struct evp_key {
    tks_key key;
    EVP_PKEY *pkey;
    EVP_MD *digests[DIGESTS];
    size_t half; /* EC: bytes of R and of S; RSA: 0 */
} evp_key;

static const evp_key *evp_of(const tks_key *key) {
    return (const evp_key *)(const void *)key;
}

static tks_status refuse(tks_error *err, const char *problem) {
    return tks_fail(err, TKS_ERR_CONFIGURATION, "the key %s", problem);
}

/* ---- signatures: DER and R || S -------------------------------------------------------------- */

/* R || S (RFC 7518, 3.4) as DER, to be freed with OPENSSL_free. 0: failure. */
static int raw_to_der(const evp_key *key, tks_bytes raw, unsigned char **der) {
    const unsigned char *data = (const unsigned char *)raw.data;
    ECDSA_SIG *sig = ECDSA_SIG_new();
    BIGNUM *r = BN_bin2bn(data, (int)key->half, NULL);
    BIGNUM *s = BN_bin2bn(data + key->half, (int)key->half, NULL);
    int size = 0;

    *der = NULL;
    if (sig == NULL || r == NULL || s == NULL || ECDSA_SIG_set0(sig, r, s) != 1) {
        BN_free(r);
        BN_free(s);
    } else {
        size = i2d_ECDSA_SIG(sig, der); /* sig owns r and s now */
    }
    ECDSA_SIG_free(sig);
    return size > 0 ? size : 0;
}

/* The reverse; false: not a signature of this curve. */
static bool der_to_raw(const evp_key *key, const unsigned char *der, size_t size,
                       unsigned char *raw) {
    ECDSA_SIG *sig = d2i_ECDSA_SIG(NULL, &der, (long)size);
    int half = (int)key->half;
    bool good = sig != NULL && BN_bn2binpad(ECDSA_SIG_get0_r(sig), raw, half) == half &&
                BN_bn2binpad(ECDSA_SIG_get0_s(sig), raw + half, half) == half;
    ECDSA_SIG_free(sig);
    return good;
}

/* ---- verify and sign ------------------------------------------------------------------------- */

static bool is_pss(tks_jwt_alg alg) {
    return (PS_ALGS & TKS_JWT_BIT(alg)) != 0;
}

/* RS, PS and ES have three consecutive algorithms each. */
static const EVP_MD *digest_of(const evp_key *key, tks_jwt_alg alg) {
    return key->digests[(unsigned)(alg - TKS_JWT_RS256) % DIGESTS];
}

/* For PSS, a salt as long as the digest and the same digest in MGF1 (RFC 7518, 3.5). */
static bool set_padding(EVP_PKEY_CTX *ctx, const evp_key *key, tks_jwt_alg alg) {
    if (key->half > 0) return true;
    if (!is_pss(alg)) return EVP_PKEY_CTX_set_rsa_padding(ctx, RSA_PKCS1_PADDING) == 1;
    return EVP_PKEY_CTX_set_rsa_padding(ctx, RSA_PKCS1_PSS_PADDING) == 1 &&
           EVP_PKEY_CTX_set_rsa_pss_saltlen(ctx, RSA_PSS_SALTLEN_DIGEST) == 1;
}

static tks_status evp_verify(const tks_key *base, tks_jwt_alg alg, tks_bytes input,
                             tks_bytes signature) {
    const evp_key *key = evp_of(base);
    const unsigned char *data = (const unsigned char *)signature.data;
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned digest_size = 0;
    unsigned char *der = NULL;
    EVP_PKEY_CTX *ctx = NULL;
    size_t size = signature.size;
    tks_status status = TKS_ERR_INVALID_TOKEN;

    if (size != (key->half > 0 ? 2 * key->half : (size_t)EVP_PKEY_get_size(key->pkey))) {
        return TKS_ERR_INVALID_TOKEN;
    }
    ERR_set_mark();
    if (key->half > 0) {
        size = (size_t)raw_to_der(key, signature, &der);
        data = der;
    }
    ctx = EVP_PKEY_CTX_new_from_pkey(NULL, key->pkey, NULL);
    if (ctx == NULL || data == NULL) {
        status = TKS_ERR_MEMORY;
    } else if (EVP_Digest(input.data, input.size, digest, &digest_size, digest_of(key, alg),
                          NULL) == 1 &&
               EVP_PKEY_verify_init(ctx) == 1 && set_padding(ctx, key, alg) &&
               EVP_PKEY_CTX_set_signature_md(ctx, digest_of(key, alg)) == 1 &&
               EVP_PKEY_verify(ctx, data, size, digest, digest_size) == 1) {
        status = TKS_OK;
    }
    OPENSSL_free(der);
    EVP_PKEY_CTX_free(ctx);
    ERR_pop_to_mark();
    return status;
}

static tks_status evp_sign(const tks_key *base, tks_jwt_alg alg, tks_bytes input,
                           unsigned char *out, size_t *size, tks_error *err) {
    const evp_key *key = evp_of(base);
    unsigned char signature[TKSP_SIGNATURE_MAX];
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned digest_size = 0;
    EVP_PKEY_CTX *ctx = NULL;
    bool good = false;

    *size = sizeof signature;
    ERR_set_mark();
    ctx = EVP_PKEY_CTX_new_from_pkey(NULL, key->pkey, NULL);
    good =
        ctx != NULL &&
        EVP_Digest(input.data, input.size, digest, &digest_size, digest_of(key, alg), NULL) == 1 &&
        EVP_PKEY_sign_init(ctx) == 1 && set_padding(ctx, key, alg) &&
        EVP_PKEY_CTX_set_signature_md(ctx, digest_of(key, alg)) == 1 &&
        EVP_PKEY_sign(ctx, signature, size, digest, digest_size) == 1;
    if (good && key->half > 0) {
        good = der_to_raw(key, signature, *size, out);
        *size = 2 * key->half;
    } else if (good) {
        memcpy(out, signature, *size);
    }
    EVP_PKEY_CTX_free(ctx);
    ERR_pop_to_mark();
    return good ? TKS_OK : refuse(err, "could not sign: OpenSSL failed or ran out of memory");
}

static void evp_clear(tks_key *base) {
    evp_key *key = (evp_key *)(void *)base;
    EVP_PKEY_free(key->pkey); /* wipes private numbers */
    for (size_t i = 0; i < DIGESTS; i++) EVP_MD_free(key->digests[i]);
}

/* ---- export ------------------------------------------------------------------------------------ */

/* Appends the number `name` in `size` bytes (0: as many as it needs). Nothing if the key does not have it. */
static tks_status export_number(const evp_key *key, const char *name, size_t size, tks_buf *out) {
    BIGNUM *number = NULL;
    char *at;
    tks_status status = TKS_OK;
    if (EVP_PKEY_get_bn_param(key->pkey, name, &number) != 1) return TKS_OK;
    if (size == 0) size = (size_t)BN_num_bytes(number);
    status = tks_buf_reserve(out, size, &at);
    if (status == TKS_OK) {
        (void)BN_bn2binpad(number, (unsigned char *)at, (int)size);
        tks_buf_advance(out, size);
    }
    BN_clear_free(number);
    return status;
}

static tks_status evp_export(const tks_key *base, bool private_half, tks_buf *numbers) {
    static const char *const rsa[] = {
        OSSL_PKEY_PARAM_RSA_N,         OSSL_PKEY_PARAM_RSA_E,
        OSSL_PKEY_PARAM_RSA_D,         OSSL_PKEY_PARAM_RSA_FACTOR1,
        OSSL_PKEY_PARAM_RSA_FACTOR2,   OSSL_PKEY_PARAM_RSA_EXPONENT1,
        OSSL_PKEY_PARAM_RSA_EXPONENT2, OSSL_PKEY_PARAM_RSA_COEFFICIENT1};
    static const char *const ec[] = {OSSL_PKEY_PARAM_EC_PUB_X, OSSL_PKEY_PARAM_EC_PUB_Y,
                                     OSSL_PKEY_PARAM_PRIV_KEY};
    const evp_key *key = evp_of(base);
    const char *const *names = key->half > 0 ? ec : rsa;
    size_t count = !private_half ? 2 : key->half > 0 ? sizeof ec / sizeof *ec : TKSP_RSA_COUNT;
    tks_status status = TKS_OK;

    ERR_set_mark();
    for (size_t i = 0; i < count && status == TKS_OK; i++) {
        status = export_number(key, names[i], key->half, &numbers[i]);
    }
    ERR_pop_to_mark();
    return status;
}

/* ---- accepted keys --------------------------------------------------------------------------- */

static tks_status check_rsa(const EVP_PKEY *pkey, tks_error *err) {
    int bits = EVP_PKEY_get_bits(pkey);
    BIGNUM *e = NULL;
    BIGNUM *n = NULL;
    bool sane = EVP_PKEY_get_bn_param(pkey, OSSL_PKEY_PARAM_RSA_E, &e) == 1 &&
                EVP_PKEY_get_bn_param(pkey, OSSL_PKEY_PARAM_RSA_N, &n) == 1 && BN_is_odd(n) &&
                BN_is_odd(e) && !BN_is_one(e) && BN_num_bits(e) <= RSA_EXPONENT_BITS_MAX;

    BN_free(e);
    BN_free(n);
    if (bits < RSA_BITS_MIN) {
        return tks_fail(err, TKS_ERR_CONFIGURATION,
                        "the RSA key has %d bits: at least 2048 are required", bits);
    }
    if (bits > RSA_BITS_MAX) {
        return tks_fail(err, TKS_ERR_CONFIGURATION,
                        "the RSA key has %d bits: at most 8192 are allowed", bits);
    }
    return sane ? TKS_OK : refuse(err, "(RSA) has an implausible modulus or public exponent");
}

/* d * e = 1 modulo prime - 1. */
static bool is_inverse(const BIGNUM *d, const BIGNUM *e, const BIGNUM *prime, BN_CTX *ctx) {
    BIGNUM *product = BN_secure_new();
    BIGNUM *modulus = BN_secure_new();
    bool good = product != NULL && modulus != NULL && BN_sub(modulus, prime, BN_value_one()) == 1 &&
                BN_mul(product, d, e, ctx) == 1 && BN_mod(product, product, modulus, ctx) == 1 &&
                BN_is_one(product);
    BN_clear_free(product);
    BN_clear_free(modulus);
    return good;
}

/* Signing uses the primes if present, so try_pair does not detect a wrong d. OpenSSL's own check does, but it
 * also tests the primes and takes almost a second for 4096 bits. */
static bool is_d_right(const EVP_PKEY *pkey) {
    static const char *const names[] = {OSSL_PKEY_PARAM_RSA_E, OSSL_PKEY_PARAM_RSA_D,
                                        OSSL_PKEY_PARAM_RSA_FACTOR1, OSSL_PKEY_PARAM_RSA_FACTOR2};
    BIGNUM *numbers[] = {NULL, NULL, NULL, NULL};
    BN_CTX *ctx = BN_CTX_secure_new();
    bool good = ctx != NULL;

    for (size_t i = 0; i < 4; i++) (void)EVP_PKEY_get_bn_param(pkey, names[i], &numbers[i]);
    for (size_t i = 2; i < 4 && good; i++) {
        if (numbers[i] != NULL) good = is_inverse(numbers[1], numbers[0], numbers[i], ctx);
    }
    for (size_t i = 0; i < 4; i++) BN_clear_free(numbers[i]);
    BN_CTX_free(ctx);
    return good;
}

/* The curve of an EC key. Explicit curve parameters are rejected: they may imitate a known curve
 * (CVE-2020-0601). */
static tks_status check_ec(EVP_PKEY *pkey, tks_key_kind *kind, tks_error *err) {
    static const struct {
        const char *name;
        tks_key_kind kind;
    } curves[] = {{"prime256v1", TKS_KEY_P256}, {"P-256", TKS_KEY_P256},
                  {"secp384r1", TKS_KEY_P384},  {"P-384", TKS_KEY_P384},
                  {"secp521r1", TKS_KEY_P521},  {"P-521", TKS_KEY_P521}};
    char name[64] = "";
    int explicit_curve = 0;
    EVP_PKEY_CTX *ctx = NULL;
    bool good = false;

    (void)EVP_PKEY_get_int_param(pkey, OSSL_PKEY_PARAM_EC_DECODED_FROM_EXPLICIT_PARAMS,
                                 &explicit_curve);
    (void)EVP_PKEY_get_utf8_string_param(pkey, OSSL_PKEY_PARAM_GROUP_NAME, name, sizeof name, NULL);
    if (explicit_curve != 0) {
        return refuse(err, "(EC) has explicit curve parameters instead of a named curve");
    }
    for (size_t i = 0; i < sizeof curves / sizeof *curves; i++) {
        if (strcmp(name, curves[i].name) == 0) {
            *kind = curves[i].kind;
            good = true;
        }
    }
    if (!good) return refuse(err, "(EC) has a curve other than P-256, P-384 and P-521");
    ctx = EVP_PKEY_CTX_new_from_pkey(NULL, pkey, NULL);
    good = ctx != NULL && EVP_PKEY_public_check(ctx) == 1;
    EVP_PKEY_CTX_free(ctx);
    return good ? TKS_OK : refuse(err, "(EC) is not a point on its curve");
}

/* Checks that the private half matches the public one. A key with one wrong number would create invalid
 * signatures, or ones that reveal the key. */
static tks_status try_pair(const tks_key *key, tks_error *err) {
    unsigned char signature[TKSP_SIGNATURE_MAX];
    const tks_bytes input = TKS_LITERAL("tokenstore");
    tks_jwt_alg alg = TKS_JWT_RS256;
    size_t size = 0;

    while ((key->algorithms & TKS_JWT_BIT(alg)) == 0) alg = (tks_jwt_alg)(alg + 1);
    if (evp_sign(key, alg, input, signature, &size, NULL) != TKS_OK ||
        evp_verify(key, alg, input, tks_bytes_of((const char *)signature, size)) != TKS_OK ||
        (key->kind == TKS_KEY_RSA && !is_d_right(evp_of(key)->pkey))) {
        return refuse(err, "is invalid: its private and public parts do not match");
    }
    return TKS_OK;
}

/* Passes the raw halves of an Ed25519 key to libsodium. */
static tks_status wrap_ed25519(const EVP_PKEY *pkey, bool is_private, tks_key **out,
                               tks_error *err) {
    unsigned char public_key[TKSP_ED25519_SIZE];
    unsigned char seed[TKSP_ED25519_SIZE];
    size_t size = sizeof public_key;
    size_t seed_size = sizeof seed;
    tks_status status = TKS_OK;

    if (EVP_PKEY_get_raw_public_key(pkey, public_key, &size) != 1 ||
        (is_private && EVP_PKEY_get_raw_private_key(pkey, seed, &seed_size) != 1)) {
        return refuse(err, "(Ed25519) could not be read");
    }
    status =
        tksp_key_ed25519(tks_bytes_of((const char *)public_key, size),
                         tks_bytes_of((const char *)seed, is_private ? seed_size : 0), out, err);
    OPENSSL_cleanse(seed, sizeof seed);
    return status;
}

tks_status tksp_key_evp(EVP_PKEY *pkey, bool is_private, tks_key **out, tks_error *err) {
    static const tksp_key_ops ops = {evp_verify, evp_sign, evp_clear, evp_export};
    static const size_t halves[] = {[TKS_KEY_P256] = 32, [TKS_KEY_P384] = 48, [TKS_KEY_P521] = 66};
    static const tks_jwt_alg algs[] = {[TKS_KEY_P256] = TKS_JWT_ES256,
                                       [TKS_KEY_P384] = TKS_JWT_ES384,
                                       [TKS_KEY_P521] = TKS_JWT_ES512};
    tks_key_kind kind = TKS_KEY_RSA;
    evp_key *key = NULL;
    tks_status status = TKS_OK;

    *out = NULL;
    if (EVP_PKEY_is_a(pkey, "ED25519")) {
        status = wrap_ed25519(pkey, is_private, out, err);
        EVP_PKEY_free(pkey);
        return status;
    }
    if (EVP_PKEY_is_a(pkey, "RSA")) {
        status = check_rsa(pkey, err);
    } else if (EVP_PKEY_is_a(pkey, "EC")) {
        status = check_ec(pkey, &kind, err);
    } else {
        status = refuse(err, "is not an RSA, EC or Ed25519 key");
    }
    if (status == TKS_OK) {
        uint32_t algorithms = kind == TKS_KEY_RSA ? RS_ALGS | PS_ALGS : TKS_JWT_BIT(algs[kind]);
        key = tksp_key_new(sizeof *key, &ops, kind, algorithms, is_private);
        if (key == NULL) status = tks_fail_memory(err);
    }
    if (status != TKS_OK) {
        EVP_PKEY_free(pkey);
        return status;
    }
    key->pkey = pkey;
    key->half = kind == TKS_KEY_RSA ? 0 : halves[kind];
    for (size_t i = 0; i < DIGESTS && status == TKS_OK; i++) {
        key->digests[i] = EVP_MD_fetch(NULL, digest_names[i], NULL);
        if (key->digests[i] == NULL) status = refuse(err, "needs a digest that this OpenSSL lacks");
    }
    if (status == TKS_OK && is_private) status = try_pair(&key->key, err);
    if (status != TKS_OK) {
        tks_key_free(&key->key);
        return status;
    }
    *out = &key->key;
    return TKS_OK;
}
