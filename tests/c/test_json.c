/* test_json.c - the getters, next_member and names: cases that tests/vectors cannot express. The writer has
 * its own file. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "test.h"
#include "tokenstore/json.h"

static tks_json *parse(const char *text) {
    tks_error err = TKS_ERROR_INIT;
    tks_json *tree = NULL;
    CHECK_STATUS(tks_json_parse(test_bytes(text), TKS_JSON_SIZE_DEFAULT, &tree, &err), TKS_OK);
    CHECK_TEXT(err.message, "");
    return tree;
}

TEST(json_getters_give_what_was_written) {
    tks_json *tree = parse(
        "{\"n\":null,\"t\":true,\"f\":false,\"i\":-9007199254740991,"
        "\"d\":1.5,\"s\":\"\\u00e9\\n\",\"a\":[1,2.0,3],\"o\":{\"x\":{}}}");
    static const tks_json_type types[] = {TKS_JSON_NULL,    TKS_JSON_BOOL,   TKS_JSON_BOOL,
                                          TKS_JSON_INTEGER, TKS_JSON_DOUBLE, TKS_JSON_STRING,
                                          TKS_JSON_ARRAY,   TKS_JSON_OBJECT};
    static const char names[] = "ntfidsao";
    const tks_json *member = tks_json_get_child(tree);

    CHECK_INT(tks_json_get_type(tree), TKS_JSON_OBJECT);
    CHECK_INT(tks_json_get_size(tree), 8);
    for (size_t i = 0; i < 8 && CHECK(member != NULL); i++) {
        CHECK_BYTES(tks_json_get_name(member), tks_bytes_of(&names[i], 1));
        CHECK_INT(tks_json_get_type(member), types[i]);
        member = tks_json_get_next(member);
    }
    CHECK(member == NULL);
    CHECK(tks_json_get_bool(tks_json_find(tree, "t")));
    CHECK(!tks_json_get_bool(tks_json_find(tree, "f")));
    CHECK_INT(tks_json_get_integer(tks_json_find(tree, "i")), -TKS_JSON_INTEGER_MAX);
    CHECK(tks_json_get_double(tks_json_find(tree, "i")) == -9007199254740991.0);
    CHECK(tks_json_get_double(tks_json_find(tree, "d")) == 1.5);
    CHECK_BYTES(tks_json_get_string(tks_json_find(tree, "s")), TKS_LITERAL("\xc3\xa9\n"));

    member = tks_json_find(tree, "a");
    CHECK_INT(tks_json_get_size(member), 3);
    member = tks_json_get_child(member);
    CHECK_INT(tks_json_get_type(member), TKS_JSON_INTEGER);
    member = tks_json_get_next(member);
    CHECK_INT(tks_json_get_type(member), TKS_JSON_DOUBLE);
    member = tks_json_get_child(tks_json_find(tree, "o"));
    CHECK_INT(tks_json_get_size(member), 0);
    CHECK(tks_json_get_child(member) == NULL);
    tks_json_free(tree);
}

TEST(json_find_takes_no_name_that_only_begins_so) {
    static const char text[] = "{\"exp\\u0000\":1,\"ex\":2,\"exp\":3,\"expe\":4}";
    tks_json *tree = NULL;
    CHECK_STATUS(tks_json_read_foreign(test_bytes(text), &tree, NULL), TKS_OK);
    CHECK_INT(tks_json_get_integer(tks_json_find(tree, "exp")), 3);
    CHECK(tks_json_find(tree, "e") == NULL);
    tks_json_free(tree);
}

TEST(json_integers_keep_all_53_bits) {
    /* Around the limits of int, within those of doubles. */
    static const int64_t values[] = {0,
                                     1,
                                     -1,
                                     INT32_MAX,
                                     INT32_MIN,
                                     4294967295,
                                     4294967296,
                                     4503599627370497,
                                     TKS_JSON_INTEGER_MAX,
                                     -TKS_JSON_INTEGER_MAX};
    for (size_t i = 0; i < sizeof values / sizeof values[0]; i++) {
        char text[32];
        tks_json *tree = NULL;
        snprintf(text, sizeof text, "%lld", (long long)values[i]);
        tree = parse(text);
        CHECK_INT(tks_json_get_type(tree), TKS_JSON_INTEGER);
        CHECK_INT(tks_json_get_integer(tree), values[i]);
        tks_json_free(tree);
    }
}

TEST(json_integer_zero_has_no_sign) {
    tks_json *tree = parse("[-0,-0.0]");
    const tks_json *zero = tks_json_get_child(tree);
    CHECK_INT(tks_json_get_type(zero), TKS_JSON_INTEGER);
    CHECK(!signbit(tks_json_get_double(zero)));
    zero = tks_json_get_next(zero);
    CHECK_INT(tks_json_get_type(zero), TKS_JSON_DOUBLE);
    CHECK(signbit(tks_json_get_double(zero)));
    tks_json_free(tree);
}

TEST(json_lookups_are_case_sensitive) {
    tks_json *tree = parse("{\"Role\":1,\"role\":2}");
    CHECK_INT(tks_json_get_integer(tks_json_find(tree, "role")), 2);
    CHECK_INT(tks_json_get_integer(tks_json_find(tree, "Role")), 1);
    CHECK(tks_json_find(tree, "ROLE") == NULL);
    CHECK(tks_json_find(tree, "") == NULL);
    tks_json_free(tree);
    tks_json_free(NULL);
}

TEST(json_size_limit_is_exact) {
    tks_error err = TKS_ERROR_INIT;
    tks_json *tree = NULL;
    CHECK_STATUS(tks_json_parse(TKS_LITERAL("[12]"), 4, &tree, &err), TKS_OK);
    tks_json_free(tree);
    CHECK_STATUS(tks_json_check(TKS_LITERAL("[12]"), 4, NULL), TKS_OK);
    CHECK_STATUS(tks_json_check(TKS_LITERAL("[12]"), 3, &err), TKS_ERR_DATA);
    CHECK_CONTAINS(err.message, "limit of 3");
    CHECK_STATUS(tks_json_parse(TKS_LITERAL("[12]"), 3, &tree, NULL), TKS_ERR_DATA);
    CHECK(tree == NULL);
}

/* An object with `count` members "0", "1", …, and finally the member `again` once more. */
static void append_members(tks_buf *out, int count, int again) {
    for (int i = 0; i < count; i++) {
        tks_buf_append_char(out, i == 0 ? '{' : ',');
        tks_buf_append_char(out, '"');
        tks_buf_append_int(out, i + 1 == count ? again : i);
        tks_buf_append_bytes(out, TKS_LITERAL("\":0"));
    }
    tks_buf_append_char(out, '}');
}

TEST(json_duplicates_are_found_at_every_size) {
    for (int count = 2; count <= 40; count++) {
        for (int again = 0; again <= count; again++) {
            tks_buf text;
            tks_json *tree = NULL;
            bool unique = again >= count - 1;
            tks_buf_init(&text, 4096);
            append_members(&text, count, again);
            test_context("%d members, the last one named %d", count, again);
            CHECK_STATUS(tks_json_parse(tks_buf_bytes(&text), 4096, &tree, NULL),
                         unique ? TKS_OK : TKS_ERR_DATA);
            tks_json_free(tree);
            tks_buf_clear(&text);
        }
    }
}

TEST(json_messages_never_quote_the_text) {
    static const char *const texts[] = {"{\"hunter2\":1,\"hunter2\":2}",
                                        "[\"hunter2\\q\"]",
                                        "hunter2",
                                        "[hunter2]",
                                        "{\"hunter2\":nope}",
                                        "{\"a\":\"hunter2\\u0000\"}",
                                        "[\"hunter2]",
                                        "\"\xff hunter2\""};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        tks_error err = TKS_ERROR_INIT;
        tks_json *tree = NULL;
        test_context("%s", texts[i]);
        CHECK_STATUS(tks_json_parse(test_bytes(texts[i]), 100, &tree, &err), TKS_ERR_DATA);
        CHECK(err.message[0] != '\0');
        CHECK(strstr(err.message, "hunter") == NULL);
    }
}

/* ---- names and members ------------------------------------------------------------------------- */

static void check_name(tks_bytes name, const char *want) {
    tks_buf out;
    tks_buf_init(&out, 100);
    CHECK_STATUS(tks_json_append_name(&out, name), TKS_OK);
    CHECK_BYTES(tks_buf_bytes(&out), test_bytes(want));
    tks_buf_clear(&out);
}

TEST(json_append_name_leaves_no_bare_quote) {
    tks_buf out;

    check_name(TKS_LITERAL(""), "\"\"");
    check_name(TKS_LITERAL("bob"), "\"bob\"");
    check_name(TKS_LITERAL("\""), "\"\\u0022\"");
    check_name(TKS_LITERAL("a\"b\"\"c"), "\"a\\u0022b\\u0022\\u0022c\"");
    check_name(TKS_LITERAL("\\"), "\"\\\\\"");
    check_name(TKS_LITERAL("\\\""), "\"\\\\\\u0022\"");
    check_name(TKS_LITERAL("\n\x01\x1f\x7f"), "\"\\n\\u0001\\u001f\x7f\"");
    check_name(TKS_LITERAL("caf\xc3\xa9"), "\"caf\xc3\xa9\"");
    check_name(TKS_LITERAL("\xff\x80\xc3"), "\"\xff\x80\xc3\"");

    tks_buf_init(&out, 100);
    CHECK_STATUS(tks_json_append_name(&out, TKS_LITERAL("a\0b")), TKS_ERR_DATA);
    tks_buf_clear(&out);
    tks_buf_init(&out, 4);
    CHECK_STATUS(tks_json_append_name(&out, TKS_LITERAL("abc")), TKS_ERR_DATA);
    CHECK_STATUS(out.status, TKS_ERR_DATA);
    tks_buf_clear(&out);
}

/* Splits `object` and checks the members: name, value, name, value, …, NULL. */
static void check_members(const char *object, const char *const *want) {
    tks_bytes text = test_bytes(object);
    tks_bytes name, value;
    size_t at = 0;

    test_context("%s", object);
    while (*want != NULL) {
        if (!CHECK(tks_json_next_member(text, &at, &name, &value))) return;
        CHECK_BYTES(name, test_bytes(want[0]));
        CHECK_BYTES(value, test_bytes(want[1]));
        want += 2;
    }
    CHECK(!tks_json_next_member(text, &at, &name, &value));
    CHECK(!tks_json_next_member(text, &at, &name, &value));
}

TEST(json_next_member_splits_objects) {
    check_members("{}", (const char *[]){NULL});
    check_members("{\"a\":1}", (const char *[]){"\"a\"", "1", NULL});
    check_members("{\"\":\"\"}", (const char *[]){"\"\"", "\"\"", NULL});
    check_members("{\"a\":null,\"b\":-1.5e+20,\"c\":false}",
                  (const char *[]){"\"a\"", "null", "\"b\"", "-1.5e+20", "\"c\"", "false", NULL});
    check_members(
        "{\"a\":{\"x\":[1,{\"y\":2}],\"z\":\"}\"},\"b\":[[],{}]}",
        (const char *[]){"\"a\"", "{\"x\":[1,{\"y\":2}],\"z\":\"}\"}", "\"b\"", "[[],{}]", NULL});
    check_members("{\"q\\\"\":\"\\\"\",\"\\\\\":\"\\\\\",\",\":\",}\\\\\\\"\"}",
                  (const char *[]){"\"q\\\"\"", "\"\\\"\"", "\"\\\\\"", "\"\\\\\"", "\",\"",
                                   "\",}\\\\\\\"\"", NULL});
}

TEST(json_next_member_survives_what_is_no_object) {
    static const char *const texts[] = {"",         "{",          "[",        "{\"",
                                        "{\"a",     "{\"a\"",     "{\"a\":",  "{\"a\\",
                                        "{\"a\":[", "{\"a\":}}}", "x\"a\":1", "{\"a\":\"\\"};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        size_t size = strlen(texts[i]);
        char *copy = malloc(size + 1); /* exact, for the sanitizer */
        size_t at = 0;
        int rounds = 0;
        tks_bytes name, value;
        memcpy(copy, texts[i], size);
        test_context("%s", texts[i]);
        while (rounds < 10 && tks_json_next_member(tks_bytes_of(copy, size), &at, &name, &value)) {
            rounds++;
        }
        CHECK(rounds < 10);
        CHECK(at <= size);
        free(copy);
    }
}
