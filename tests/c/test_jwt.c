/* test_jwt.c - parts of jwt.h that tests/vectors/jwt.json does not cover: arguments of C only, base64url and
 * HMAC alone, references, a build without OpenSSL. */
#include <math.h>
#include <stdlib.h>

#include "jwt_private.h"
#include "test.h"
#include "tokenstore/secret.h"

/* OpenSSL's; only jwt_openssl*.c may include its headers. */
unsigned long ERR_peek_error(void);

static const double now = 1700000000;

static tks_key *make_secret(unsigned char byte, const tks_key_options *options) {
    char secret[64];
    tks_key *key = NULL;
    memset(secret, byte, sizeof secret);
    CHECK_STATUS(tks_secret_start(NULL), TKS_OK);
    CHECK_STATUS(
        tks_key_from_secret(tks_bytes_of(secret, sizeof secret), options, NULL, &key, NULL),
        TKS_OK);
    return key;
}

static tks_status decode(tks_bytes token, tks_key *key, const tks_jwt_policy *policy) {
    tks_jwt jwt;
    tks_status status = tks_jwt_decode(token, &key, 1, policy, &jwt, NULL);
    CHECK((status == TKS_OK) == (jwt.claims != NULL));
    tks_jwt_clear(&jwt);
    return status;
}

/* ---- base64url ------------------------------------------------------------------------------- */

TEST(jwt_base64url_is_that_of_RFC_4648) {
    static const char *const texts[] = {"", "Zg", "Zm8", "Zm9v", "Zm9vYg", "Zm9vYmE", "Zm9vYmFy"};
    unsigned char back[8];
    size_t size = 0;
    tks_buf out;

    tks_buf_init(&out, 100);
    for (size_t n = 0; n <= 6; n++) {
        tks_buf_reset(&out);
        CHECK_STATUS(tksp_base64url_encode(tks_bytes_of("foobar", n), &out), TKS_OK);
        CHECK_BYTES(tks_buf_bytes(&out), test_bytes(texts[n]));
        CHECK(tksp_base64url_decode(test_bytes(texts[n]), back, &size));
        CHECK_BYTES(tks_bytes_of((const char *)back, size), tks_bytes_of("foobar", n));
    }
    tks_buf_clear(&out);
}

/* Every text of two and three characters: it equals the encoding of its bytes, or it is rejected. */
TEST(jwt_base64url_has_one_text_for_the_same_bytes) {
    unsigned char bytes[4];
    char text[3];
    size_t size = 0;
    size_t taken = 0;
    tks_buf out;

    tks_buf_init(&out, 100);
    for (unsigned i = 0; i < 256 * 256; i++) {
        text[0] = 'Q';
        text[1] = (char)(i & 0xFF);
        text[2] = (char)(i >> 8);
        for (size_t length = 2; length <= 3; length++) {
            if (!tksp_base64url_decode(tks_bytes_of(text, length), bytes, &size)) continue;
            taken++;
            tks_buf_reset(&out);
            tksp_base64url_encode(tks_bytes_of((const char *)bytes, size), &out);
            if (!CHECK_BYTES(tks_buf_bytes(&out), tks_bytes_of(text, length))) break;
        }
    }
    CHECK_INT(
        taken,
        4 * 256 + 64 * 16); /* the last character of three has 16 valid values, that of two 4 */
    CHECK(!tksp_base64url_decode(TKS_LITERAL("Q"), bytes, &size));
    tks_buf_clear(&out);
}

TEST(jwt_base64url_refuses_every_other_byte_everywhere) {
    unsigned char bytes[9];
    size_t size = 0;

    for (unsigned c = 0; c < 256; c++) {
        bool good = (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ||
                    c == '-' || c == '_';
        for (size_t at = 0; at < 8; at++) {
            char text[9] = "AAAAAAAA";
            text[at] = (char)c;
            CHECK_INT(tksp_base64url_decode(tks_bytes_of(text, 8), bytes, &size), good);
        }
    }
}

/* ---- HMAC ------------------------------------------------------------------------------------ */

/* RFC 4231, 4.7: a key of 131 bytes, longer than a block. */
TEST(jwt_hmac_has_the_values_of_RFC_4231) {
    static const unsigned char want[] = {0x4e, 0xce, 0x08, 0x44, 0x85, 0x81, 0x3e, 0x90, 0x88, 0xd2,
                                         0xc6, 0x3a, 0x04, 0x1b, 0xc5, 0xb4, 0x4f, 0x9e, 0xf1, 0x01,
                                         0x2a, 0x2b, 0x58, 0x8f, 0x3c, 0xd1, 0x1f, 0x05, 0x03, 0x3a,
                                         0xc4, 0xc6, 0x0c, 0x2e, 0xf6, 0xab, 0x40, 0x30, 0xfe, 0x82,
                                         0x96, 0x24, 0x8d, 0xf1, 0x63, 0xf4, 0x49, 0x52};
    const tks_bytes text = TKS_LITERAL("Test Using Larger Than Block-Size Key - Hash Key First");
    const tks_bytes good = tks_bytes_of((const char *)want, sizeof want);
    unsigned char out[TKSP_SIGNATURE_MAX];
    char secret[131];
    size_t size = 0;
    tks_key *key = NULL;

    memset(secret, 0xaa, sizeof secret);
    CHECK_STATUS(tksp_key_hmac(tks_bytes_of(secret, sizeof secret), &key, NULL), TKS_OK);
    CHECK_STATUS(key->ops->sign(key, TKS_JWT_HS384, text, out, &size, NULL), TKS_OK);
    CHECK_BYTES(tks_bytes_of((const char *)out, size), good);
    CHECK_STATUS(key->ops->verify(key, TKS_JWT_HS384, text, good), TKS_OK);
    CHECK_STATUS(key->ops->verify(key, TKS_JWT_HS512, text, good), TKS_ERR_INVALID_TOKEN);
    tks_key_free(key);
}

/* A signature by one library verifies with the other, for exactly these bytes. */
static void check_both(const tks_key *sodium, const tks_key *openssl, tks_jwt_alg alg,
                       tks_bytes input) {
    unsigned char a[TKSP_SIGNATURE_MAX], b[TKSP_SIGNATURE_MAX];
    size_t a_size = 0, b_size = 0;

    CHECK_STATUS(sodium->ops->sign(sodium, alg, input, a, &a_size, NULL), TKS_OK);
    CHECK_STATUS(openssl->ops->sign(openssl, alg, input, b, &b_size, NULL), TKS_OK);
    tks_bytes signature = tks_bytes_of((const char *)b, b_size);
    CHECK_BYTES(signature, tks_bytes_of((const char *)a, a_size));
    CHECK_STATUS(openssl->ops->verify(openssl, alg, input, signature), TKS_OK);
    b[b_size - 1] ^= 1;
    CHECK_STATUS(openssl->ops->verify(openssl, alg, input, signature), TKS_ERR_INVALID_TOKEN);
    signature.size--;
    CHECK_STATUS(openssl->ops->verify(openssl, alg, input, signature), TKS_ERR_INVALID_TOKEN);
}

/* Secrets and inputs on both sides of each block boundary. */
TEST(jwt_hmac_is_the_same_by_openssl) {
    static const size_t secrets[] = {32, 47, 48, 63, 64, 65, 127, 128, 129, 300};
    char bytes[300];

    for (size_t i = 0; i < sizeof bytes; i++) bytes[i] = (char)(i * 7);
    for (size_t i = 0; i < sizeof secrets / sizeof *secrets; i++) {
        tks_bytes secret = tks_bytes_of(bytes, secrets[i]);
        tks_key *sodium = NULL, *openssl = NULL;
        CHECK_STATUS(tks_key_from_secret(secret, NULL, NULL, &sodium, NULL), TKS_OK);
        CHECK_STATUS(tks_key_from_secret(secret, NULL, tks_jwt_openssl(), &openssl, NULL), TKS_OK);
        CHECK_INT(openssl->algorithms, sodium->algorithms);
        for (unsigned alg = TKS_JWT_HS256; alg <= TKS_JWT_HS512; alg++) {
            if ((sodium->algorithms & TKS_JWT_BIT(alg)) == 0) continue;
            for (size_t size = 0; size < sizeof bytes; size++) {
                check_both(sodium, openssl, (tks_jwt_alg)alg, tks_bytes_of(bytes, size));
            }
        }
        tks_key_free(sodium);
        tks_key_free(openssl);
    }
    CHECK_INT(ERR_peek_error(), 0);
}

TEST(jwt_secret_too_short_for_openssl_too) {
    tks_error err = TKS_ERROR_INIT;
    tks_key *key = NULL;
    CHECK_STATUS(tks_key_from_secret(TKS_LITERAL("0123456789abcdef0123456789abcde"), NULL,
                                     tks_jwt_openssl(), &key, &err),
                 TKS_ERR_CONFIGURATION);
    CHECK(key == NULL);
    CHECK(strstr(err.message, "too short") != NULL);
}

/* ---- keys ------------------------------------------------------------------------------------ */

TEST(jwt_keys_are_counted) {
    tks_key_options options = {.kid = TKS_LITERAL("a\0b"),
                               .algorithms = TKS_JWT_BIT(TKS_JWT_HS384)};
    tks_key *key = make_secret('k', &options);
    tks_key *again = tks_key_ref(key);

    CHECK(again == key);
    tks_key_free(key);
    CHECK_INT(tks_key_get_kind(again), TKS_KEY_SECRET);
    CHECK_TEXT(tks_key_get_kind_name(again), "secret");
    CHECK_BYTES(tks_key_get_kid(again), TKS_LITERAL("a\0b"));
    CHECK_INT(tks_key_get_algorithms(again), TKS_JWT_BIT(TKS_JWT_HS384));
    CHECK(tks_key_can_sign(again));
    tks_key_free(again);
    tks_key_free(NULL);
    tks_keyset_free(NULL);
}

TEST(jwt_algorithms_have_names) {
    tks_jwt_alg alg;
    uint32_t set = 0;

    for (unsigned i = 0; i < TKS_JWT_ALG_COUNT; i++) {
        const char *name = tks_jwt_alg_name((tks_jwt_alg)i);
        CHECK_STATUS(tks_jwt_alg_find(test_bytes(name), &alg, NULL), TKS_OK);
        CHECK_INT(alg, i);
        CHECK_STATUS(tks_jwt_alg_add(test_bytes(name), &set, NULL), TKS_OK);
    }
    CHECK_INT(set, (1 << TKS_JWT_ALG_COUNT) - 1);
    CHECK_TEXT(tks_jwt_alg_name(TKS_JWT_ALG_COUNT), "unknown");
    CHECK_STATUS(tks_jwt_alg_find(TKS_LITERAL("HS256\0"), &alg, NULL), TKS_ERR_CONFIGURATION);
    CHECK_INT(alg, TKS_JWT_ALG_COUNT);
}

TEST(jwt_without_openssl_RSA_and_EC_are_unknown) {
    static const char *const kinds[] = {
        "{\"kty\":\"RSA\",\"n\":\"AQAB\",\"e\":\"AQAB\"}",
        "{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"A\",\"y\":\"A\"}"};
    const tks_bytes jwks = TKS_LITERAL(
        "{\"keys\":[{\"kty\":\"RSA\",\"n\":\"AQAB\",\"e\":\"AQAB\"},{\"kty\":\"OKP\",\"crv\":"
        "\"Ed25519\",\"x\":\"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo\"}]}");
    tks_keyset *set = NULL;
    tks_key *const *keys = NULL;

    for (size_t i = 0; i < 2; i++) {
        tks_error err = TKS_ERROR_INIT;
        tks_key *key = (tks_key *)(void *)&err; /* must become NULL */
        CHECK_STATUS(tks_key_from_jwk(test_bytes(kinds[i]), NULL, &key, &err),
                     TKS_ERR_CONFIGURATION);
        CHECK_CONTAINS(err.message, "OpenSSL");
        CHECK(key == NULL);
    }
    if (CHECK_STATUS(tks_keyset_from_jwks(jwks, NULL, &set, NULL), TKS_OK)) {
        CHECK_INT(tks_keyset_get_keys(set, &keys), 1);
        CHECK_INT(tks_keyset_get_skipped(set), 1);
        CHECK_TEXT(tks_key_get_kind_name(keys[0]), "Ed25519");
    }
    tks_keyset_free(set);
}

TEST(jwt_leaves_the_hosts_openssl_errors_alone) {
    const char *pem = "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n";
    tks_key *key = NULL;
    CHECK_INT(ERR_peek_error(), 0);
    CHECK_STATUS(tks_key_from_pem(test_bytes(pem), NULL, &key, NULL), TKS_ERR_CONFIGURATION);
    CHECK_STATUS(tks_key_from_pem(TKS_LITERAL("x"), NULL, &key, NULL), TKS_ERR_CONFIGURATION);
    CHECK_INT(ERR_peek_error(), 0);
}

/* A key with only "sign" in key_ops signs but does not verify. */
TEST(jwt_secret_that_may_only_sign) {
    const tks_bytes jwk = TKS_LITERAL(
        "{\"kty\":\"oct\",\"key_ops\":[\"sign\"],\"k\":"
        "\"AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-"
        "1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow\"}");
    tks_jwt_policy policy = {.algorithms = TKS_JWT_BIT(TKS_JWT_HS256), .now = now};
    tks_key *key = NULL;
    tks_key *both[2];
    tks_jwt jwt;
    tks_buf token;

    tks_buf_init(&token, TKS_JWT_SIZE_MAX);
    CHECK_STATUS(tks_key_from_jwk(jwk, NULL, &key, NULL), TKS_OK);
    CHECK_STATUS(tks_jwt_encode(TKS_LITERAL("{}"), key, TKS_JWT_HS256, tks_bytes_of(NULL, 0), 0,
                                &token, NULL),
                 TKS_OK);
    CHECK_STATUS(decode(tks_buf_bytes(&token), key, &policy), TKS_ERR_CONFIGURATION);
    both[0] = key;
    both[1] = make_secret('k', NULL);
    CHECK_STATUS(tks_jwt_decode(tks_buf_bytes(&token), both, 2, &policy, &jwt, NULL),
                 TKS_ERR_INVALID_TOKEN);
    tks_key_free(both[1]);
    tks_key_free(key);
    tks_buf_clear(&token);
}

/* ---- arguments ------------------------------------------------------------------------------- */

TEST(jwt_policy_numbers_that_are_none) {
    tks_key *key = make_secret('k', NULL);
    tks_jwt_policy policy = {.algorithms = TKS_JWT_BIT(TKS_JWT_HS256), .now = now};
    tks_buf token;

    tks_buf_init(&token, TKS_JWT_SIZE_MAX);
    CHECK_STATUS(tks_jwt_encode(TKS_LITERAL("{\"exp\":1}"), key, TKS_JWT_HS256,
                                tks_bytes_of(NULL, 0), 0, &token, NULL),
                 TKS_OK);
    CHECK_STATUS(decode(tks_buf_bytes(&token), key, &policy), TKS_ERR_EXPIRED_TOKEN);
    policy.leeway = NAN;
    CHECK_STATUS(decode(tks_buf_bytes(&token), key, &policy), TKS_ERR_CONFIGURATION);
    policy.leeway = INFINITY;
    CHECK_STATUS(decode(tks_buf_bytes(&token), key, &policy), TKS_ERR_CONFIGURATION);
    policy.leeway = 0;
    policy.now = NAN;
    CHECK_STATUS(decode(tks_buf_bytes(&token), key, &policy), TKS_ERR_CONFIGURATION);
    policy.now = -INFINITY;
    CHECK_STATUS(decode(tks_buf_bytes(&token), key, &policy), TKS_ERR_CONFIGURATION);
    policy.now = INFINITY;
    CHECK_STATUS(decode(tks_buf_bytes(&token), key, &policy), TKS_ERR_CONFIGURATION);
    policy.now = 0;
    CHECK_STATUS(decode(tks_buf_bytes(&token), key, &policy), TKS_ERR_CONFIGURATION);
    tks_key_free(key);
    tks_buf_clear(&token);
}

TEST(jwt_audience_with_nul_is_the_callers_mistake) {
    const tks_bytes audience = TKS_LITERAL("a\0b");
    tks_jwt_policy policy = {.algorithms = TKS_JWT_BIT(TKS_JWT_HS256),
                             .now = now,
                             .audiences = &audience,
                             .audience_count = 1};
    tks_key *key = make_secret('k', NULL);
    CHECK_STATUS(decode(TKS_LITERAL("a.b.c"), key, &policy), TKS_ERR_CONFIGURATION);
    tks_key_free(key);
}

TEST(jwt_encode_appends_or_leaves_alone) {
    tks_key *key = make_secret('k', NULL);
    tks_error err = TKS_ERROR_INIT;
    tks_buf out;

    tks_buf_init(&out, 100000);
    tks_buf_append(&out, "Bearer ", 7);
    CHECK_STATUS(
        tks_jwt_encode(TKS_LITERAL("[]"), key, TKS_JWT_HS256, tks_bytes_of(NULL, 0), 0, &out, &err),
        TKS_ERR_DATA);
    CHECK_CONTAINS(err.message, "object");
    CHECK_STATUS(tks_jwt_encode(TKS_LITERAL("{}"), key, TKS_JWT_ALG_COUNT, tks_bytes_of(NULL, 0), 0,
                                &out, NULL),
                 TKS_ERR_CONFIGURATION);
    CHECK_BYTES(tks_buf_bytes(&out), TKS_LITERAL("Bearer "));
    CHECK_STATUS(
        tks_jwt_encode(TKS_LITERAL("{}"), key, TKS_JWT_HS256, tks_bytes_of(NULL, 0), 0, &out, NULL),
        TKS_OK);
    CHECK_BYTES(tks_bytes_of(out.data, 10), TKS_LITERAL("Bearer eyJ"));
    tks_buf_clear(&out);
    tks_key_free(key);
}

/* A kid may be any bytes, a header may not. */
TEST(jwt_encode_with_a_kid_that_json_cannot_hold) {
    tks_key_options options = {.kid = TKS_LITERAL("\xff")};
    tks_key *key = make_secret('k', &options);
    tks_error err = TKS_ERROR_INIT;
    tks_buf out;

    tks_buf_init(&out, 1000);
    CHECK_STATUS(
        tks_jwt_encode(TKS_LITERAL("{}"), key, TKS_JWT_HS256, tks_bytes_of(NULL, 0), 0, &out, &err),
        TKS_ERR_DATA);
    CHECK_CONTAINS(err.message, "kid");
    tks_buf_clear(&out);
    tks_key_free(key);
}
