/* test_json_writer.c - the writer: its output, its errors and their paths. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "test.h"
#include "tokenstore/json.h"

typedef struct fixture {
    tks_buf out;
    tks_json_writer w;
    tks_error err;
} fixture;

static void set_up_limited(fixture *f, size_t max_size) {
    f->err = (tks_error)TKS_ERROR_INIT;
    tks_buf_init(&f->out, 1 << 20);
    tks_json_writer_init(&f->w, &f->out, max_size, "data", &f->err);
}

static void set_up(fixture *f) {
    set_up_limited(f, TKS_JSON_SIZE_DEFAULT);
}

static void tear_down(fixture *f) {
    tks_buf_clear(&f->out);
}

/* Begins data.user.items with three nulls in it. */
static void begin_items(fixture *f) {
    tks_json_begin_object(&f->w);
    tks_json_write_name(&f->w, TKS_LITERAL("ok"));
    tks_json_write_bool(&f->w, true);
    tks_json_write_name(&f->w, TKS_LITERAL("user"));
    tks_json_begin_object(&f->w);
    tks_json_write_name(&f->w, TKS_LITERAL("items"));
    tks_json_begin_array(&f->w);
    for (int i = 0; i < 3; i++) tks_json_write_null(&f->w);
    CHECK_TEXT(f->err.message, "");
}

TEST(json_writer_writes_every_kind) {
    fixture f;
    set_up(&f);
    tks_buf_append_bytes(&f.out, TKS_LITERAL("before "));
    tks_json_writer_init(&f.w, &f.out, TKS_JSON_SIZE_DEFAULT, "data", &f.err);
    CHECK_STATUS(tks_json_begin_object(&f.w), TKS_OK);
    CHECK_STATUS(tks_json_write_name(&f.w, TKS_LITERAL("a\n")), TKS_OK);
    CHECK_STATUS(tks_json_begin_array(&f.w), TKS_OK);
    CHECK_STATUS(tks_json_write_null(&f.w), TKS_OK);
    CHECK_STATUS(tks_json_write_bool(&f.w, true), TKS_OK);
    CHECK_STATUS(tks_json_write_bool(&f.w, false), TKS_OK);
    CHECK_STATUS(tks_json_write_integer(&f.w, -5), TKS_OK);
    CHECK_STATUS(tks_json_write_double(&f.w, -5), TKS_OK);
    CHECK_STATUS(tks_json_write_string(&f.w, TKS_LITERAL("x\"/\x1b\x7f\xc3\xa9")), TKS_OK);
    CHECK_STATUS(tks_json_write_string(&f.w, tks_bytes_of(NULL, 0)), TKS_OK);
    CHECK_STATUS(tks_json_begin_array(&f.w), TKS_OK);
    CHECK_STATUS(tks_json_end_array(&f.w), TKS_OK);
    CHECK_STATUS(tks_json_end_array(&f.w), TKS_OK);
    CHECK_STATUS(tks_json_write_name(&f.w, TKS_LITERAL("")), TKS_OK);
    CHECK_STATUS(tks_json_begin_object(&f.w), TKS_OK);
    CHECK_STATUS(tks_json_end_object(&f.w), TKS_OK);
    CHECK_STATUS(tks_json_end_object(&f.w), TKS_OK);
    CHECK_BYTES(tks_buf_bytes(&f.out),
                TKS_LITERAL("before {\"a\\n\":[null,true,false,-5,-5.0,"
                            "\"x\\\"/\\u001b\x7f\xc3\xa9\",\"\",[]],\"\":{}}"));
    tear_down(&f);
}

TEST(json_writer_bounds_integers) {
    static const struct {
        int64_t value;
        bool ok;
    } cases[] = {{TKS_JSON_INTEGER_MAX, true},
                 {-TKS_JSON_INTEGER_MAX, true},
                 {TKS_JSON_INTEGER_MAX + 1, false},
                 {-TKS_JSON_INTEGER_MAX - 1, false},
                 {INT64_MAX, false},
                 {INT64_MIN, false}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        fixture f;
        set_up(&f);
        begin_items(&f);
        CHECK_STATUS(tks_json_write_integer(&f.w, cases[i].value),
                     cases[i].ok ? TKS_OK : TKS_ERR_DATA);
        if (!cases[i].ok) CHECK_CONTAINS(f.err.message, "data.user.items[3] is beyond 2^53-1");
        tear_down(&f);
    }
}

/* Every double reads back exactly, with our reader and with strtod. */
static void check_double(double value) {
    fixture f;
    tks_json *tree = NULL;
    double back = 0;

    set_up(&f);
    test_context("%a", value);
    CHECK_STATUS(tks_json_write_double(&f.w, value), TKS_OK);
    CHECK_STATUS(tks_json_parse(tks_buf_bytes(&f.out), 64, &tree, &f.err), TKS_OK);
    if (CHECK_TEXT(f.err.message, "")) {
        CHECK_INT(tks_json_get_type(tree), TKS_JSON_DOUBLE);
        back = tks_json_get_double(tree);
        CHECK(memcmp(&back, &value, sizeof value) == 0);
    }
    tks_json_free(tree);
    tear_down(&f);
}

TEST(json_writer_doubles_read_back_bit_for_bit) {
    static const double edges[] = {0.0,
                                   -0.0,
                                   1.0,
                                   -1.0,
                                   0.1,
                                   1.0 / 3,
                                   5e-324,
                                   1e15,
                                   1e16,
                                   1e17,
                                   1e21,
                                   1e22,
                                   1e23,
                                   1e-5,
                                   0x1p-1022,
                                   0x1.fffffffffffffp-1023,
                                   0x1.fffffffffffffp1023,
                                   9007199254740991.0,
                                   9007199254740993.0,
                                   123456789012345678.0};
    uint64_t state = 1;

    for (size_t i = 0; i < sizeof edges / sizeof edges[0]; i++) check_double(edges[i]);
    for (int i = 0; i < 20000; i++) { /* any bits: xorshift64 */
        double value = 0;
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        memcpy(&value, &state, sizeof value);
        if (isfinite(value)) check_double(value);
    }
}

TEST(json_writer_refuses_what_is_not_finite) {
    fixture f;
    set_up(&f);
    begin_items(&f);
    CHECK_STATUS(tks_json_write_double(&f.w, NAN), TKS_ERR_DATA);
    CHECK_TEXT(f.err.message, "data.user.items[3] is NaN: use null or a finite number");
    f.err = (tks_error)TKS_ERROR_INIT;
    CHECK_STATUS(tks_json_write_double(&f.w, -INFINITY), TKS_ERR_DATA);
    CHECK_TEXT(f.err.message, "data.user.items[3] is infinite: use null or a finite number");
    tear_down(&f);
    set_up(&f);
    CHECK_STATUS(tks_json_write_double(&f.w, INFINITY), TKS_ERR_DATA);
    CHECK_TEXT(f.err.message, "data is infinite: use null or a finite number");
    tear_down(&f);
}

TEST(json_writer_refuses_bad_text) {
    fixture f;
    set_up(&f);
    begin_items(&f);
    CHECK_STATUS(tks_json_write_string(&f.w, TKS_LITERAL("a\0b")), TKS_ERR_DATA);
    CHECK_CONTAINS(f.err.message, "data.user.items[3] contains U+0000");
    f.err = (tks_error)TKS_ERROR_INIT;
    CHECK_STATUS(tks_json_write_string(&f.w, TKS_LITERAL("hunter2 \xed\xa0\x80")), TKS_ERR_DATA);
    CHECK_CONTAINS(f.err.message, "data.user.items[3] is not valid UTF-8");
    CHECK(strstr(f.err.message, "hunter2") == NULL);
    f.err = (tks_error)TKS_ERROR_INIT;
    CHECK_STATUS(tks_json_write_string(&f.w, TKS_LITERAL("cut \xe2\x82")), TKS_ERR_DATA);
    CHECK_CONTAINS(f.err.message, "data.user.items[3] is not valid UTF-8");
    f.err = (tks_error)TKS_ERROR_INIT;
    CHECK_STATUS(tks_json_end_array(&f.w), TKS_OK);
    CHECK_STATUS(tks_json_write_name(&f.w, TKS_LITERAL("\xff")), TKS_ERR_DATA);
    CHECK_CONTAINS(f.err.message, "data.user has a name that is not valid UTF-8");
    f.err = (tks_error)TKS_ERROR_INIT;
    CHECK_STATUS(tks_json_write_name(&f.w, TKS_LITERAL("\0")), TKS_ERR_DATA);
    CHECK_CONTAINS(f.err.message, "data.user has a name that contains U+0000");
    tear_down(&f);
}

TEST(json_writer_bounds_depth) {
    fixture f;
    set_up(&f);
    for (int i = 0; i < TKS_JSON_DEPTH; i++) CHECK_STATUS(tks_json_begin_array(&f.w), TKS_OK);
    CHECK_STATUS(tks_json_write_null(&f.w), TKS_OK);
    CHECK_STATUS(tks_json_begin_object(&f.w), TKS_ERR_DATA);
    CHECK_TEXT(f.err.message,
               "data[0][0]...[0][0][0][1] is nested deeper than 32 levels: flatten it");
    tear_down(&f);
}

TEST(json_writer_bounds_size) {
    static const char text[] = "[\"abc\",10,{\"d\":null}]";
    tks_json *tree = NULL;

    CHECK_STATUS(tks_json_parse(test_bytes(text), 100, &tree, NULL), TKS_OK);
    for (size_t max = 0; max <= sizeof text; max++) {
        fixture f;
        bool fits = max >= sizeof text - 1;
        set_up_limited(&f, max);
        test_context("%zu bytes", max);
        CHECK_STATUS(tks_json_write_tree(&f.w, tree), fits ? TKS_OK : TKS_ERR_DATA);
        CHECK(f.out.size <= max);
        if (!fits) CHECK_CONTAINS(f.err.message, "raise max_data_size");
        tear_down(&f);
        /* The buffer's own maximum is a limit too. */
        set_up(&f);
        f.out.max = max;
        CHECK_STATUS(tks_json_write_tree(&f.w, tree), fits ? TKS_OK : TKS_ERR_DATA);
        CHECK(fits || f.err.message[0] != '\0');
        tear_down(&f);
    }
    tks_json_free(tree);
}

TEST(json_writer_counts_escapes_against_the_size) {
    fixture f;
    set_up_limited(&f, 8);
    CHECK_STATUS(tks_json_write_string(&f.w, TKS_LITERAL("\x01")), TKS_OK);
    tear_down(&f);
    set_up_limited(&f, 7);
    CHECK_STATUS(tks_json_write_string(&f.w, TKS_LITERAL("\x01")), TKS_ERR_DATA);
    tear_down(&f);
}

TEST(json_writer_lets_the_host_refuse) {
    fixture f;
    set_up(&f);
    CHECK_STATUS(tks_json_refuse(&f.w, "is a set: use a list"), TKS_ERR_DATA);
    CHECK_TEXT(f.err.message, "data is a set: use a list");
    f.err = (tks_error)TKS_ERROR_INIT;
    begin_items(&f);
    CHECK_STATUS(tks_json_refuse(&f.w, "is a set: use a list"), TKS_ERR_DATA);
    CHECK_TEXT(f.err.message, "data.user.items[3] is a set: use a list");
    f.err = (tks_error)TKS_ERROR_INIT;
    tks_json_end_array(&f.w);
    CHECK_STATUS(tks_json_refuse(&f.w, "has a key that is not a string"), TKS_ERR_DATA);
    CHECK_TEXT(f.err.message, "data.user has a key that is not a string");
    f.err = (tks_error)TKS_ERROR_INIT;
    tks_json_write_name(&f.w, TKS_LITERAL("born"));
    CHECK_STATUS(tks_json_refuse(&f.w, "is a date: use text"), TKS_ERR_DATA);
    CHECK_TEXT(f.err.message, "data.user.born is a date: use text");
    /* The first error wins; `err` may be NULL. */
    CHECK_STATUS(tks_json_refuse(&f.w, "is another"), TKS_ERR_DATA);
    CHECK_TEXT(f.err.message, "data.user.born is a date: use text");
    f.w.err = NULL;
    CHECK_STATUS(tks_json_refuse(&f.w, "is a third"), TKS_ERR_DATA);
    tear_down(&f);
}

TEST(json_writer_paths_are_cut_sensibly) {
    static const char euros[] =
        "-\xe2\x82\xac\xe2\x82\xac\xe2\x82\xac\xe2\x82\xac\xe2\x82\xac"
        "\xe2\x82\xac\xe2\x82\xac\xe2\x82\xac\xe2\x82\xac";
    fixture f;

    set_up(&f); /* a long name, cut between characters; control characters are not shown */
    tks_json_begin_object(&f.w);
    tks_json_write_name(&f.w, test_bytes(euros));
    tks_json_refuse(&f.w, "is bad");
    CHECK_TEXT(f.err.message,
               "data.-\xe2\x82\xac\xe2\x82\xac\xe2\x82\xac\xe2\x82\xac\xe2\x82\xac"
               "\xe2\x82\xac\xe2\x82\xac... is bad");
    tear_down(&f);
    set_up(&f);
    tks_json_begin_object(&f.w);
    tks_json_write_name(&f.w, TKS_LITERAL("a\n\x1b\x7f"
                                          "b"));
    tks_json_refuse(&f.w, "is bad");
    CHECK_TEXT(f.err.message, "data.a???b is bad");
    tear_down(&f);

    set_up(&f); /* with the deepest nesting and the longest names the problem is still readable */
    for (int i = 0; i < TKS_JSON_DEPTH; i++) {
        tks_json_begin_object(&f.w);
        tks_json_write_name(&f.w, TKS_LITERAL("a name that is far longer than any that one meets"));
    }
    CHECK_STATUS(tks_json_write_double(&f.w, NAN), TKS_ERR_DATA);
    CHECK_CONTAINS(f.err.message, " is NaN: use null or a finite number");
    CHECK_CONTAINS(f.err.message, "data.a name that is far longe....");
    tear_down(&f);
}

TEST(json_writer_refuses_misuse) {
    fixture f;
    set_up(&f);
    CHECK_STATUS(tks_json_write_name(&f.w, TKS_LITERAL("a")), TKS_ERR_DATA);
    CHECK_STATUS(tks_json_end_object(&f.w), TKS_ERR_DATA);
    CHECK_STATUS(tks_json_begin_object(&f.w), TKS_OK);
    CHECK_STATUS(tks_json_write_null(&f.w), TKS_ERR_DATA);
    CHECK_STATUS(tks_json_begin_array(&f.w), TKS_ERR_DATA);
    CHECK_STATUS(tks_json_end_array(&f.w), TKS_ERR_DATA);
    CHECK_STATUS(tks_json_write_name(&f.w, TKS_LITERAL("a")), TKS_OK);
    CHECK_STATUS(tks_json_write_name(&f.w, TKS_LITERAL("b")), TKS_ERR_DATA);
    CHECK_STATUS(tks_json_end_object(&f.w), TKS_ERR_DATA);
    CHECK_STATUS(tks_json_begin_array(&f.w), TKS_OK);
    CHECK_STATUS(tks_json_write_name(&f.w, TKS_LITERAL("b")), TKS_ERR_DATA);
    CHECK_STATUS(tks_json_end_object(&f.w), TKS_ERR_DATA);
    CHECK_STATUS(tks_json_end_array(&f.w), TKS_OK);
    CHECK_STATUS(tks_json_end_object(&f.w), TKS_OK);
    CHECK_STATUS(tks_json_write_null(&f.w), TKS_ERR_DATA); /* a second value */
    CHECK_STATUS(tks_json_begin_array(&f.w), TKS_ERR_DATA);
    CHECK_BYTES(tks_buf_bytes(&f.out), TKS_LITERAL("{\"a\":[]}"));
    tear_down(&f);
}
