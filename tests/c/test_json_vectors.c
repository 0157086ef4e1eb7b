/* test_json_vectors.c - tests/vectors/json.json, in the "C" locale and in one with a decimal comma. */
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>

#include "test.h"
#include "tokenstore/json.h"
#include "vectors.h"

/* Parses, writes, and again. `text` is copied to storage of its exact size, so that a sanitizer sees
 * a read past its end. */
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

static void check_refused(tks_bytes text, const tks_json *test) {
    const tks_json *at = tks_json_find(test, "at");
    tks_error err = TKS_ERROR_INIT;
    tks_json *tree = (tks_json *)(void *)&err; /* must become NULL */
    char *copy = malloc(text.size + (text.size == 0));

    if (text.size > 0) memcpy(copy, text.data, text.size);
    text.data = copy;
    CHECK_STATUS(tks_json_parse(text, TKS_JSON_SIZE_DEFAULT, &tree, &err), TKS_ERR_DATA);
    CHECK(tree == NULL);
    CHECK_STATUS(err.status, TKS_ERR_DATA);
    CHECK_CONTAINS(err.message, vectors_text(test, "error"));
    if (at != NULL) {
        char place[40];
        snprintf(place, sizeof place, "at byte %d:", (int)tks_json_get_integer(at));
        CHECK_CONTAINS(err.message, place);
    }
    CHECK_STATUS(tks_json_parse(text, TKS_JSON_SIZE_DEFAULT, &tree, NULL), TKS_ERR_DATA);
    free(copy);
}

static void run_vectors(void) {
    vectors v;
    const tks_json *test = NULL;

    vectors_open(&v, "json.json");
    for (int accept = 0; accept < 2; accept++) {
        test = tks_json_get_child(vectors_get(v.root, accept ? "accept" : "refuse"));
        for (; test != NULL; test = tks_json_get_next(test)) {
            tks_buf text, canonical;
            tks_buf_init(&text, 1 << 20);
            tks_buf_init(&canonical, 1 << 20);
            vectors_bytes(vectors_get(test, "text"), &text);
            test_context("%s: %s", accept ? "accept" : "refuse", vectors_text(test, "name"));
            if (accept) {
                vectors_bytes(vectors_get(test, "canonical"), &canonical);
                check_accepted(tks_buf_bytes(&text), tks_buf_bytes(&canonical));
            } else {
                check_refused(tks_buf_bytes(&text), test);
            }
            tks_buf_clear(&text);
            tks_buf_clear(&canonical);
        }
    }
    vectors_close(&v);
}

TEST(json_vectors) {
    run_vectors();
}

/* In the place of the C library's, so that cJSON takes every locale's decimal point for '.': that is how
 * it behaves when built without ENABLE_LOCALES. Nothing else here calls it. */
__attribute__((visibility("default"))) struct lconv *localeconv(void) {
    static char point[] = ".";
    static struct lconv conventions = {.decimal_point = point};
    return &conventions;
}

/* mk/tests-c.mk makes the locale and sets LOCPATH. */
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
