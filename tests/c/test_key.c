/* test_key.c - keys against tests/vectors/keys.py, and different names never collide in one key. */
#include <stdlib.h>

#include "key.h"
#include "test.h"

static void check_record_key(const char *token, tks_bytes prefix, tks_bytes pepper,
                             const char *want) {
    tksp_place place;
    tks_buf key;
    tks_buf_init(&key, 1000);
    test_context("%s", token);
    tksp_key_place(pepper, TKS_LITERAL("app"), TKS_LITERAL("type"), test_bytes(token), &place);
    CHECK_STATUS(tksp_key_record(&key, prefix, &place), TKS_OK);
    CHECK_BYTES(tks_buf_bytes(&key), test_bytes(want));
    tks_buf_clear(&key);
}

TEST(key_records_have_known_keys) {
    tks_bytes ts = TKS_LITERAL("ts"), p = TKS_LITERAL("p");
    tks_bytes none = {NULL, 0}, pepper = TKS_LITERAL("pepper pepper 16");
    /* A tag is taken from the token only after the marker, and only if it is hexadecimal. */
    check_record_key("x", ts, none, "ts:{091}:g5xm30ESBvnoYH_IOeBM9nxf9nln");
    check_record_key("0abc", ts, none, "ts:{abc}:yQJF5521l-zcTjfhHDfeOSawQ18c");
    check_record_key("0ab", ts, none, "ts:{5eb}:l-LhfmYZLyt7tGDo5NR4p_ZdGJJ8");
    check_record_key("0abcX", ts, none, "ts:{abc}:gxHHJYICSAlu2RaRrHauh6xHFprH");
    check_record_key("0abgX", ts, none, "ts:{3ff}:j_fGTVwX6sW-muLuGgLM9jkD4Wl7");
    check_record_key("1abcX", ts, none, "ts:{baa}:LKK5rKtjwlvuJED7CidODPjRSK0T");
    check_record_key("0ABCX", ts, none, "ts:{bde}:Lde6QGjpuZz8bTIT9O1_IYOJ5JnX");
    check_record_key("x", p, pepper, "p:{5a1}:FahTM9W4NZ3Hd9lpgq5MTw-QG7Jb");
    check_record_key("0abc", p, pepper, "p:{abc}:jLEUE3NRT9NhigqEDb66miEMLsAp");
}

TEST(key_tag_is_not_read_past_the_token) {
    tksp_place place;
    tksp_key_place(tks_bytes_of(NULL, 0), TKS_LITERAL("app"), TKS_LITERAL("type"),
                   tks_bytes_of("0abc", 3), &place);
    CHECK_BYTES(tks_bytes_of(place.tag, 3), TKS_LITERAL("5eb"));
}

static void append_index(tks_buf *key, tks_bytes app, tks_bytes type, tks_bytes owner) {
    tksp_place place;
    tksp_key_owner(tks_bytes_of(NULL, 0), app, type, owner, &place);
    CHECK_STATUS(tksp_key_index(key, TKS_LITERAL("ts"), place.tag, app, type, owner), TKS_OK);
}

TEST(key_indexes_have_known_keys) {
    tks_buf key;
    tks_buf_init(&key, 1000);
    append_index(&key, TKS_LITERAL("a"), TKS_LITERAL("t"), TKS_LITERAL("bob"));
    CHECK_BYTES(tks_buf_bytes(&key), TKS_LITERAL("ts:{8e0}:o:\"a\",\"t\",\"bob\""));
    tks_buf_reset(&key);
    append_index(&key, TKS_LITERAL("a\"\\,"), TKS_LITERAL("t\n\x01"), TKS_LITERAL("b\xff{}*"));
    CHECK_BYTES(tks_buf_bytes(&key),
                TKS_LITERAL("ts:{17a}:o:\"a\\u0022\\\\,\",\"t\\n\\u0001\",\"b\xff{}*\""));
    tks_buf_clear(&key);
}

TEST(key_digits_are_base64url) {
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    for (int c = 0; c < 256; c++) {
        const char *at = c == 0 ? NULL : strchr(digits, c);
        CHECK_INT(tksp_key_digit((char)c), at == NULL ? -1 : at - digits);
    }
}

/* ---- 100 000 hostile tuples -------------------------------------------------------------------- */

enum { TUPLES = 100000 };

static uint64_t random_state = 88172645463325252u;

static uint32_t random_below(uint32_t bound) {
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return (uint32_t)(random_state >> 32) % bound;
}

/* Short, of few characters, so that joined parts often coincide: "a", ":" | "a:", … */
static tks_bytes random_name(char *out) {
    static const char bytes[] = "ab*?[]\\^:|{},\"\n\x01\xff";
    size_t size = 1 + random_below(3);
    for (size_t i = 0; i < size; i++) out[i] = bytes[random_below(sizeof bytes - 1)];
    return tks_bytes_of(out, size);
}

typedef struct tuple {
    char names[3][4];
    tks_bytes parts[3];
    tks_buf key;
} tuple;

static int compare_keys(const void *a, const void *b) {
    const tuple *x = a, *y = b;
    size_t size = x->key.size < y->key.size ? x->key.size : y->key.size;
    int order = memcmp(x->key.data, y->key.data, size);
    return order != 0 ? order : (x->key.size > y->key.size) - (x->key.size < y->key.size);
}

static bool same_tuple(const tuple *a, const tuple *b) {
    for (int i = 0; i < 3; i++) {
        if (a->parts[i].size != b->parts[i].size ||
            memcmp(a->names[i], b->names[i], a->parts[i].size) != 0) {
            return false;
        }
    }
    return true;
}

static void check_tuples(bool index) {
    tuple *tuples = calloc(TUPLES, sizeof *tuples);
    int equal = 0, collisions = 0;

    for (int i = 0; i < TUPLES; i++) {
        tuple *t = &tuples[i];
        tksp_place place;
        for (int k = 0; k < 3; k++) t->parts[k] = random_name(t->names[k]);
        tks_buf_init(&t->key, 1000);
        if (index) {
            tksp_key_owner(tks_bytes_of(NULL, 0), t->parts[0], t->parts[1], t->parts[2], &place);
            tksp_key_index(&t->key, TKS_LITERAL("ts"), place.tag, t->parts[0], t->parts[1],
                           t->parts[2]);
        } else {
            tksp_key_place(tks_bytes_of(NULL, 0), t->parts[0], t->parts[1], t->parts[2], &place);
            tksp_key_record(&t->key, TKS_LITERAL("ts"), &place);
        }
    }
    qsort(tuples, TUPLES, sizeof *tuples, compare_keys);
    for (int i = 1; i < TUPLES; i++) {
        if (compare_keys(&tuples[i - 1], &tuples[i]) != 0) continue;
        equal++;
        collisions += !same_tuple(&tuples[i - 1], &tuples[i]);
    }
    CHECK_INT(collisions, 0);
    CHECK(equal < TUPLES / 10); /* most were different */
    for (int i = 0; i < TUPLES; i++) tks_buf_clear(&tuples[i].key);
    free(tuples);
}

TEST(key_different_tuples_have_different_record_keys) {
    check_tuples(false);
}

TEST(key_different_tuples_have_different_index_keys) {
    check_tuples(true);
}
