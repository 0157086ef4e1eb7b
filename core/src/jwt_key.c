/* jwt_key.c - keys as objects: reference counts, restrictions, permitted uses; names of algorithms.
 *
 * Each kind of key implements tksp_key_ops, so that nothing here needs a crypto library. */
#include <stdlib.h>

#include "jwt_private.h"
#include "tokenstore/secret.h"

/* ---- algorithms ---------------------------------------------------------------------------- */

static const char *const alg_names[TKS_JWT_ALG_COUNT] = {
#define NAME(name, text) text,
    TKS_JWT_ALG_MAP(NAME)
#undef NAME
};

const char *tks_jwt_alg_name(tks_jwt_alg alg) {
    return (unsigned)alg < TKS_JWT_ALG_COUNT ? alg_names[alg] : "unknown";
}

tks_status tks_jwt_alg_find(tks_bytes name, tks_jwt_alg *out, tks_error *err) {
    *out = TKS_JWT_ALG_COUNT;
    for (unsigned i = 0; i < TKS_JWT_ALG_COUNT; i++) {
        if (tks_bytes_equal(name, tks_bytes_of(alg_names[i], strlen(alg_names[i])))) {
            *out = (tks_jwt_alg)i;
            return TKS_OK;
        }
    }
    return tks_fail(err, TKS_ERR_CONFIGURATION,
                    "unknown algorithm: known are HS256, HS384, HS512, RS256, RS384, "
                    "RS512, PS256, PS384, PS512, ES256, ES384, ES512, EdDSA and Ed25519");
}

tks_status tks_jwt_alg_add(tks_bytes name, uint32_t *set, tks_error *err) {
    tks_jwt_alg alg;
    tks_status status = tks_jwt_alg_find(name, &alg, err);
    if (status == TKS_OK) *set |= TKS_JWT_BIT(alg);
    return status;
}

/* ---- life ---------------------------------------------------------------------------------- */

void *tksp_key_new(size_t size, const tksp_key_ops *ops, tks_key_kind kind, uint32_t algorithms,
                   bool can_sign) {
    tks_key *key = calloc(1, size);
    if (key == NULL) return NULL;
    key->ops = ops;
    key->size = size;
    atomic_init(&key->references, 1);
    key->kind = kind;
    key->algorithms = algorithms;
    key->can_sign = can_sign;
    key->can_verify = true;
    return key;
}

tks_key *tks_key_ref(tks_key *key) {
    atomic_fetch_add_explicit(&key->references, 1, memory_order_relaxed);
    return key;
}

void tks_key_free(tks_key *key) {
    if (key == NULL) return;
    if (atomic_fetch_sub_explicit(&key->references, 1, memory_order_acq_rel) > 1) return;
    key->ops->clear(key);
    free(key->kid);
    tks_wipe(key, key->size);
    free(key);
}

tks_status tksp_key_apply(tks_key *key, const tks_key_options *options, tks_error *err) {
    if (options == NULL) return TKS_OK;
    if (options->algorithms != 0) {
        if ((key->algorithms & options->algorithms) == 0) {
            return tks_fail(
                err, TKS_ERR_CONFIGURATION,
                "a key of this type or size (%s) cannot be restricted to this algorithm",
                tks_key_get_kind_name(key));
        }
        key->algorithms &= options->algorithms;
    }
    if (options->kid.size > 0) {
        key->kid = malloc(options->kid.size);
        if (key->kid == NULL) return tks_fail_memory(err);
        memcpy(key->kid, options->kid.data, options->kid.size);
        key->kid_size = options->kid.size;
    }
    return TKS_OK;
}

/* ---- getting ------------------------------------------------------------------------------- */

tks_key_kind tks_key_get_kind(const tks_key *key) {
    return key->kind;
}

const char *tks_key_get_kind_name(const tks_key *key) {
    switch (key->kind) {
    case TKS_KEY_RSA: return "RSA";
    case TKS_KEY_P256: return "P-256";
    case TKS_KEY_P384: return "P-384";
    case TKS_KEY_P521: return "P-521";
    case TKS_KEY_ED25519: return "Ed25519";
    case TKS_KEY_SECRET:
    default: return "secret";
    }
}

tks_bytes tks_key_get_kid(const tks_key *key) {
    return tks_bytes_of(key->kid, key->kid_size);
}

uint32_t tks_key_get_algorithms(const tks_key *key) {
    return key->algorithms;
}

bool tks_key_can_sign(const tks_key *key) {
    return key->can_sign;
}

/* ---- secrets -------------------------------------------------------------------------------- */

/* At least as many bytes as the hash has (RFC 7518, 3.2). */
tks_status tksp_secret_algorithms(tks_bytes secret, uint32_t *out, tks_error *err) {
    *out = 0;
    if (secret.size < TKS_JWT_SECRET_MIN) {
        return tks_fail(err, TKS_ERR_CONFIGURATION,
                        "an HMAC secret of %zu bytes is too short: HS256 needs at least 32, HS384 "
                        "48, HS512 64",
                        secret.size);
    }
    *out = TKS_JWT_BIT(TKS_JWT_HS256);
    if (secret.size >= 48) *out |= TKS_JWT_BIT(TKS_JWT_HS384);
    if (secret.size >= 64) *out |= TKS_JWT_BIT(TKS_JWT_HS512);
    return TKS_OK;
}

tks_status tks_key_from_secret(tks_bytes secret, const tks_key_options *options,
                               const tks_jwt_provider *provider, tks_key **out, tks_error *err) {
    tks_key *key = NULL;
    tks_status status = tksp_secret_check(secret, err);

    *out = NULL;
    if (status == TKS_OK) {
        status =
            provider != NULL ? provider->hmac(secret, &key, err) : tksp_key_hmac(secret, &key, err);
    }
    if (status == TKS_OK) status = tksp_key_apply(key, options, err);
    if (status != TKS_OK) {
        tks_key_free(key);
        return status;
    }
    *out = key;
    return TKS_OK;
}
