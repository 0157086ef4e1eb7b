/* jwt_sodium.c - HS256/384/512 and EdDSA (Ed25519) with libsodium.
 *
 * Purpose:   HMAC (RFC 2104, 7518 section 3.2) and Ed25519 (RFC 8032, 8037) behind tksp_key_ops.
 * Lifecycle: a secret is stored as HMAC's states after its key block, one for each hash. Nothing else of it
 *            is needed, and this saves two compressions per token.
 * Threads:   a state is copied before it is used.
 *
 * libsodium has no SHA-384. It is SHA-512 with another initial value, truncated to 48 bytes (FIPS 180-4,
 * 5.3.4 and 6.5), and libsodium's SHA-512 has a public state struct: so HS384 needs no second library. */
#include <sodium.h>

#include "jwt_private.h"
#include "tokenstore/secret.h"

enum { SHA384_SIZE = 48, SHA512_BLOCK = 128 };

_Static_assert(TKSP_ED25519_SIZE == crypto_sign_PUBLICKEYBYTES, "an Ed25519 public key");
_Static_assert(TKSP_ED25519_SIZE == crypto_sign_SEEDBYTES, "an Ed25519 private key");

void tksp_sha256(tks_bytes text, unsigned char out[TKSP_SHA256_SIZE]) {
    _Static_assert(TKSP_SHA256_SIZE == crypto_hash_sha256_BYTES, "SHA-256");
    (void)crypto_hash_sha256(out, (const unsigned char *)text.data, text.size);
}

/* ---- SHA-384 ------------------------------------------------------------------------------- */

typedef struct hmac384_state {
    crypto_hash_sha512_state inner, outer;
} hmac384_state;

static void sha384_init(crypto_hash_sha512_state *state) {
    static const uint64_t initial[8] = {UINT64_C(0xcbbb9d5dc1059ed8), UINT64_C(0x629a292a367cd507),
                                        UINT64_C(0x9159015a3070dd17), UINT64_C(0x152fecd8f70e5939),
                                        UINT64_C(0x67332667ffc00b31), UINT64_C(0x8eb44a8768581511),
                                        UINT64_C(0xdb0c2e0d64f98fa7), UINT64_C(0x47b5481dbefa4fa4)};
    _Static_assert(sizeof initial == sizeof state->state, "libsodium's state of SHA-512");

    (void)crypto_hash_sha512_init(state);
    memcpy(state->state, initial, sizeof initial);
}

static void sha384_final(crypto_hash_sha512_state *state, unsigned char out[SHA384_SIZE]) {
    unsigned char whole[crypto_hash_sha512_BYTES];
    (void)crypto_hash_sha512_final(state, whole);
    memcpy(out, whole, SHA384_SIZE);
    sodium_memzero(whole, sizeof whole);
}

static void hmac384_init(hmac384_state *state, tks_bytes secret) {
    unsigned char block[SHA512_BLOCK] = {0};

    if (secret.size > sizeof block) {
        sha384_init(&state->inner);
        (void)crypto_hash_sha512_update(&state->inner, (const unsigned char *)secret.data,
                                        secret.size);
        sha384_final(&state->inner, block);
    } else {
        memcpy(block, secret.data, secret.size);
    }
    for (size_t i = 0; i < sizeof block; i++) block[i] ^= 0x36;
    sha384_init(&state->inner);
    (void)crypto_hash_sha512_update(&state->inner, block, sizeof block);
    for (size_t i = 0; i < sizeof block; i++) block[i] ^= 0x36 ^ 0x5c;
    sha384_init(&state->outer);
    (void)crypto_hash_sha512_update(&state->outer, block, sizeof block);
    sodium_memzero(block, sizeof block);
}

static void hmac384_final(hmac384_state *state, unsigned char out[SHA384_SIZE]) {
    sha384_final(&state->inner, out);
    (void)crypto_hash_sha512_update(&state->outer, out, SHA384_SIZE);
    sha384_final(&state->outer, out);
}

/* ---- HMAC ---------------------------------------------------------------------------------- */

typedef struct hmac_key {
    tks_key key;
    crypto_auth_hmacsha256_state s256;
    hmac384_state s384;
    crypto_auth_hmacsha512_state s512;
} hmac_key;

/* The HMAC of `input`, up to crypto_auth_hmacsha512_BYTES bytes; returns its size. */
static size_t hmac(const tks_key *base, tks_jwt_alg alg, tks_bytes input, unsigned char *out) {
    const hmac_key *key = (const hmac_key *)(const void *)base;
    const unsigned char *data = (const unsigned char *)input.data;
    size_t size = 0;

    if (alg == TKS_JWT_HS256) {
        crypto_auth_hmacsha256_state state = key->s256;
        (void)crypto_auth_hmacsha256_update(&state, data, input.size);
        (void)crypto_auth_hmacsha256_final(&state, out);
        sodium_memzero(&state, sizeof state);
        size = crypto_auth_hmacsha256_BYTES;
    } else if (alg == TKS_JWT_HS384) {
        hmac384_state state = key->s384;
        (void)crypto_hash_sha512_update(&state.inner, data, input.size);
        hmac384_final(&state, out);
        sodium_memzero(&state, sizeof state);
        size = SHA384_SIZE;
    } else {
        crypto_auth_hmacsha512_state state = key->s512;
        (void)crypto_auth_hmacsha512_update(&state, data, input.size);
        (void)crypto_auth_hmacsha512_final(&state, out);
        sodium_memzero(&state, sizeof state);
        size = crypto_auth_hmacsha512_BYTES;
    }
    return size;
}

static tks_status hmac_verify(const tks_key *key, tks_jwt_alg alg, tks_bytes input,
                              tks_bytes signature) {
    unsigned char expected[crypto_auth_hmacsha512_BYTES];
    size_t size = hmac(key, alg, input, expected);
    bool good = tks_secret_equal(tks_bytes_of((const char *)expected, size), signature);
    sodium_memzero(expected, sizeof expected);
    return good ? TKS_OK : TKS_ERR_INVALID_TOKEN;
}

static tks_status hmac_sign(const tks_key *key, tks_jwt_alg alg, tks_bytes input,
                            unsigned char *out, size_t *size, tks_error *err) {
    (void)err;
    *size = hmac(key, alg, input, out);
    return TKS_OK;
}

/* The states are in the struct, which tks_key_free wipes. */
static void clear_nothing(tks_key *key) {
    (void)key;
}

tks_status tksp_key_hmac(tks_bytes secret, tks_key **out, tks_error *err) {
    static const tksp_key_ops ops = {hmac_verify, hmac_sign, clear_nothing, NULL};
    const unsigned char *data = (const unsigned char *)secret.data;
    uint32_t algorithms = 0;
    hmac_key *key = NULL;
    tks_status status = tksp_secret_algorithms(secret, &algorithms, err);

    *out = NULL;
    if (status != TKS_OK) return status;
    key = tksp_key_new(sizeof *key, &ops, TKS_KEY_SECRET, algorithms, true);
    if (key == NULL) return tks_fail_memory(err);
    (void)crypto_auth_hmacsha256_init(&key->s256, data, secret.size);
    hmac384_init(&key->s384, secret);
    (void)crypto_auth_hmacsha512_init(&key->s512, data, secret.size);
    *out = &key->key;
    return TKS_OK;
}

/* ---- Ed25519 ------------------------------------------------------------------------------- */

typedef struct ed25519_key {
    tks_key key;
    unsigned char public_key[crypto_sign_PUBLICKEYBYTES];
    unsigned char secret_key[crypto_sign_SECRETKEYBYTES]; /* seed and public key */
} ed25519_key;

static tks_status ed25519_verify(const tks_key *base, tks_jwt_alg alg, tks_bytes input,
                                 tks_bytes signature) {
    const ed25519_key *key = (const ed25519_key *)(const void *)base;
    (void)alg;
    if (signature.size != crypto_sign_BYTES ||
        crypto_sign_verify_detached((const unsigned char *)signature.data,
                                    (const unsigned char *)input.data, input.size,
                                    key->public_key) != 0) {
        return TKS_ERR_INVALID_TOKEN;
    }
    return TKS_OK;
}

static tks_status ed25519_sign(const tks_key *base, tks_jwt_alg alg, tks_bytes input,
                               unsigned char *out, size_t *size, tks_error *err) {
    const ed25519_key *key = (const ed25519_key *)(const void *)base;
    (void)alg;
    (void)err;
    (void)crypto_sign_detached(out, NULL, (const unsigned char *)input.data, input.size,
                               key->secret_key);
    *size = crypto_sign_BYTES;
    return TKS_OK;
}

/* The secret key begins with the seed, the private key of a JWK. */
static tks_status ed25519_export(const tks_key *base, bool private_half, tks_buf *numbers) {
    const ed25519_key *key = (const ed25519_key *)(const void *)base;
    tks_status status =
        tks_buf_append(&numbers[0], (const char *)key->public_key, sizeof key->public_key);
    if (status != TKS_OK || !private_half) return status;
    return tks_buf_append(&numbers[1], (const char *)key->secret_key, TKSP_ED25519_SIZE);
}

tks_status tksp_key_ed25519(tks_bytes public_key, tks_bytes seed, tks_key **out, tks_error *err) {
    static const tksp_key_ops ops = {ed25519_verify, ed25519_sign, clear_nothing, ed25519_export};
    ed25519_key *key = NULL;

    *out = NULL;
    if (public_key.size != TKSP_ED25519_SIZE ||
        (seed.size != 0 && seed.size != TKSP_ED25519_SIZE)) {
        return tks_fail(err, TKS_ERR_CONFIGURATION,
                        "an Ed25519 key must be 32 bytes, public and private");
    }
    key = tksp_key_new(sizeof *key, &ops, TKS_KEY_ED25519,
                       TKS_JWT_BIT(TKS_JWT_EDDSA) | TKS_JWT_BIT(TKS_JWT_ED25519), seed.size > 0);
    if (key == NULL) return tks_fail_memory(err);
    memcpy(key->public_key, public_key.data, sizeof key->public_key);
    if (seed.size > 0) {
        unsigned char derived[crypto_sign_PUBLICKEYBYTES];
        (void)crypto_sign_seed_keypair(derived, key->secret_key, (const unsigned char *)seed.data);
        if (memcmp(derived, key->public_key, sizeof derived) != 0) {
            /* Signing with a public key that does not match would reveal the private key. */
            tks_key_free(&key->key);
            return tks_fail(err, TKS_ERR_CONFIGURATION,
                            "the public and private parts of the Ed25519 key do not match");
        }
    }
    *out = &key->key;
    return TKS_OK;
}
