/* test_resp.c - commands out, replies in, however they are cut. */
#include <stdio.h>
#include <stdlib.h>

#include "test.h"
#include "tokenstore/resp.h"

TEST(resp_formats_any_bytes) {
    const tks_bytes words[] = {TKS_LITERAL("SET"), TKS_LITERAL("k\0\r\n"), tks_bytes_of(NULL, 0)};
    tks_bytes many[40];
    tks_buf out;

    tks_buf_init(&out, 4096);
    CHECK_STATUS(tks_resp_format(&out, 3, words), TKS_OK);
    CHECK_BYTES(tks_buf_bytes(&out), TKS_LITERAL("*3\r\n$3\r\nSET\r\n$4\r\nk\0\r\n\r\n$0\r\n\r\n"));
    tks_buf_reset(&out);
    for (size_t i = 0; i < 40; i++) many[i] = TKS_LITERAL("x");
    CHECK_STATUS(tks_resp_format(&out, 40, many), TKS_OK);
    CHECK_INT(out.size, 5 + 40 * 7);
    CHECK(memcmp(out.data, "*40\r\n$1\r\nx\r\n", 12) == 0);
    tks_buf_clear(&out);
    tks_buf_init(&out, 10);
    CHECK_STATUS(tks_resp_format(&out, 3, words), TKS_ERR_DATA);
    tks_buf_clear(&out);
}

TEST(resp_formats_any_length) {
    static const struct {
        size_t size;
        const char *head;
    } cases[] = {{0, "$0"},   {1, "$1"},     {9, "$9"},     {10, "$10"},
                 {99, "$99"}, {100, "$100"}, {999, "$999"}, {65536, "$65536"}};
    char *bytes = malloc(65536);
    memset(bytes, 'x', 65536);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        tks_bytes word = tks_bytes_of(bytes, cases[i].size);
        size_t head = 4 + strlen(cases[i].head) + 2;
        tks_buf out;
        test_context("%zu bytes", word.size);
        tks_buf_init(&out, 100000);
        CHECK_STATUS(tks_resp_format(&out, 1, &word), TKS_OK);
        CHECK_INT(out.size, head + word.size + 2);
        CHECK(memcmp(out.data, "*1\r\n", 4) == 0);
        CHECK(memcmp(out.data + 4, cases[i].head, head - 6) == 0);
        CHECK(memcmp(out.data + head - 2, "\r\n", 2) == 0);
        CHECK(memcmp(out.data + out.size - 2, "\r\n", 2) == 0);
        tks_buf_clear(&out);
    }
    free(bytes);
}

/* A reply in a form that can be compared: `(nil) +OK -ERR :1 $text [ … ]`. */
static void describe(const tks_reply *reply, tks_buf *out) {
    switch (tks_reply_get_type(reply)) {
    case TKS_REPLY_NIL: tks_buf_append_bytes(out, TKS_LITERAL("(nil)")); break;
    case TKS_REPLY_STATUS:
        tks_buf_append_char(out, '+');
        tks_buf_append_bytes(out, tks_reply_get_bytes(reply));
        break;
    case TKS_REPLY_ERROR:
        tks_buf_append_char(out, '-');
        tks_buf_append_bytes(out, tks_reply_get_bytes(reply));
        break;
    case TKS_REPLY_INTEGER:
        tks_buf_append_char(out, ':');
        tks_buf_append_int(out, tks_reply_get_integer(reply));
        break;
    case TKS_REPLY_STRING:
        tks_buf_append_char(out, '$');
        tks_buf_append_bytes(out, tks_reply_get_bytes(reply));
        break;
    case TKS_REPLY_ARRAY:
        tks_buf_append_char(out, '[');
        for (size_t i = 0; i < tks_reply_get_size(reply); i++)
            describe(tks_reply_get_item(reply, i), out);
        tks_buf_append_char(out, ']');
        break;
    }
    tks_buf_append_char(out, ' ');
}

static const char stream[] =
    "+OK\r\n-ERR no\r\n:-9223372036854775808\r\n$-1\r\n$0\r\n\r\n"
    "$6\r\na\r\n\0bc\r\n*0\r\n*-1\r\n"
    "*3\r\n:1\r\n*2\r\n$1\r\nx\r\n$-1\r\n+\r\n";
static const char described[] =
    "+OK -ERR no :-9223372036854775808 (nil) $ $a\r\n\0bc [] (nil) "
    "[:1 [$x (nil) ] + ] ";

/* Feeds `stream` in pieces, the first of `first` bytes, the others of `size`. */
static void feed_in_pieces(size_t first, size_t size) {
    tks_reader *reader = NULL;
    tks_buf text;
    size_t at = 0;

    tks_buf_init(&text, 4096);
    test_context("%zu bytes, then %zu at a time", first, size);
    CHECK_STATUS(tks_reader_new(4096, &reader, NULL), TKS_OK);
    CHECK(tks_reader_is_idle(reader));
    while (at < sizeof stream - 1) {
        size_t piece = at == 0 ? first : size;
        tks_reply *reply = NULL;
        if (piece > sizeof stream - 1 - at) piece = sizeof stream - 1 - at;
        CHECK_STATUS(tks_reader_feed(reader, stream + at, piece, NULL), TKS_OK);
        at += piece;
        for (;;) {
            CHECK_STATUS(tks_reader_next(reader, &reply, NULL), TKS_OK);
            if (reply == NULL) break;
            describe(reply, &text);
            tks_reply_free(reply);
        }
    }
    CHECK_BYTES(tks_buf_bytes(&text), tks_bytes_of(described, sizeof described - 1));
    CHECK(tks_reader_is_idle(reader));
    tks_reader_free(reader);
    tks_buf_clear(&text);
}

TEST(resp_replies_do_not_depend_on_how_they_are_cut) {
    for (size_t first = 1; first < sizeof stream; first++) {
        feed_in_pieces(first, sizeof stream);
        feed_in_pieces(first, 1);
        feed_in_pieces(first, 7);
    }
}

TEST(resp_half_a_reply_is_not_idle) {
    static const char text[] = "*2\r\n$3\r\nabc\r\n:1\r\n";
    for (size_t size = 1; size < sizeof text - 1; size++) {
        tks_reader *reader = NULL;
        tks_reply *reply = NULL;
        test_context("%zu bytes", size);
        tks_reader_new(100, &reader, NULL);
        CHECK_STATUS(tks_reader_feed(reader, text, size, NULL), TKS_OK);
        CHECK(!tks_reader_is_idle(reader));
        CHECK_STATUS(tks_reader_next(reader, &reply, NULL), TKS_OK);
        CHECK(reply == NULL);
        CHECK(!tks_reader_is_idle(reader));
        tks_reader_free(reader);
    }
}

TEST(resp_a_second_reply_is_not_idle) {
    tks_reader *reader = NULL;
    tks_reply *reply = NULL;
    tks_reader_new(100, &reader, NULL);
    tks_reader_feed(reader, "+OK\r\n+TWICE\r\n", 13, NULL);
    CHECK_STATUS(tks_reader_next(reader, &reply, NULL), TKS_OK);
    CHECK(reply != NULL && !tks_reader_is_idle(reader));
    tks_reply_free(reply);
    CHECK_STATUS(tks_reader_next(reader, &reply, NULL), TKS_OK);
    CHECK(reply != NULL && tks_reader_is_idle(reader));
    tks_reply_free(reply);
    tks_reader_free(reader);
}

/* What the reader says to `text`; a failure must stick. */
static tks_status judge(tks_bytes text, size_t max) {
    tks_reader *reader = NULL;
    tks_reply *reply = NULL;
    tks_error err = TKS_ERROR_INIT;
    tks_status status;

    CHECK_STATUS(tks_reader_new(max, &reader, NULL), TKS_OK);
    status = tks_reader_feed(reader, text.data, text.size, &err);
    while (status == TKS_OK) {
        status = tks_reader_next(reader, &reply, &err);
        if (reply == NULL) break;
        tks_reply_free(reply);
    }
    CHECK_STATUS(err.status, status);
    if (status != TKS_OK) {
        CHECK(strstr(err.message, "hunter2") == NULL);
        CHECK(!tks_reader_is_idle(reader));
        CHECK(tks_reader_feed(reader, "+OK\r\n", 5, NULL) != TKS_OK);
        CHECK(tks_reader_next(reader, &reply, NULL) != TKS_OK);
        CHECK(reply == NULL);
    }
    tks_reader_free(reader);
    return status;
}

TEST(resp_garbage_is_a_connection_error) {
    static const char *const texts[] = {"hunter2\r\n",
                                        "HTTP/1.1 400 Bad Request\r\n",
                                        "\x15\x03\x01\r\n",
                                        "$x\r\n",
                                        "*x\r\n",
                                        ":1x\r\n",
                                        "$-2\r\n",
                                        "*-2\r\n",
                                        "$5\r\nabcdexx\r\n",
                                        "*1\r\nhunter2\r\n"};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        test_context("%s", texts[i]);
        CHECK_STATUS(judge(test_bytes(texts[i]), 1000), TKS_ERR_CONNECTION);
    }
}

TEST(resp_huge_lengths_are_refused_before_they_cost) {
    static const char *const texts[] = {"*1073741824\r\n",
                                        "*2147483647\r\n",
                                        "*4294967296\r\n",
                                        "*9223372036854775807\r\n",
                                        "*1\r\n*1073741824\r\n",
                                        "*200000\r\n*200000\r\n",
                                        "$1048576\r\n",
                                        "$1073741824\r\n",
                                        "$9223372036854775807\r\n",
                                        "*2\r\n:1\r\n$1073741824\r\nab"};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        test_context("%s", texts[i]);
        CHECK_STATUS(judge(test_bytes(texts[i]), 1 << 20), TKS_ERR_CONNECTION);
    }
}

/* Each is refused as soon as its last byte is there, and not before. */
TEST(resp_a_reply_over_the_maximum_is_refused) {
    static const struct {
        const char *text;
        size_t max;
    } cases[] = {{"$2000\r\n", 2008},
                 {"$10\r\n", 16},
                 {"$0\r\n", 5},
                 {"+2000", 4},
                 {":12345", 5},
                 {"*2\r\n$5\r\nabcde\r\n$6\r\n", 26},
                 {"*2\r\n*1\r\n+OK\r\n$5\r\n", 23}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        size_t size = strlen(cases[i].text);
        test_context("%s, %zu", cases[i].text, cases[i].max);
        CHECK_STATUS(judge(tks_bytes_of(cases[i].text, size), cases[i].max), TKS_ERR_CONNECTION);
        CHECK_STATUS(judge(tks_bytes_of(cases[i].text, size), cases[i].max + 1), TKS_OK);
        CHECK_STATUS(judge(tks_bytes_of(cases[i].text, size - 1), cases[i].max), TKS_OK);
    }
    /* No length: a line that goes on. */
    CHECK_STATUS(judge(TKS_LITERAL("+20\rx"), 10), TKS_OK);
}

TEST(resp_a_whole_reply_over_the_maximum_is_refused) {
    static const char *const texts[] = {"$5\r\nabcde\r\n", "+OK\r\n", ":1\r\n", "$-1\r\n",
                                        "*2\r\n$1\r\nx\r\n*1\r\n:7\r\n"};
    char text[3000];
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        tks_bytes whole = test_bytes(texts[i]);
        test_context("%s", texts[i]);
        CHECK_STATUS(judge(whole, whole.size), TKS_OK);
        CHECK_STATUS(judge(whole, whole.size - 1), TKS_ERR_CONNECTION);
    }
    /* Many small replies are not a large one. */
    test_context("many");
    for (size_t i = 0; i < sizeof text; i += 5) memcpy(text + i, "+OK\r\n", 5);
    CHECK_STATUS(judge(tks_bytes_of(text, sizeof text), 5), TKS_OK);
}

TEST(resp_deep_nesting_does_not_crash) {
    tks_buf text;
    tks_buf_init(&text, 1 << 20);
    for (int depth = 1; depth < 40; depth++) {
        tks_buf_reset(&text);
        for (int i = 0; i < depth; i++) tks_buf_append(&text, "*1\r\n", 4);
        tks_buf_append(&text, ":1\r\n", 4);
        tks_status status = judge(tks_buf_bytes(&text), 1000);
        CHECK(status == TKS_OK || (depth > 6 && status == TKS_ERR_CONNECTION));
    }
    tks_buf_clear(&text);
}

TEST(resp_error_words) {
    static const struct {
        const char *reply, *word;
        bool is;
    } cases[] = {
        {"-NOSCRIPT No matching\r\n", "NOSCRIPT", true}, {"-NOSCRIPT\r\n", "NOSCRIPT", true},
        {"-NOSCRIPTS x\r\n", "NOSCRIPT", false},         {"-NO\r\n", "NOSCRIPT", false},
        {"+NOSCRIPT x\r\n", "NOSCRIPT", false},          {"-ERR NOSCRIPT\r\n", "NOSCRIPT", false}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        tks_reader *reader = NULL;
        tks_reply *reply = NULL;
        test_context("%s", cases[i].reply);
        tks_reader_new(1000, &reader, NULL);
        tks_reader_feed(reader, cases[i].reply, strlen(cases[i].reply), NULL);
        tks_reader_next(reader, &reply, NULL);
        if (CHECK(reply != NULL)) CHECK_INT(tks_reply_is_error(reply, cases[i].word), cases[i].is);
        tks_reply_free(reply);
        tks_reader_free(reader);
    }
    tks_reply_free(NULL);
    tks_reader_free(NULL);
}

#define CALL "ERR Error running script (call to f_6b1bf486c81ceb7edf3c093f4c48582e38c0e791): "

/* As Redis 6.2 says it, and as little else as can be. */
TEST(resp_errors_within_a_script) {
    static const struct {
        const char *text, *innermost, *word;
    } cases[] = {
        {CALL
         "@user_script:1: @user_script: 1: -READONLY You can't write against a read only replica.",
         "READONLY You can't write against a read only replica.", "READONLY"},
        {CALL "@user_script:12: @user_script: 12: -OOM command not allowed when used memory > "
              "'maxmemory'.",
         "OOM command not allowed when used memory > 'maxmemory'.", "OOM"},
        {CALL "@user_script:3: WRONGTYPE Operation against a key holding the wrong kind of value",
         "WRONGTYPE Operation against a key holding the wrong kind of value", "WRONGTYPE"},
        {"@user_script: 1: -NOREPLICAS Not enough good replicas to write.",
         "NOREPLICAS Not enough good replicas to write.", "NOREPLICAS"},
        {CALL "@user_script:1: MISCONF", "MISCONF", "MISCONF"},
        {CALL "@user_script:1: user_script:1: the script said READONLY", NULL, "ERR"},
        {CALL "@user_script:1: -", NULL, "ERR"},
        {CALL "@user_script:x: READONLY y", NULL, "ERR"},
        {CALL, NULL, "ERR"},
        {"ERR Error running script (call to f_6b1b", NULL, "ERR"},
        {"ERR no: @user_script:1: READONLY", NULL, "ERR"},
        {"READONLY You can't write. script: 6b1b, on @user_script:1.", NULL, "READONLY"},
        {"-READONLY x", NULL, "ERR"},
        {"my own words", NULL, "ERR"},
        {"Oops", NULL, "ERR"},
        {"", NULL, "ERR"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        tks_bytes text = test_bytes(cases[i].text);
        test_context("%s", cases[i].text);
        CHECK_BYTES(tks_resp_innermost_error(text),
                    cases[i].innermost != NULL ? test_bytes(cases[i].innermost) : text);
        CHECK_BYTES(tks_resp_error_word(text), test_bytes(cases[i].word));
    }
}

TEST(resp_the_word_in_a_message) {
    static const char *const cases[][2] = {
        {"redis://H:1/0: AUTH refused: WRONGPASS invalid username-password pair", "WRONGPASS"},
        {"redis://h:1/0: SELECT refused: ERR DB index is out of range", "ERR"},
        {"CLIENT SETNAME refused: NOPERM this user has no permissions", "NOPERM"},
        {"AUTH refused: an error that cannot be shown because it holds the password", "ERR"},
        {"the server answered: NOPERM No permissions", "NOPERM"},
        {"the server answered: MYERR access refused: NO", "MYERR"},
        {"the server answered: " CALL "@user_script:1: OOM x", "OOM"},
        {"WRONGTYPE Operation", "WRONGTYPE"},
        {"MYERR access refused: NO", "MYERR"},
        {"anything", "ERR"},
        {"", "ERR"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        test_context("%s", cases[i][0]);
        CHECK_BYTES(tks_resp_quoted_word(test_bytes(cases[i][0])), test_bytes(cases[i][1]));
    }
}

TEST(resp_how_a_full_server_says_so) {
    static const struct {
        const char *reply;
        bool is;
    } cases[] = {{"-ERR max number of clients reached\r\n", true},
                 {"-ERR max number of clients + cluster connections reached\r\n", true},
                 {"+ERR max number of clients reached\r\n", false},
                 {"-ERR max number\r\n", false},
                 {"-LOADING max number of clients\r\n", false}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        tks_reader *reader = NULL;
        tks_reply *reply = NULL;
        test_context("%s", cases[i].reply);
        tks_reader_new(1000, &reader, NULL);
        tks_reader_feed(reader, cases[i].reply, strlen(cases[i].reply), NULL);
        tks_reader_next(reader, &reply, NULL);
        if (CHECK(reply != NULL)) CHECK_INT(tks_reply_is_refusal(reply), cases[i].is);
        tks_reply_free(reply);
        tks_reader_free(reader);
    }
}
