/* test_json_vectors.c - tests/vectors/json.json, in the "C" locale and in one with a decimal comma. */
#include <locale.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "test.h"
#include "tokenstore/json.h"
#include "vectors.h"

/* Parses, writes, and repeats. `text` is copied to an exact-size block, so that a sanitizer detects reads
 * past its end. */
static void check_accepted(tks_bytes text, tks_bytes canonical) {
    tks_error err = TKS_ERROR_INIT;
    tks_json *tree = NULL;
    tks_json *again = NULL;
    tks_json_writer w;
    tks_buf first, second;
    char *copy = malloc(text.size);

    memcpy(copy, text.data, text.size);
    tks_buf_init(&first, TKS_JSON_SIZE_DEFAULT);
    tks_buf_init(&second, TKS_JSON_SIZE_DEFAULT);
    text.data = copy;
    CHECK_STATUS(tks_json_check(text, TKS_JSON_SIZE_DEFAULT, &err), TKS_OK);
    CHECK_STATUS(tks_json_parse(text, TKS_JSON_SIZE_DEFAULT, &tree, &err), TKS_OK);
    if (CHECK_TEXT(err.message, "")) {
        tks_json_writer_init(&w, &first, TKS_JSON_SIZE_DEFAULT, "data", &err);
        CHECK_STATUS(tks_json_write_tree(&w, tree), TKS_OK);
        CHECK_BYTES(tks_buf_bytes(&first), canonical);
        CHECK_STATUS(tks_json_parse(tks_buf_bytes(&first), TKS_JSON_SIZE_DEFAULT, &again, &err),
                     TKS_OK);
        tks_json_writer_init(&w, &second, TKS_JSON_SIZE_DEFAULT, "data", &err);
        CHECK_STATUS(tks_json_write_tree(&w, again), TKS_OK);
        CHECK_BYTES(tks_buf_bytes(&second), canonical);
        CHECK_TEXT(err.message, "");
    }
    tks_json_free(tree);
    tks_json_free(again);
    tks_buf_clear(&first);
    tks_buf_clear(&second);
    free(copy);
}

/* True if only the rules for our own data reject it. */
static bool is_own_rule(const char *error) {
    static const char *const rules[] = {"two members with the same name",
                                        "nested deeper than 32",
                                        "over the limit",
                                        "2^53-1",
                                        "too large for a double",
                                        "U+0000",
                                        "surrogate"};
    for (size_t i = 0; i < sizeof rules / sizeof rules[0]; i++) {
        if (strstr(error, rules[i]) != NULL) return true;
    }
    return false;
}

static void check_refused(tks_bytes text, const tks_json *test, bool by_all) {
    const tks_json *at = tks_json_find(test, "at");
    tks_error err = TKS_ERROR_INIT;
    tks_json *tree = (tks_json *)(void *)&err; /* must become NULL */
    char *copy = malloc(text.size + (text.size == 0));

    if (text.size > 0) memcpy(copy, text.data, text.size);
    text.data = copy;
    if (by_all) {
        CHECK_STATUS(tks_json_read_foreign(text, &tree, &err), TKS_ERR_DATA);
    } else {
        CHECK_STATUS(tks_json_parse(text, TKS_JSON_SIZE_DEFAULT, &tree, &err), TKS_ERR_DATA);
    }
    CHECK(tree == NULL);
    CHECK_STATUS(err.status, TKS_ERR_DATA);
    CHECK_CONTAINS(err.message, vectors_text(test, "error"));
    if (at != NULL) {
        char place[40];
        snprintf(place, sizeof place, "at byte %d:", (int)tks_json_get_integer(at));
        CHECK_CONTAINS(err.message, place);
    }
    CHECK_STATUS(
        tks_json_read_foreign(text, &tree, NULL),
        !by_all && is_own_rule(vectors_text(test, "error")) && tks_json_find(test, "always") == NULL
            ? TKS_OK
            : TKS_ERR_DATA);
    tks_json_free(tree);
    free(copy);
}

/* ---- foreign JSON ---- */

static void check_value(const tks_json *node, const tks_json *expected);

static tks_bytes bytes_of(const tks_json *notation, tks_buf *room) {
    tks_buf_init(room, 1 << 20);
    vectors_bytes(notation, room);
    return tks_buf_bytes(room);
}

static void check_integer(const tks_json *node, tks_bytes digits) {
    char text[TKS_INT_SIZE];
    if (tks_json_get_type(node) == TKS_JSON_BIG) {
        CHECK_BYTES(tks_json_get_string(node), digits);
        CHECK_INT(tks_json_get_string(node).data[digits.size], 0);
        CHECK(fabs(tks_json_get_double(node)) >= 9.2e18);
    } else if (CHECK_INT(tks_json_get_type(node), TKS_JSON_INTEGER)) {
        size_t size = tks_format_int(tks_json_get_integer(node), text);
        CHECK_BYTES(tks_bytes_of(text, size), digits);
    }
}

/* In stored order. */
static void check_members(const tks_json *node, const tks_json *expected, bool named) {
    CHECK_INT(tks_json_get_size(node), tks_json_get_size(expected));
    node = tks_json_get_child(node);
    for (expected = tks_json_get_child(expected); expected != NULL && CHECK(node != NULL);
         expected = tks_json_get_next(expected), node = tks_json_get_next(node)) {
        const tks_json *value = expected;
        if (named) {
            tks_buf room;
            value = tks_json_get_next(tks_json_get_child(expected));
            CHECK_BYTES(tks_json_get_name(node), bytes_of(tks_json_get_child(expected), &room));
            tks_buf_clear(&room);
        }
        check_value(node, value);
    }
    CHECK(node == NULL);
}

static void check_nested(const tks_json *node, int64_t depth) {
    for (; depth > 1 && CHECK_INT(tks_json_get_size(node), 1); depth--) {
        node = tks_json_get_child(node);
    }
    CHECK_INT(tks_json_get_size(node), 0);
}

static void check_value(const tks_json *node, const tks_json *expected) {
    const tks_json *what = tks_json_get_child(expected);
    tks_buf room;
    if (tks_json_get_type(expected) == TKS_JSON_STRING) { /* "true" */
        CHECK_INT(tks_json_get_type(node), TKS_JSON_BOOL);
        CHECK(tks_json_get_bool(node));
        return;
    }
    tks_bytes kind = tks_json_get_name(what);
    if (tks_bytes_equal(kind, TKS_LITERAL("nested"))) {
        check_nested(node, tks_json_get_integer(what));
    } else if (tks_bytes_equal(kind, TKS_LITERAL("integer"))) {
        check_integer(node, bytes_of(what, &room));
        tks_buf_clear(&room);
    } else if (tks_bytes_equal(kind, TKS_LITERAL("double"))) {
        CHECK_INT(tks_json_get_type(node), TKS_JSON_DOUBLE);
        CHECK(tks_json_get_double(node) == strtod(tks_json_get_string(what).data, NULL));
    } else if (tks_bytes_equal(kind, TKS_LITERAL("string"))) {
        CHECK_INT(tks_json_get_type(node), TKS_JSON_STRING);
        CHECK_BYTES(tks_json_get_string(node), bytes_of(what, &room));
        tks_buf_clear(&room);
    } else {
        bool named = tks_bytes_equal(kind, TKS_LITERAL("object"));
        CHECK_INT(tks_json_get_type(node), named ? TKS_JSON_OBJECT : TKS_JSON_ARRAY);
        check_members(node, what, named);
    }
}

/* Texts that the rules for our own data reject and those for foreign data accept. */
static void check_foreign(tks_bytes text, const tks_json *test) {
    tks_error err = TKS_ERROR_INIT;
    tks_json *tree = NULL;
    char *copy = malloc(text.size);

    memcpy(copy, text.data, text.size);
    text.data = copy;
    CHECK_STATUS(tks_json_parse(text, SIZE_MAX, &tree, NULL), TKS_ERR_DATA);
    CHECK_STATUS(tks_json_read_foreign(text, &tree, &err), TKS_OK);
    CHECK_TEXT(err.message, "");
    if (tree != NULL) check_value(tree, vectors_get(test, "value"));
    tks_json_free(tree);
    free(copy);
}

static void run_test(const char *kind, const tks_json *test) {
    tks_buf text, canonical;
    tks_buf_init(&text, 1 << 20);
    tks_buf_init(&canonical, 1 << 20);
    vectors_bytes(vectors_get(test, "text"), &text);
    test_context("%s: %s", kind, vectors_text(test, "name"));
    if (strcmp(kind, "accept") == 0) {
        vectors_bytes(vectors_get(test, "canonical"), &canonical);
        check_accepted(tks_buf_bytes(&text), tks_buf_bytes(&canonical));
    } else if (strcmp(kind, "foreign") == 0) {
        check_foreign(tks_buf_bytes(&text), test);
    } else {
        check_refused(tks_buf_bytes(&text), test, strcmp(kind, "refuse_foreign") == 0);
    }
    tks_buf_clear(&text);
    tks_buf_clear(&canonical);
}

static void run_vectors(void) {
    static const char *const kinds[] = {"accept", "refuse", "foreign", "refuse_foreign"};
    vectors v;

    vectors_open(&v, "json.json");
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        const tks_json *test = tks_json_get_child(vectors_get(v.root, kinds[i]));
        CHECK(test != NULL);
        for (; test != NULL; test = tks_json_get_next(test)) run_test(kinds[i], test);
    }
    vectors_close(&v);
}

TEST(json_vectors) {
    run_vectors();
}

/* mk/tests-c.mk builds the locale and sets LOCPATH. */
TEST(json_vectors_with_a_decimal_comma) {
    char shown[16];

    if (setlocale(LC_ALL, "tks_comma") == NULL) {
        test_skip("a locale with a decimal comma could not be made (localedef)");
        return;
    }
    snprintf(shown, sizeof shown, "%.1f", 0.5);
    CHECK_TEXT(shown, "0,5");
    run_vectors();
    test_context("the thread's locale is as it was");
    snprintf(shown, sizeof shown, "%.1f", 0.5);
    CHECK_TEXT(shown, "0,5");
    setlocale(LC_ALL, "C");
}
