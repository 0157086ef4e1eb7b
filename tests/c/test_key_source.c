/* test_key_source.c - keys that a server publishes: which are accepted, and when and for which tokens newer
 * ones are fetched. */
#include <stdio.h>

#include "key_source.h"
#include "test.h"

/* RFC 8037, appendix A: the key pair of Ed25519. */
#define X         "\"x\":\"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo\""
#define D         "\"d\":\"nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A\""
#define PUBLIC    "{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"kid\":\"own\"," X "}"
#define NO_KID    "{\"kty\":\"OKP\",\"crv\":\"Ed25519\"," X "}"
#define PRIVATE   "{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"kid\":\"own\"," X "," D "}"
#define SECRET    "{\"kty\":\"oct\",\"k\":\"c3Nzc3Nzc3Nzc3Nzc3Nzc3Nzc3Nzc3Nzc3Nzc3Nzc3M\"}"
#define SET(keys) "{\"keys\":[" keys "]}"

static const char pem[] =
    "-----BEGIN PUBLIC KEY-----\n"
    "MCowBQYDK2VwAyEA11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=\n"
    "-----END PUBLIC KEY-----\n";

TEST(keys_that_are_published) {
    static const struct {
        const char *text;
        size_t count, skipped;
    } cases[] = {
        {SET(PUBLIC), 1, 0},
        {"\xef\xbb\xbf \n" SET(PUBLIC), 1, 0},
        {SET(PUBLIC "," SECRET), 1, 1},  /* anyone who can read a secret can sign with it */
        {SET(PRIVATE "," PUBLIC), 1, 1}, /* and so with a private key */
        {pem, 1, 0},
        {SET(""), 0, 0},
        {SET(SECRET), 0, 1},
        {"{}", 0, 0},
        {"", 0, 0},
        {"<html>", 0, 0},
        {"-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEIJ1hsZ3v/VpguoRK9JLsLMREScVpe"
         "zJpGXA7rAMcrn9g\n-----END PRIVATE KEY-----\n",
         0, 1},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        tks_error err = TKS_ERROR_INIT;
        tks_keyset *set;
        tks_key *const *keys;
        test_context("%s", cases[i].text);
        tks_status status = tks_keyset_from_published(test_bytes(cases[i].text), &set, &err);
        if (CHECK_STATUS(status, cases[i].count > 0 ? TKS_OK : TKS_ERR_CONFIGURATION) &&
            status == TKS_OK) {
            CHECK_INT(tks_keyset_get_keys(set, &keys), cases[i].count);
            CHECK_INT(tks_keyset_get_skipped(set), cases[i].skipped);
            CHECK(!tks_key_can_sign(keys[0]));
        } else {
            CHECK(set == NULL);
        }
        tks_keyset_free(set);
    }
    test_context("%s", "");
}

/* Cases in which newer keys may help, and in which they cannot: the token's key was already tried. */
TEST(jwt_says_whether_its_key_is_unknown) {
    static const struct {
        const char *keys, *headers;
        bool forged, unknown;
        tks_status status;
    } cases[] = {
        {PUBLIC, "{\"kid\":\"own\"}", false, false, TKS_OK},
        {PUBLIC, "{\"kid\":\"own\"}", true, false, TKS_ERR_INVALID_TOKEN},
        {PUBLIC, "{\"kid\":\"other\"}", false, true, TKS_ERR_INVALID_TOKEN},
        {PUBLIC, "{\"kid\":null}", false, false, TKS_OK},
        {PUBLIC, "{\"kid\":null}", true, true, TKS_ERR_INVALID_TOKEN},
        {NO_KID, "{\"kid\":\"other\"}", false, false, TKS_OK},
        {NO_KID, "{\"kid\":\"other\"}", true, true, TKS_ERR_INVALID_TOKEN},
        {NO_KID "," PUBLIC, "{\"kid\":\"own\"}", true, false, TKS_ERR_INVALID_TOKEN},
        {SECRET, "{\"kid\":\"own\"}", false, true, TKS_ERR_CONFIGURATION},
        {"", "{\"kid\":\"own\"}", false, true, TKS_ERR_CONFIGURATION},
    };
    tks_jwt_policy policy = {.algorithms = TKS_JWT_BIT(TKS_JWT_EDDSA), .now = 1e9};
    tks_key *signer;
    if (!CHECK_STATUS(tks_key_from_jwk(TKS_LITERAL(PRIVATE), NULL, &signer, NULL), TKS_OK)) return;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char jwks[1024];
        tks_keyset *set = NULL;
        tks_key *const *keys;
        tks_buf token;
        tks_jwt jwt;
        test_context("%s %s", cases[i].keys, cases[i].headers);
        tks_buf_init(&token, TKS_JWT_SIZE_MAX);
        (void)snprintf(jwks, sizeof jwks, "{\"keys\":[%s]}", cases[i].keys);
        CHECK_STATUS(tks_keyset_from_jwks(test_bytes(jwks), NULL, &set, NULL), TKS_OK);
        CHECK_STATUS(tks_jwt_encode(TKS_LITERAL("{}"), signer, TKS_JWT_EDDSA,
                                    test_bytes(cases[i].headers), 0, &token, NULL),
                     TKS_OK);
        if (cases[i].forged) token.data[token.size - 4] ^= 1;
        size_t count = tks_keyset_get_keys(set, &keys);
        CHECK_STATUS(tks_jwt_decode(tks_buf_bytes(&token), keys, count, &policy, &jwt, NULL),
                     cases[i].status);
        CHECK(jwt.key_unknown == cases[i].unknown);
        tks_jwt_clear(&jwt);
        tks_keyset_free(set);
        tks_buf_clear(&token);
    }
    test_context("%s", "");
    tks_key_free(signer);
}

TEST(jwt_of_another_kind_needs_no_newer_keys) {
    tks_jwt_policy policy = {.algorithms = TKS_JWT_BIT(TKS_JWT_EDDSA), .now = 1e9};
    tks_key *key;
    tks_jwt jwt;
    if (!CHECK_STATUS(tks_key_from_jwk(TKS_LITERAL(PUBLIC), NULL, &key, NULL), TKS_OK)) return;
    const tks_bytes none = TKS_LITERAL("eyJhbGciOiJub25lIn0.e30.AAAA");
    CHECK_STATUS(tks_jwt_decode(none, &key, 1, &policy, &jwt, NULL), TKS_ERR_INVALID_TOKEN);
    CHECK(!jwt.key_unknown);
    CHECK_STATUS(tks_jwt_decode(TKS_LITERAL("a.b"), &key, 1, &policy, &jwt, NULL),
                 TKS_ERR_INVALID_TOKEN);
    CHECK(!jwt.key_unknown);
    tks_key_free(key);
}

TEST(key_source_keeps_the_newest) {
    tksp_key_source source;
    uint64_t version = 7;
    tks_keyset *first = NULL, *second = NULL;
    tksp_key_source_init(&source, 1000);
    CHECK(tksp_key_source_get(&source, &version) == NULL);
    CHECK_INT(version, 0);
    CHECK_STATUS(tks_keyset_from_published(TKS_LITERAL(SET(PUBLIC)), &first, NULL), TKS_OK);
    CHECK_STATUS(tks_keyset_from_published(TKS_LITERAL(SET(NO_KID)), &second, NULL), TKS_OK);
    tksp_key_source_put(&source, first);
    tks_keyset *held = tksp_key_source_get(&source, &version);
    CHECK(held == first);
    CHECK_INT(version, 1);
    tksp_key_source_put(&source, second); /* `held` lives on */
    tks_key *const *keys;
    CHECK_INT(tks_keyset_get_keys(held, &keys), 1);
    CHECK_BYTES(tks_key_get_kid(keys[0]), TKS_LITERAL("own"));
    tks_keyset_free(held);
    held = tksp_key_source_get(&source, &version);
    CHECK(held == second);
    CHECK_INT(version, 2);
    tks_keyset_free(held);
    tksp_key_source_clear(&source);
}

TEST(key_source_is_asked_once_in_an_interval) {
    tksp_key_source source;
    tksp_key_source_init(&source, 1000);
    CHECK(tksp_key_source_ask(&source, 50000));
    CHECK(!tksp_key_source_ask(&source, 50000));
    CHECK(!tksp_key_source_ask(&source, 50999));
    CHECK(tksp_key_source_ask(&source, 51000));
    CHECK(!tksp_key_source_ask(&source, 51001));
    tksp_key_source_helped(&source);
    CHECK(tksp_key_source_ask(&source, 51001));
    CHECK(!tksp_key_source_ask(&source, 51002));
    CHECK(tksp_key_source_ask(&source, 20000)); /* the clock was set back */
    CHECK(!tksp_key_source_ask(&source, 20999));
    tksp_key_source_clear(&source);
}
