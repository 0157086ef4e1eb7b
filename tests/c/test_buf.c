/* test_buf.c - buffers, arenas and the status table. */
#include "arena.h"
#include "test.h"

TEST(buf_grows_up_to_its_maximum) {
    tks_buf buf;
    tks_buf_init(&buf, 1000);
    CHECK(buf.data == NULL);
    for (int i = 0; i < 1000; i++) {
        CHECK_STATUS(tks_buf_append_char(&buf, (char)('a' + i % 26)), TKS_OK);
    }
    CHECK_INT(buf.size, 1000);
    CHECK(buf.capacity <= 1000);
    CHECK_STATUS(tks_buf_append_char(&buf, 'x'), TKS_ERR_DATA);
    CHECK_INT(buf.size, 1000);
    CHECK_INT(buf.data[999], 'a' + 999 % 26);
    tks_buf_clear(&buf);
    CHECK_INT(buf.size, 0);
    CHECK_STATUS(tks_buf_append(&buf, "again", 5), TKS_OK);
    tks_buf_wipe(&buf);
    tks_buf_clear(NULL);
    tks_buf_wipe(NULL);
}

TEST(buf_errors_stick_until_reset) {
    tks_buf buf;
    char *at = NULL;
    tks_buf_init(&buf, 4);
    CHECK_STATUS(tks_buf_append(&buf, "abc", 3), TKS_OK);
    CHECK_STATUS(tks_buf_append(&buf, "de", 2), TKS_ERR_DATA);
    CHECK_STATUS(tks_buf_append(&buf, "d", 1), TKS_ERR_DATA); /* although it would fit */
    CHECK_STATUS(tks_buf_append(&buf, "", 0), TKS_ERR_DATA);
    CHECK_STATUS(tks_buf_reserve(&buf, 0, &at), TKS_ERR_DATA);
    CHECK(at == NULL);
    CHECK_BYTES(tks_buf_bytes(&buf), TKS_LITERAL("abc"));
    tks_buf_reset(&buf);
    CHECK_STATUS(tks_buf_append(&buf, "wxyz", 4), TKS_OK);
    CHECK_BYTES(tks_buf_bytes(&buf), TKS_LITERAL("wxyz"));
    tks_buf_clear(&buf);
}

TEST(buf_refuses_sizes_that_overflow) {
    tks_buf buf;
    char *at = NULL;
    tks_buf_init(&buf, SIZE_MAX);
    CHECK_STATUS(tks_buf_append(&buf, "abc", 3), TKS_OK);
    CHECK(tks_buf_reserve(&buf, SIZE_MAX - 1, &at) != TKS_OK);
    CHECK(at == NULL);
    tks_buf_clear(&buf);
}

TEST(buf_reserve_and_advance) {
    tks_buf buf;
    char *at = NULL;
    tks_buf_init(&buf, 100);
    CHECK_STATUS(tks_buf_reserve(&buf, 10, &at), TKS_OK);
    memcpy(at, "0123456789", 10);
    CHECK_INT(buf.size, 0);
    tks_buf_advance(&buf, 4);
    CHECK_BYTES(tks_buf_bytes(&buf), TKS_LITERAL("0123"));
    tks_buf_append_int(&buf, -45);
    tks_buf_append_int(&buf, 0);
    tks_buf_append_int(&buf, INT64_MAX);
    tks_buf_append_int(&buf, INT64_MIN);
    CHECK_BYTES(tks_buf_bytes(&buf),
                TKS_LITERAL("0123-4509223372036854775807-9223372036854775808"));
    tks_buf_consume(&buf, 4);
    CHECK_BYTES(tks_buf_bytes(&buf), TKS_LITERAL("-4509223372036854775807-9223372036854775808"));
    tks_buf_consume(&buf, 0);
    CHECK_INT(buf.size, 43);
    tks_buf_consume(&buf, 1000);
    CHECK_INT(buf.size, 0);
    CHECK_STATUS(tks_buf_append_bytes(&buf, tks_bytes_of(NULL, 0)), TKS_OK);
    tks_buf_clear(&buf);
}

TEST(bytes_compare) {
    CHECK(tks_bytes_equal(TKS_LITERAL("a\0b"), TKS_LITERAL("a\0b")));
    CHECK(!tks_bytes_equal(TKS_LITERAL("a\0b"), TKS_LITERAL("a\0c")));
    CHECK(!tks_bytes_equal(TKS_LITERAL("a"), TKS_LITERAL("ab")));
    CHECK(tks_bytes_equal(tks_bytes_of(NULL, 0), TKS_LITERAL("")));
}

TEST(arena_keeps_many_sizes_apart) {
    tksp_arena arena = TKS_ARENA_INIT;
    tks_bytes copies[200];
    char pattern[4000];

    for (size_t i = 0; i < 200; i++) {
        memset(pattern, (int)i, sizeof pattern);
        copies[i] = tksp_arena_dup(&arena, tks_bytes_of(pattern, i * 19));
        CHECK_INT((uintptr_t)copies[i].data % 16, 0);
    }
    for (size_t i = 0; i < 200; i++) {
        memset(pattern, (int)i, sizeof pattern);
        CHECK_BYTES(copies[i], tks_bytes_of(pattern, i * 19));
    }
    CHECK_STATUS(arena.status, TKS_OK);
    CHECK(tksp_arena_alloc(&arena, SIZE_MAX) == NULL);
    CHECK_STATUS(arena.status, TKS_ERR_MEMORY);
    CHECK(tksp_arena_alloc(&arena, 1) == NULL); /* sticky */
    tksp_arena_clear(&arena);
    CHECK_STATUS(arena.status, TKS_OK);
    tksp_arena_clear(&arena);
}

TEST(status_table_is_complete) {
    for (int i = 0; i < TKS_STATUS_COUNT; i++) {
        const char *code = tks_status_code((tks_status)i);
        CHECK(code[0] != '\0');
        CHECK(tks_status_text((tks_status)i)[0] != '\0');
        for (int j = 0; j < i; j++) CHECK(strcmp(code, tks_status_code((tks_status)j)) != 0);
    }
    CHECK(tks_status_code((tks_status)99) != NULL);
    CHECK(tks_status_text((tks_status)-1) != NULL);
}

TEST(status_first_error_wins_and_is_cut) {
    tks_error err = TKS_ERROR_INIT;
    char longer[2 * TKS_ERROR_SIZE];

    CHECK_STATUS(tks_fail(&err, TKS_ERR_DATA, "first %d", 1), TKS_ERR_DATA);
    CHECK_STATUS(tks_fail(&err, TKS_ERR_SERVER, "second"), TKS_ERR_SERVER);
    CHECK_STATUS(tks_fail_memory(&err), TKS_ERR_MEMORY);
    CHECK_STATUS(err.status, TKS_ERR_DATA);
    CHECK_TEXT(err.message, "first 1");
    CHECK_STATUS(tks_fail(NULL, TKS_ERR_CLOSED, "nobody listens"), TKS_ERR_CLOSED);

    memset(longer, 'x', sizeof longer - 1);
    longer[sizeof longer - 1] = '\0';
    err = (tks_error)TKS_ERROR_INIT;
    CHECK_STATUS(tks_fail(&err, TKS_ERR_DATA, "%s", longer), TKS_ERR_DATA);
    CHECK_INT(strlen(err.message), TKS_ERROR_SIZE - 1);
}
