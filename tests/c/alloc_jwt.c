/* alloc_jwt.c - jwt with every allocation failing in turn. Only the libsodium part: OpenSSL does not report
 * out of memory as such. */
#include <stdlib.h>

#include "alloc.h"
#include "test.h"
#include "tokenstore/jwt.h"
#include "tokenstore/secret.h"

enum { ALLOCATIONS_MAX = 10000 };

static const char jwks[] =
    "{\"keys\":[{\"kty\":\"oct\",\"kid\":\"one\",\"alg\":\"HS256\",\"k\":"
    "\"AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow\"},"
    "{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"kid\":\"two\","
    "\"d\":\"nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A\","
    "\"x\":\"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo\"}]}";

/* Encodes and decodes a token with each key of a set. */
static tks_status use(tks_key *const *keys, size_t count, tks_error *err) {
    const tks_bytes claims = TKS_LITERAL("{\"sub\":\"bob\",\"exp\":1.5e9,\"aud\":[\"a\"]}");
    const tks_bytes audience = TKS_LITERAL("a");
    const tks_jwt_alg algs[] = {TKS_JWT_HS256, TKS_JWT_EDDSA};
    tks_jwt_policy policy = {.now = 1, .audiences = &audience, .audience_count = 1};
    tks_status status = TKS_OK;

    for (size_t i = 0; i < count && i < 2 && status == TKS_OK; i++) {
        tks_jwt jwt = {.header = NULL};
        tks_buf token;
        tks_buf_init(&token, TKS_JWT_SIZE_MAX);
        policy.algorithms = TKS_JWT_BIT(algs[i]);
        status = tks_jwt_encode(claims, keys[i], algs[i], TKS_LITERAL("{\"x\":1}"), 0, &token, err);
        if (status == TKS_OK) {
            status = tks_jwt_decode(tks_buf_bytes(&token), keys, count, &policy, &jwt, err);
        }
        CHECK((status == TKS_OK) == (jwt.claims != NULL));
        tks_jwt_clear(&jwt);
        tks_buf_clear(&token);
    }
    return status;
}

/* Of the Ed25519 key, and the header of a token. */
static tks_status export(const tks_keyset *set, tks_error *err) {
    char thumbprint[TKS_THUMBPRINT_SIZE];
    tks_key *const *keys;
    tks_json *json;
    (void)tks_keyset_get_keys(set, &keys);
    tks_status status = tks_key_to_jwk(keys[1], true, &json, err);
    tks_json_free(json);
    if (status == TKS_OK) status = tks_key_thumbprint(keys[1], thumbprint, err);
    if (status != TKS_OK) return status;
    status = tks_jwt_read_header(TKS_LITERAL("eyJhbGciOiJub25lIn0.e30.AAAA"), 0, &json, err);
    tks_json_free(json);
    return status;
}

static void job(void) {
    tks_error err = TKS_ERROR_INIT;
    tks_keyset *set = NULL;
    tks_key *key = NULL;
    tks_key_options options = {.kid = {"kid", 3}};
    tks_status status = TKS_OK;

    alloc_enter();
    status = tks_keyset_from_jwks(tks_bytes_of(jwks, sizeof jwks - 1), NULL, &set, &err);
    if (status == TKS_OK) {
        tks_key *const *keys = NULL;
        size_t count = tks_keyset_get_keys(set, &keys);
        CHECK_INT(count, 2);
        status = use(keys, count, &err);
    }
    if (status == TKS_OK) {
        status = tks_key_from_secret(TKS_LITERAL("0123456789abcdef0123456789abcdef"), &options,
                                     NULL, &key, &err);
    }
    if (status == TKS_OK) status = export(set, &err);
    tks_key_free(key);
    tks_keyset_free(set);
    alloc_leave();
    CHECK_STATUS(err.status, status);
    CHECK_STATUS(status, alloc_failed() ? TKS_ERR_MEMORY : TKS_OK);
}

TEST(alloc_jwt) {
    long n = 0;

    CHECK_STATUS(tks_secret_start(NULL), TKS_OK);
    job(); /* one-time allocations happen now */
    do {
        long before = alloc_live();
        alloc_fail_at(++n);
        job();
        CHECK_INT(alloc_live() - before, 0);
    } while (alloc_failed() && n < ALLOCATIONS_MAX);
    alloc_fail_at(0);
    CHECK(n > 20 && n < ALLOCATIONS_MAX);
}
