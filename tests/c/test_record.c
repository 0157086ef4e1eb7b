/* test_record.c - the only valid form of a record; everything else is rejected. */
#include <stdlib.h>

#include "record.h"
#include "test.h"

typedef struct fixture {
    tksp_arena arena;
    tksp_record record;
    tks_error err;
} fixture;

static tks_status read(fixture *f, tks_bytes text) {
    *f = (fixture){.arena = TKS_ARENA_INIT, .err = TKS_ERROR_INIT};
    return tksp_record_read(text, &f->arena, &f->record, &f->err);
}

TEST(record_reads_its_parts) {
    fixture f;
    CHECK_STATUS(read(&f, TKS_LITERAL("GCiQYICJAabcd\"bob\"{\"a\":[1]}")), TKS_OK);
    CHECK_INT(f.record.created_us, 1700000000123456);
    CHECK_BYTES(f.record.check, TKS_LITERAL("abcd"));
    for (int i = 0; i < TKSP_TIMES; i++) CHECK_INT(f.record.times[i], 0);
    CHECK_BYTES(f.record.owner, TKS_LITERAL("bob"));
    CHECK_BYTES(f.record.data, TKS_LITERAL("{\"a\":[1]}"));
    CHECK_INT(f.record.family.size + f.record.address.size + f.record.agent.size, 0);
    tksp_arena_clear(&f.arena);

    CHECK_STATUS(read(&f, TKS_LITERAL("_________----eAAAAAABiAAAAABAuAAAAABBs______-"
                                      "fABCDEFGHIJKLMNOPQRSTUV\"b\"\"::1\"\"cu{l\"{}")),
                 TKS_OK);
    CHECK_INT(f.record.created_us, (INT64_C(1) << 54) - 1);
    CHECK_INT(f.record.times[TKSP_TIME_END], 1);
    CHECK_INT(f.record.times[TKSP_TIME_IDLE], 64);
    CHECK_INT(f.record.times[TKSP_TIME_UNTIL], 65);
    CHECK_INT(f.record.times[TKSP_TIME_SEEN], (INT64_C(1) << 42) - 2);
    CHECK_BYTES(f.record.family, TKS_LITERAL("ABCDEFGHIJKLMNOPQRSTUV"));
    CHECK_BYTES(f.record.address, TKS_LITERAL("::1"));
    CHECK_BYTES(f.record.agent, TKS_LITERAL("cu{l"));
    CHECK_BYTES(f.record.data, TKS_LITERAL("{}"));
    tksp_arena_clear(&f.arena);

    CHECK_STATUS(read(&f, TKS_LITERAL("AAAAAAAAA----{}")), TKS_OK); /* an anonymous token */
    CHECK_INT(f.record.owner.size, 0);
    tksp_arena_clear(&f.arena);
    CHECK_STATUS(read(&f, TKS_LITERAL("AAAAAAAAA----\"\"\"::1\"\"\"{}")),
                 TKS_OK); /* with a request */
    CHECK_INT(f.record.owner.size, 0);
    CHECK_BYTES(f.record.address, TKS_LITERAL("::1"));
    tksp_arena_clear(&f.arena);
}

static const tksp_record samples[] = {
    {.owner = {"b", 1}},
    {.owner = {"\"", 1}},
    {.owner = {"\\", 1}},
    {.owner = {"\\\"\\\\", 4}},
    {.owner = {"\n\r\t\b\f\x01\x1f", 7}},
    {.owner = {"\xff\xfe", 2}},
    {.owner = {"\"{}\"{", 5}},
    {.owner = {NULL, 0}},
    {.owner = {"bob", 3}, .address = {"10.0.0.1", 8}},
    {.owner = {"bob", 3}, .agent = {"a \"quoted\" one", 14}},
    {.address = {"::1", 3}, .agent = {"\xc3\xa9", 2}},
    {.owner = {"bob", 3}, .lasts = true},
    {.owner = {"bob", 3}, .lasts = true, .times = {0, 0, 0, 1}},
    {.owner = {"bob", 3}, .times = {1, 0, 0, 1700000000000}},
    {.owner = {"bob", 3}, .times = {0, 1800000, 1800000000000, 0}},
    {.owner = {"bob", 3}, .times = {1, 2, 3, 4}, .family = {"ABCDEFGHIJKLMNOPQRSTUV", 22}},
};

TEST(record_survives_writing_and_reading) {
    for (size_t i = 0; i < sizeof samples / sizeof *samples; i++) {
        tksp_record sample = samples[i];
        fixture f;
        tks_buf text;
        tks_buf_init(&text, 4096);
        test_context("record %zu", i);
        sample.created_us = 1700000000123456;
        sample.check = TKS_LITERAL("abcd");
        sample.data = TKS_LITERAL("{\"k\":\"\\\"}{\\\"\"}");
        CHECK_STATUS(tksp_record_write_head(&text, &sample), TKS_OK);
        CHECK_STATUS(tksp_record_write_tail(&text, &sample), TKS_OK);
        CHECK_STATUS(read(&f, tks_buf_bytes(&text)), TKS_OK);
        CHECK_INT(f.record.created_us, sample.created_us);
        CHECK_BYTES(f.record.check, sample.check);
        CHECK_INT(f.record.lasts, sample.lasts);
        for (int k = 0; k < TKSP_TIMES; k++) CHECK_INT(f.record.times[k], sample.times[k]);
        CHECK_BYTES(f.record.family, sample.family);
        CHECK_BYTES(f.record.owner, sample.owner);
        CHECK_BYTES(f.record.address, sample.address);
        CHECK_BYTES(f.record.agent, sample.agent);
        CHECK_BYTES(f.record.data, sample.data);
        tksp_arena_clear(&f.arena);
        tks_buf_clear(&text);
    }
}

TEST(record_owners_of_all_bytes_survive) {
    char all[255];
    fixture f;
    tks_buf text;
    tks_buf_init(&text, 4096);
    for (size_t i = 0; i < sizeof all; i++) all[i] = (char)(i + 1);
    tksp_record record = {.created_us = 1,
                          .check = TKS_LITERAL("abcd"),
                          .owner = {all, sizeof all},
                          .data = TKS_LITERAL("{}")};
    (void)tksp_record_write_head(&text, &record);
    CHECK_STATUS(tksp_record_write_tail(&text, &record), TKS_OK);
    CHECK_STATUS(read(&f, tks_buf_bytes(&text)), TKS_OK);
    CHECK_BYTES(f.record.owner, record.owner);
    tksp_arena_clear(&f.arena);
    tks_buf_clear(&text);
}

static bool is_record(tks_bytes text) {
    fixture f;
    char *copy = malloc(text.size + (text.size == 0)); /* exact, for the sanitizer */
    if (text.size > 0) memcpy(copy, text.data, text.size);
    bool taken = read(&f, tks_bytes_of(copy, text.size)) == TKS_OK;
    CHECK(taken == (f.err.status == TKS_OK));
    tksp_arena_clear(&f.arena);
    free(copy);
    return taken;
}

TEST(record_refuses_everything_else) {
    static const char *const texts[] = {
        "",
        "{}",
        "null",
        "[]",
        "{\"owner\":\"bob\",\"data\":{}}",
        "[\"GCiQYICJAabcd\",\"bob\",{}]",
        "GCiQYICJAabcd\"bob\"",
        "GCiQYICJAabcd\"bob\"[]",
        "GCiQYICJAabcd\"bob\"{",
        "GCiQYICJAabcd\"bob\"{} ",
        "GCiQYICJAabcd\"bob\" {}",
        "GCiQYICJAabcd\"bob\",{}",
        "GCiQYICJAabcd\"\"{}",
        "GCiQYICJAabcd\"bob\"\"x\"{}",
        "GCiQYICJAabcd\"bob\"\"x\"\"y\"\"z\"{}",
        "GCiQYICJ*abcd\"bob\"{}",
        "GCiQYICJAabc\"bob\"{}",
        "GCiQYICJAabcde\"bob\"{}",
        "GCiQYICJAabcdpeAAAAAAA\"bob\"{}",
        "GCiQYICJAabcdpp\"bob\"{}",
        "GCiQYICJAabcdeAAAAAA\"bob\"{}",
        "GCiQYICJAabcdeAAAAA*A\"bob\"{}",
        "GCiQYICJAabcdiAAAAAAAeAAAAAAA\"bob\"{}",
        "GCiQYICJAabcdfABCDEFGHIJKLMNOPQRSTU\"bob\"{}",
        "GCiQYICJAabcdfABCDEFGHIJKLMNOPQRSTU*\"bob\"{}",
        "GCiQYICJAabcd\"b\\qb\"{}",
        "GCiQYICJAabcd\"b\\u12\"{}",
        "GCiQYICJAabcd\"b\\u00G1\"{}",
        "GCiQYICJAabcd\"b\\u0000\"{}",
        "GCiQYICJAabcd\"bob\\",
    };
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        test_context("%s", texts[i]);
        CHECK(!is_record(test_bytes(texts[i])));
    }
}

TEST(record_refuses_a_raw_NUL) {
    CHECK(!is_record(TKS_LITERAL("GCiQYICJAabcd\"b\0b\"{}")));
    CHECK(
        is_record(TKS_LITERAL("GCiQYICJAabcd\"b\x01"
                              "b\"{}")));
}

TEST(record_cut_anywhere_is_no_record) {
    static const char text[] =
        "GCiQYICJAabcdeAAAAAABfABCDEFGHIJKLMNOPQRSTUV\"b\\u0022b\"\"a\"\"b\"{\"a\":[1,2]}";
    for (size_t size = 0; size < sizeof text - 1; size++) {
        test_context("%zu bytes", size);
        CHECK(!is_record(tks_bytes_of(text, size)));
    }
    CHECK(is_record(test_bytes(text)));
}

TEST(record_messages_hold_no_data) {
    fixture f;
    CHECK_STATUS(read(&f, TKS_LITERAL("{\"hunter2\":1}")), TKS_ERR_DATA);
    CHECK_STATUS(f.err.status, TKS_ERR_DATA);
    CHECK(strstr(f.err.message, "hunter2") == NULL);
    tksp_arena_clear(&f.arena);
}
