/* test_key.c - keys against tests/vectors/keys.py, and different names never collide in one key. */
#include <stdlib.h>

#include "key.h"
#include "test.h"

TEST(key_names_are_known) {
    char locator[TKS_LOCATOR_SIZE], field[TKS_FIELD_SIZE];
    tks_bytes app = TKS_LITERAL("app"), type = TKS_LITERAL("type"), none = {NULL, 0};
    tks_buf key;
    tks_buf_init(&key, 1000);

    tksp_key_locate(app, type, TKS_LITERAL("bob"), locator);
    CHECK_STATUS(tksp_key_owner(&key, TKS_LITERAL("ts"), app, type, locator), TKS_OK);
    CHECK_BYTES(tks_buf_bytes(&key), TKS_LITERAL("ts:rS8KbvrIrv_J-XXd_lPu"));
    tks_buf_reset(&key);
    tksp_key_field(none, app, type, TKS_LITERAL("x"), field);
    CHECK_BYTES(tks_bytes_of(field, sizeof field), TKS_LITERAL("g5xm30ESBvnoYH_IOeBM9n"));
    CHECK_STATUS(tksp_key_alias(&key, TKS_LITERAL("p"), app, type, field), TKS_OK);
    CHECK_BYTES(tks_buf_bytes(&key), TKS_LITERAL("p:rS8K=g5xm30ESBvnoYH_IOeBM9n"));
    tks_buf_reset(&key);
    tksp_key_field(TKS_LITERAL("pepper pepper 16"), app, type, TKS_LITERAL("x"), field);
    CHECK_BYTES(tks_bytes_of(field, sizeof field), TKS_LITERAL("FahTM9W4NZ3Hd9lpgq5MTw"));
    tksp_key_locate(TKS_LITERAL("a\"\\,"), TKS_LITERAL("t\n\x01"), TKS_LITERAL("b\xff{}*"),
                    locator);
    CHECK_BYTES(tks_bytes_of(locator, sizeof locator), TKS_LITERAL("xnKXHeDAmSIduXYA"));
    tks_buf_clear(&key);
}

/* ---- tokens ------------------------------------------------------------------------------------ */

static const tks_encoding encodings[] = {TKS_BASE64URL, TKS_BASE64, TKS_HEX};

static tks_bytes write_token(tks_buf *out, tks_encoding encoding, const char *locator) {
    static const char random[] = "\x00\xff 32 bytes that are not random";
    tks_buf_init(out, 1000);
    CHECK_STATUS(tksp_token_write(out, encoding, locator, random, 32), TKS_OK);
    return tks_buf_bytes(out);
}

TEST(key_tokens_lead_to_their_owners) {
    char got[TKS_LOCATOR_SIZE];
    for (size_t i = 0; i < sizeof encodings / sizeof *encodings; i++) {
        tks_buf text;
        tks_bytes token = write_token(&text, encodings[i], "IewXn1p6-_4pXIgZ");
        CHECK(tksp_token_read(token, got));
        CHECK_BYTES(tks_bytes_of(got, sizeof got), TKS_LITERAL("IewXn1p6-_4pXIgZ"));
        CHECK_INT(token.size, encodings[i] == TKS_HEX ? 95 : 64);
        tks_buf_clear(&text);
    }
}

TEST(key_tokens_are_in_one_alphabet) {
    static const char *const alphabets[] = {
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_",
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/", "0123456789abcdef"};
    for (size_t i = 0; i < sizeof encodings / sizeof *encodings; i++) {
        tks_buf text;
        tks_bytes token = write_token(&text, encodings[i], "--__--__--__--__");
        for (size_t k = 0; k < token.size; k++) CHECK(strchr(alphabets[i], token.data[k]) != NULL);
        tks_buf_clear(&text);
    }
}

/* One that is changed, cut or longer is a custom token: its sum is wrong. */
TEST(key_tokens_that_were_mistyped_are_none) {
    char got[TKS_LOCATOR_SIZE], copy[200];
    for (size_t i = 0; i < sizeof encodings / sizeof *encodings; i++) {
        tks_buf text;
        tks_bytes token = write_token(&text, encodings[i], "IewXn1p6-_4pXIgZ");
        for (size_t k = 0; k < token.size; k++) {
            test_context("%d, byte %zu", (int)encodings[i], k);
            memcpy(copy, token.data, token.size);
            copy[k] = copy[k] == '5' ? '6' : '5';
            CHECK(!tksp_token_read(tks_bytes_of(copy, token.size), got));
            CHECK(!tksp_token_read(tks_bytes_of(token.data, k), got));
        }
        memcpy(copy, token.data, token.size);
        copy[token.size] = 'A';
        CHECK(!tksp_token_read(tks_bytes_of(copy, token.size + 1), got));
        tks_buf_clear(&text);
    }
    for (const char *marker = "0312"; *marker != '\0'; marker++) {
        CHECK(!tksp_token_read(tks_bytes_of(marker, 1), got));
    }
}

TEST(key_aliases_hold_a_locator) {
    char got[TKS_LOCATOR_SIZE];
    CHECK(tksp_alias_read(TKS_LITERAL("IewXn1p6-_4pXIgZabcdef"), got));
    CHECK_BYTES(tks_bytes_of(got, sizeof got), TKS_LITERAL("IewXn1p6-_4pXIgZ"));
    CHECK(tksp_alias_read(TKS_LITERAL("IewXn1p6-_4pXIgZabcdef?"), got));
    CHECK(!tksp_alias_read(TKS_LITERAL("IewXn1p6-_4pXIgZabcdef!"), got));
    CHECK(!tksp_alias_read(TKS_LITERAL("IewXn1p6-_4pXIgZabcde"), got));
    CHECK(!tksp_alias_read(TKS_LITERAL("IewXn1p6-*4pXIgZabcdef"), got));
    CHECK(!tksp_alias_read(TKS_LITERAL(""), got));
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

static void check_tuples(bool owners) {
    tuple *tuples = calloc(TUPLES, sizeof *tuples);
    int equal = 0, collisions = 0;

    for (int i = 0; i < TUPLES; i++) {
        tuple *t = &tuples[i];
        for (int k = 0; k < 3; k++) t->parts[k] = random_name(t->names[k]);
        tks_buf_init(&t->key, 1000);
        if (owners) {
            char locator[TKS_LOCATOR_SIZE];
            tksp_key_locate(t->parts[0], t->parts[1], t->parts[2], locator);
            tksp_key_owner(&t->key, TKS_LITERAL("ts"), t->parts[0], t->parts[1], locator);
        } else {
            char field[TKS_FIELD_SIZE];
            tksp_key_field(tks_bytes_of(NULL, 0), t->parts[0], t->parts[1], t->parts[2], field);
            tksp_key_alias(&t->key, TKS_LITERAL("ts"), t->parts[0], t->parts[1], field);
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

TEST(key_different_tuples_have_different_fields) {
    check_tuples(false);
}

TEST(key_different_tuples_have_different_owner_keys) {
    check_tuples(true);
}
