/* test_secret.c - digests against another implementation (Python's hashlib), encodings, randomness. */
#include "test.h"
#include "tokenstore/secret.h"

static void check_digest(tks_bytes pepper, const tks_bytes *fields, size_t count,
                         const char *want) {
    char out[TKS_DIGEST_TEXT_SIZE + 1] = {0};
    tks_digest(pepper, fields, count, out);
    CHECK_TEXT(out, want);
}

TEST(secret_digest_has_known_values) {
    const tks_bytes whole[] = {TKS_LITERAL("abc")};
    const tks_bytes parts[] = {TKS_LITERAL("ab"), TKS_LITERAL("c")};
    const tks_bytes empty[] = {{NULL, 0}, {NULL, 0}, {NULL, 0}, {NULL, 0}};
    tks_bytes none = {NULL, 0};

    CHECK_STATUS(tks_secret_start(NULL), TKS_OK);
    CHECK_STATUS(tks_secret_start(NULL), TKS_OK);
    check_digest(none, whole, 1, "H2iFs86TMGxib41Xj-qwvFdXQ9OC");
    check_digest(none, parts, 2, "gOy9OsRaW8GfZAAcWI3clLwWspdu"); /* not that of "abc" */
    check_digest(none, empty, 4, "1UxXX0JHna6Fjejlq0IR9llwQhwC");
    check_digest(none, NULL, 0, "B32CcgUqbt__QEdGHDorPZ0zDbvw");
    check_digest(TKS_LITERAL("0123456789abcdef"), whole, 1, "VvMK1qTRxPu6xuZgzQkFeX6zHc3L");
}

TEST(secret_encodings_match_RFC_4648) {
    static const char *const base64url[] = {"",       "Zg",      "Zm8",     "Zm9v",
                                            "Zm9vYg", "Zm9vYmE", "Zm9vYmFy"};
    static const char *const hex[] = {"",         "66",         "666f",        "666f6f",
                                      "666f6f62", "666f6f6261", "666f6f626172"};
    tks_buf out;

    tks_buf_init(&out, 100);
    for (size_t size = 0; size <= 6; size++) {
        tks_buf_reset(&out);
        CHECK_STATUS(tks_encode(TKS_BASE64URL, "foobar", size, &out), TKS_OK);
        CHECK_BYTES(tks_buf_bytes(&out), test_bytes(base64url[size]));
        tks_buf_reset(&out);
        CHECK_STATUS(tks_encode(TKS_BASE64, "foobar", size, &out), TKS_OK);
        CHECK_BYTES(tks_buf_bytes(&out), test_bytes(base64url[size]));
        tks_buf_reset(&out);
        CHECK_STATUS(tks_encode(TKS_HEX, "foobar", size, &out), TKS_OK);
        CHECK_BYTES(tks_buf_bytes(&out), test_bytes(hex[size]));
    }
    tks_buf_reset(&out);
    CHECK_STATUS(tks_encode(TKS_BASE64URL, "\xfb\xff\xbf", 3, &out), TKS_OK);
    CHECK_STATUS(tks_encode(TKS_BASE64, "\xfb\xff\xbf", 3, &out), TKS_OK);
    CHECK_BYTES(tks_buf_bytes(&out), TKS_LITERAL("-_-_+/+/"));
    tks_buf_clear(&out);
    tks_buf_init(&out, 3);
    CHECK_STATUS(tks_encode(TKS_HEX, "ab", 2, &out), TKS_ERR_DATA);
    tks_buf_clear(&out);
}

TEST(secret_compare_and_wipe) {
    char secret[] = "hunter2";
    CHECK(tks_secret_equal(TKS_LITERAL("abc"), TKS_LITERAL("abc")));
    CHECK(!tks_secret_equal(TKS_LITERAL("abc"), TKS_LITERAL("abd")));
    CHECK(!tks_secret_equal(TKS_LITERAL("abc"), TKS_LITERAL("abcd")));
    CHECK(tks_secret_equal(tks_bytes_of(NULL, 0), tks_bytes_of(NULL, 0)));
    tks_wipe(secret, sizeof secret);
    for (size_t i = 0; i < sizeof secret; i++) CHECK_INT(secret[i], 0);
    tks_wipe(NULL, 0);
}

TEST(secret_random_letters_are_even) {
    enum { DRAWN = 62 * 1000 };
    static char letters[DRAWN + 1];
    int counts[256] = {0};
    letters[DRAWN] = '!';
    tks_random_letters(letters, DRAWN);
    CHECK_INT(letters[DRAWN], '!');
    for (size_t i = 0; i < DRAWN; i++) counts[(unsigned char)letters[i]]++;
    for (int c = 0; c < 256; c++) {
        bool letter = (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
        test_context("character %d", c);
        /* 1000 are expected, with a deviation of 31: eight deviations practically never occur. */
        CHECK(letter ? counts[c] > 750 && counts[c] < 1250 : counts[c] == 0);
    }
    char again[24];
    tks_random_letters(again, sizeof again);
    CHECK(memcmp(again, letters, sizeof again) != 0);
    tks_random_letters(again, 0);
}

TEST(secret_random_differs_and_is_even) {
    unsigned char a[32] = {0}, b[32] = {0};
    int counts[3] = {0};

    tks_random(a, sizeof a);
    tks_random(b, sizeof b);
    CHECK(memcmp(a, b, sizeof a) != 0);
    for (int i = 0; i < 30000; i++) {
        uint32_t n = tks_random_below(3);
        if (!CHECK(n < 3)) return;
        counts[n]++;
    }
    for (int i = 0; i < 3; i++) CHECK(counts[i] > 9400 && counts[i] < 10600); /* 7 sigma */
    CHECK_INT(tks_random_below(1), 0);
}
