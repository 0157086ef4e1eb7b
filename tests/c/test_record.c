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
    CHECK_STATUS(read(&f, TKS_LITERAL("[\"GCiQYICJAabcd\",\"bob\",{\"a\":[1]}]")), TKS_OK);
    CHECK_INT(f.record.created_us, 1700000000123456);
    CHECK_BYTES(f.record.check, TKS_LITERAL("abcd"));
    CHECK_BYTES(f.record.owner, TKS_LITERAL("bob"));
    CHECK_BYTES(f.record.data, TKS_LITERAL("{\"a\":[1]}"));
    CHECK_INT(f.record.tag.size, 0);
    tksp_arena_clear(&f.arena);

    CHECK_STATUS(read(&f, TKS_LITERAL("[\"AAAAAAAAA----\",\"b\",{},\"0f3\"]")), TKS_OK);
    CHECK_INT(f.record.created_us, 0);
    CHECK_BYTES(f.record.data, TKS_LITERAL("{}"));
    CHECK_BYTES(f.record.tag, TKS_LITERAL("0f3"));
    tksp_arena_clear(&f.arena);

    /* Data that looks like a record's end. */
    CHECK_STATUS(read(&f, TKS_LITERAL("[\"_________abcd\",\"b\",{\"x\":\"},\\\"abc\\\"]\"}]")),
                 TKS_OK);
    CHECK_INT(f.record.created_us, (INT64_C(1) << 54) - 1);
    CHECK_BYTES(f.record.data, TKS_LITERAL("{\"x\":\"},\\\"abc\\\"]\"}"));
    CHECK_INT(f.record.tag.size, 0);
    tksp_arena_clear(&f.arena);
}

TEST(record_owners_survive_writing_and_reading) {
    char all[255];
    const tks_bytes owners[] = {TKS_LITERAL("bob"),
                                TKS_LITERAL("\""),
                                TKS_LITERAL("\\"),
                                TKS_LITERAL("\\\"\\\\"),
                                TKS_LITERAL("\n\r\t\b\f\x01\x1f"),
                                TKS_LITERAL("\xff\xfe"),
                                TKS_LITERAL("\",{},\"abc\"]"),
                                tks_bytes_of(all, sizeof all)};
    for (size_t i = 0; i < sizeof all; i++) all[i] = (char)(i + 1);
    for (size_t i = 0; i < sizeof owners / sizeof owners[0]; i++) {
        for (int tagged = 0; tagged < 2; tagged++) {
            fixture f;
            tks_buf text;
            tks_buf_init(&text, 4096);
            test_context("owner %zu", i);
            tks_buf_append_bytes(&text, TKS_LITERAL("[\"GCiQYICJAabcd\","));
            CHECK_STATUS(tksp_record_write_tail(&text, owners[i], TKS_LITERAL("{\"k\":\"v\"}"),
                                                tagged ? "3e8" : NULL),
                         TKS_OK);
            CHECK_STATUS(read(&f, tks_buf_bytes(&text)), TKS_OK);
            CHECK_BYTES(f.record.owner, owners[i]);
            CHECK_BYTES(f.record.data, TKS_LITERAL("{\"k\":\"v\"}"));
            CHECK_INT(f.record.tag.size, tagged ? 3 : 0);
            tksp_arena_clear(&f.arena);
            tks_buf_clear(&text);
        }
    }
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
        "[",
        "{}",
        "null",
        "[]",
        "{\"owner\":\"bob\",\"data\":{}}",
        "[\"GCiQYICJAabcd\",\"bob\"]",
        "[\"GCiQYICJAabcd\",\"bob\";{}]",
        "[\"GCiQYICJAabcd\",\"bob\",[]]",
        "[\"GCiQYICJAabcd\",\"bob\",{}",
        "[\"GCiQYICJAabcd\",\"bob\",{}}",
        "[\"GCiQYICJAabcd\",\"\",{}]",
        "[\"GCiQYICJ*abcd\",\"bob\",{}]",
        "[\"GCiQYICJAabc\",\"bob\",{}]",
        "[\"GCiQYICJAabcde\",\"bob\",{}]",
        "[\"GCiQYICJAabcd\",\"b\\qb\",{}]",
        "[\"GCiQYICJAabcd\",\"b\\u12\",{}]",
        "[\"GCiQYICJAabcd\",\"b\\u00G1\",{}]",
        "[\"GCiQYICJAabcd\",\"b\\u0000\",{}]",
        "[\"GCiQYICJAabcd\",\"bob\\",
        "[\"GCiQYICJAabcd\",\"bob\",{},\"abcd\"]",
        "[\"GCiQYICJAabcd\",\"bob\",{},\"ab\"]",
        "[\"GCiQYICJAabcd\",\"bob\",{},abc]",
        "[\"GCiQYICJAabcd\", \"bob\",{}]",
    };
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        test_context("%s", texts[i]);
        CHECK(!is_record(test_bytes(texts[i])));
    }
}

TEST(record_refuses_a_raw_NUL) {
    CHECK(!is_record(TKS_LITERAL("[\"GCiQYICJAabcd\",\"b\0b\",{}]")));
    CHECK(
        is_record(TKS_LITERAL("[\"GCiQYICJAabcd\",\"b\x01"
                              "b\",{}]")));
}

TEST(record_cut_anywhere_is_no_record) {
    static const char text[] = "[\"GCiQYICJAabcd\",\"b\\u0022b\",{\"a\":{\"b\":1}},\"abc\"]";
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
