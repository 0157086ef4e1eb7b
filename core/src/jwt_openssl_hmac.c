/* jwt_openssl_hmac.c - HS256/384/512 with OpenSSL.
 *
 * Purpose:   replaces jwt_sodium.c in programs that link OpenSSL anyway: its SHA-2 uses hardware instructions
 *            and takes a third of the time of libsodium's portable code.
 * Lifecycle: a secret is stored as HMAC's two digest states after their key blocks (RFC 2104), for each hash.
 *            Nothing else of it is needed, and this saves two compressions per token.
 * Threads:   the states are only copied; each call has its own context.
 *
 * Not EVP_MAC: copying one of its contexts costs more than hashing a token. OpenSSL's error queue is
 * preserved for the host. */
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>

#include "jwt_private.h"

enum { HASHES = 3, BLOCK_MAX = 128 };

_Static_assert(TKS_JWT_HS256 == 0 && TKS_JWT_HS384 == 1 && TKS_JWT_HS512 == 2,
               "the hashes are in the order of the algorithms");

typedef struct hmac_key {
    tks_key key;
    EVP_MD_CTX *inner[HASHES], *outer[HASHES]; /* NULL: the secret is too short for that hash */
} hmac_key;

/* Continues a copy of `begun` with `input` and writes the digest, up to EVP_MAX_MD_SIZE bytes. */
static bool hash_on(EVP_MD_CTX *ctx, const EVP_MD_CTX *begun, const void *input, size_t input_size,
                    unsigned char *out, unsigned *size) {
    return EVP_MD_CTX_copy_ex(ctx, begun) == 1 && EVP_DigestUpdate(ctx, input, input_size) == 1 &&
           EVP_DigestFinal_ex(ctx, out, size) == 1;
}

/* The HMAC of `input`; false: out of memory. */
static bool hmac(const tks_key *base, tks_jwt_alg alg, tks_bytes input,
                 unsigned char out[EVP_MAX_MD_SIZE], size_t *size) {
    const hmac_key *key = (const hmac_key *)(const void *)base;
    unsigned made = 0;

    ERR_set_mark();
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    bool good = ctx != NULL && hash_on(ctx, key->inner[alg], input.data, input.size, out, &made) &&
                hash_on(ctx, key->outer[alg], out, made, out, &made);
    EVP_MD_CTX_free(ctx);
    ERR_pop_to_mark();
    *size = made;
    return good;
}

static tks_status hmac_verify(const tks_key *key, tks_jwt_alg alg, tks_bytes input,
                              tks_bytes signature) {
    unsigned char expected[EVP_MAX_MD_SIZE];
    size_t size = 0;
    tks_status status = TKS_ERR_MEMORY;

    if (hmac(key, alg, input, expected, &size)) {
        status = size == signature.size && CRYPTO_memcmp(expected, signature.data, size) == 0
                     ? TKS_OK
                     : TKS_ERR_INVALID_TOKEN;
    }
    OPENSSL_cleanse(expected, sizeof expected);
    return status;
}

static tks_status hmac_sign(const tks_key *key, tks_jwt_alg alg, tks_bytes input,
                            unsigned char *out, size_t *size, tks_error *err) {
    return hmac(key, alg, input, out, size) ? TKS_OK : tks_fail_memory(err);
}

/* OpenSSL wipes the states. */
static void hmac_clear(tks_key *base) {
    hmac_key *key = (hmac_key *)(void *)base;
    for (size_t i = 0; i < HASHES; i++) {
        EVP_MD_CTX_free(key->inner[i]);
        EVP_MD_CTX_free(key->outer[i]);
    }
}

static bool begin(const EVP_MD *md, const unsigned char *block, EVP_MD_CTX **out) {
    *out = EVP_MD_CTX_new();
    return *out != NULL && EVP_DigestInit_ex(*out, md, NULL) == 1 &&
           EVP_DigestUpdate(*out, block, (size_t)EVP_MD_get_block_size(md)) == 1;
}

static bool begin_both(const char *name, tks_bytes secret, EVP_MD_CTX **inner, EVP_MD_CTX **outer) {
    unsigned char block[BLOCK_MAX] = {0};
    EVP_MD *md = EVP_MD_fetch(NULL, name, NULL); /* the digests hold references */
    bool good = md != NULL;

    if (good && secret.size > (size_t)EVP_MD_get_block_size(md)) {
        good = EVP_Digest(secret.data, secret.size, block, NULL, md, NULL) == 1;
    } else if (good) {
        memcpy(block, secret.data, secret.size);
    }
    for (size_t i = 0; i < sizeof block; i++) block[i] ^= 0x36;
    good = good && begin(md, block, inner);
    for (size_t i = 0; i < sizeof block; i++) block[i] ^= 0x36 ^ 0x5c;
    good = good && begin(md, block, outer);
    OPENSSL_cleanse(block, sizeof block);
    EVP_MD_free(md);
    return good;
}

tks_status tksp_key_hmac_openssl(tks_bytes secret, tks_key **out, tks_error *err) {
    static const tksp_key_ops ops = {hmac_verify, hmac_sign, hmac_clear, NULL};
    static const char *const names[HASHES] = {"SHA2-256", "SHA2-384", "SHA2-512"};
    uint32_t algorithms = 0;
    hmac_key *key = NULL;
    bool good = true;
    tks_status status = tksp_secret_algorithms(secret, &algorithms, err);

    *out = NULL;
    if (status != TKS_OK) return status;
    key = tksp_key_new(sizeof *key, &ops, TKS_KEY_SECRET, algorithms, true);
    if (key == NULL) return tks_fail_memory(err);
    ERR_set_mark();
    for (size_t i = 0; i < HASHES && good; i++) {
        if ((algorithms & TKS_JWT_BIT(i)) != 0) {
            good = begin_both(names[i], secret, &key->inner[i], &key->outer[i]);
        }
    }
    ERR_pop_to_mark();
    if (!good) {
        tks_key_free(&key->key);
        return tks_fail_memory(err);
    }
    *out = &key->key;
    return TKS_OK;
}
