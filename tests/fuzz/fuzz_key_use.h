/* fuzz_key_use.h - what must hold of every key that was taken, for fuzz_jwk.c and fuzz_pem.c. */
#ifndef TKS_FUZZ_KEY_USE_H
#define TKS_FUZZ_KEY_USE_H

#include "fuzz.h"
#include "tokenstore/jwt.h"
#include "tokenstore/secret.h"

static inline void fuzz_sign(tks_key *key) {
    tks_jwt_policy policy = {0};
    tks_jwt_alg alg = TKS_JWT_HS256;
    tks_error err = TKS_ERROR_INIT;
    tks_buf token;
    tks_jwt jwt;

    while ((tks_key_get_algorithms(key) & TKS_JWT_BIT(alg)) == 0) alg = (tks_jwt_alg)(alg + 1);
    policy.algorithms = TKS_JWT_BIT(alg);
    policy.now = 1;
    tks_buf_init(&token, TKS_JWT_SIZE_MAX);
    tks_status status =
        tks_jwt_encode(TKS_LITERAL("{}"), key, alg, tks_bytes_of(NULL, 0), 0, &token, &err);
    if (status == TKS_OK) {
        /* A secret whose key_ops have sign alone cannot verify. */
        status = tks_jwt_decode(tks_buf_bytes(&token), &key, 1, &policy, &jwt, &err);
        REQUIRE(status == TKS_OK ||
                (status == TKS_ERR_CONFIGURATION && tks_key_get_kind(key) == TKS_KEY_SECRET));
        tks_jwt_clear(&jwt);
    } else {
        REQUIRE(status == TKS_ERR_DATA); /* a kid of some KiB */
    }
    tks_buf_clear(&token);
}

static inline void fuzz_use_key(tks_status status, tks_key *key, const tks_error *err) {
    REQUIRE(err->status == status);
    REQUIRE((status == TKS_OK) == (key != NULL));
    REQUIRE(status == TKS_OK || status == TKS_ERR_CONFIGURATION);
    if (key == NULL) return;
    REQUIRE(tks_key_get_algorithms(key) != 0);
    if (tks_key_can_sign(key)) fuzz_sign(key);
}

#endif
