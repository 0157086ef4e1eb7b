/* fuzz_key_use.h - invariants of accepted keys, for fuzz_jwk.c and fuzz_pem.c. */
#ifndef TKSP_TESTS_FUZZ_KEY_USE_H
#define TKSP_TESTS_FUZZ_KEY_USE_H

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
        /* A secret with only "sign" in key_ops cannot verify. */
        status = tks_jwt_decode(tks_buf_bytes(&token), &key, 1, &policy, &jwt, &err);
        REQUIRE(status == TKS_OK ||
                (status == TKS_ERR_CONFIGURATION && tks_key_get_kind(key) == TKS_KEY_SECRET));
        tks_jwt_clear(&jwt);
    } else {
        REQUIRE(status == TKS_ERR_DATA); /* a kid of some KiB */
    }
    tks_buf_clear(&token);
}

/* Its JWK can be loaded again, as the same key. */
static inline void fuzz_export(const tks_key *key) {
    char first[TKS_THUMBPRINT_SIZE], second[TKS_THUMBPRINT_SIZE];
    tks_json *jwk;
    tks_key *again;
    tks_json_writer w;
    tks_buf text;
    tks_error err = TKS_ERROR_INIT;
    bool secret = tks_key_get_kind(key) == TKS_KEY_SECRET;
    tks_buf_init(&text, TKS_JWK_SIZE_MAX);
    tks_status status = tks_key_to_jwk(key, tks_key_can_sign(key), &jwk, &err);
    REQUIRE((status == TKS_ERR_CONFIGURATION) == secret);
    if (status == TKS_OK) {
        tks_json_writer_init(&w, &text, TKS_JWK_SIZE_MAX, "jwk", NULL);
        REQUIRE(tks_json_write_tree(&w, jwk) == TKS_OK);
        REQUIRE(tks_key_from_jwk(tks_buf_bytes(&text), tks_jwt_openssl(), &again, NULL) == TKS_OK);
        REQUIRE(tks_key_can_sign(again) == tks_key_can_sign(key));
        REQUIRE(tks_key_thumbprint(key, first, NULL) == TKS_OK);
        REQUIRE(tks_key_thumbprint(again, second, NULL) == TKS_OK);
        REQUIRE(memcmp(first, second, sizeof first) == 0);
        tks_key_free(again);
    } else {
        REQUIRE(secret ||
                status == TKS_ERR_DATA); /* a kid that JSON cannot represent, or of some KiB */
    }
    tks_json_free(jwk);
    tks_buf_clear(&text);
}

static inline void fuzz_use_key(tks_status status, tks_key *key, const tks_error *err) {
    REQUIRE(err->status == status);
    REQUIRE((status == TKS_OK) == (key != NULL));
    REQUIRE(status == TKS_OK || status == TKS_ERR_CONFIGURATION);
    if (key == NULL) return;
    REQUIRE(tks_key_get_algorithms(key) != 0);
    if (tks_key_can_sign(key)) fuzz_sign(key);
    fuzz_export(key);
}

#endif
