/* test_jwt_secret.c - keys that are rejected as HMAC secrets (tests/vectors/jwt_secrets.json), and random
 * secrets, which are accepted.
 *
 * TOKENSTORE_SECRETS is the number of random secrets of each length; ten times as many of bytes as of each
 * kind of text. `make soak` tries a million. */
#include <stdio.h>
#include <stdlib.h>

#include "jwt_private.h"
#include "test.h"
#include "tokenstore/secret.h"
#include "vectors.h"

/* In an exact-size block, so that a sanitizer detects reads past its end. */
static tks_status check(tks_bytes secret) {
    char *copy = malloc(secret.size + (secret.size == 0));
    tks_error err = TKS_ERROR_INIT;
    memcpy(copy, secret.data, secret.size);
    tks_status status = tksp_secret_check(tks_bytes_of(copy, secret.size), &err);
    free(copy);
    if (status != TKS_OK) CHECK(strstr(err.message, "another type") != NULL);
    return status;
}

static size_t check_all(const tks_json *list, tks_status want) {
    size_t count = 0;
    for (const tks_json *test = tks_json_get_child(list); test != NULL;
         test = tks_json_get_next(test), count++) {
        tks_buf secret;
        tks_buf_init(&secret, SIZE_MAX);
        vectors_bytes(vectors_get(test, "value"), &secret);
        test_context("%s", vectors_text(test, "name"));
        CHECK_STATUS(check(tks_buf_bytes(&secret)), want);
        tks_buf_clear(&secret);
    }
    return count;
}

TEST(jwt_secret_vectors) {
    vectors v;
    vectors_open(&v, "jwt_secrets.json");
    CHECK(check_all(vectors_get(v.root, "refused"), TKS_ERR_CONFIGURATION) > 500);
    CHECK(check_all(vectors_get(v.root, "taken"), TKS_OK) > 20);
    vectors_close(&v);
}

/* Every prefix of every key: no read past the end. */
TEST(jwt_secret_that_is_cut_off) {
    vectors v;
    vectors_open(&v, "jwt_secrets.json");
    for (const tks_json *test = tks_json_get_child(vectors_get(v.root, "refused")); test != NULL;
         test = tks_json_get_next(test)) {
        tks_buf secret;
        tks_buf_init(&secret, SIZE_MAX);
        vectors_bytes(vectors_get(test, "value"), &secret);
        for (size_t size = 0; size < secret.size && size < 300; size++) {
            (void)check(tks_bytes_of(secret.data, size));
        }
        tks_buf_clear(&secret);
    }
    vectors_close(&v);
}

/* Arbitrarily deep and long text. */
TEST(jwt_secret_ends_however_it_is_spelled) {
    tks_buf text, next;
    tks_buf_init(&text, SIZE_MAX);
    tks_buf_init(&next, SIZE_MAX);
    tks_buf_append(&text, "MFkwEwYH", 8);
    for (int i = 0; i < 20; i++) {
        tks_buf_reset(&next);
        (void)tks_encode(TKS_BASE64, text.data, text.size, &next);
        tks_buf_reset(&text);
        tks_buf_append_bytes(&text, tks_buf_bytes(&next));
        CHECK_STATUS(check(tks_buf_bytes(&text)), TKS_OK);
    }
    tks_buf_reset(&text);
    while (text.size < 4 * 1024 * 1024) tks_buf_append(&text, "MIICAAAA%5c\\u005c\"kty\" ", 23);
    CHECK_STATUS(check(tks_buf_bytes(&text)), TKS_OK);
    tks_buf_clear(&text);
    tks_buf_clear(&next);
}

static const char *const alphabets[] = {
    NULL, /* any byte */
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_",
    "0123456789abcdef",
    "!\"#$%&'()*+,-./"
    "0123456789:;<=>?@ABCDEFGHIJKLMNOPQRSTUVWXYZ[\\]^_`abcdefghijklmnopqrstuvwxyz{|}~",
};

static void try_random(size_t size, const char *alphabet, long count) {
    static const size_t room = 64 * 1024;
    size_t letters = alphabet != NULL ? strlen(alphabet) : 0;
    char *bytes = malloc(room);
    long refused = 0;
    for (long done = 0; done < count;) {
        tks_random(bytes, room);
        for (size_t i = 0; i < room && letters > 0; i++) {
            bytes[i] = alphabet[(unsigned char)bytes[i] % letters];
        }
        for (size_t at = 0; at + size <= room && done < count; at += size, done++) {
            refused += tksp_secret_check(tks_bytes_of(bytes + at, size), NULL) != TKS_OK;
        }
    }
    CHECK_INT(refused, 0);
    free(bytes);
}

TEST(jwt_secret_random) {
    const char *given = getenv("TOKENSTORE_SECRETS");
    const long count = given != NULL                       ? strtol(given, NULL, 10)
                       : getenv("TOKENSTORE_SOAK") != NULL ? 1000000
                                                           : 2000;

    CHECK_STATUS(tks_secret_start(NULL), TKS_OK);
    CHECK(count > 0);
    for (size_t i = 0; i < sizeof alphabets / sizeof *alphabets; i++) {
        for (size_t size = 32; size <= 64; size++) {
            test_context("%zu characters of alphabet %zu", size, i);
            try_random(size, alphabets[i], i == 0 ? count : count / 10);
        }
        for (size_t size = 72; size <= 256; size += 8) {
            test_context("%zu characters of alphabet %zu", size, i);
            try_random(size, alphabets[i], count / 100 + 1);
        }
    }
}
