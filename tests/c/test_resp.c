/* test_resp.c - formatting commands, and reading replies in any fragments. */
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

/* A reply in a comparable form: `(nil) +OK -ERR :1 $text [ … ]`. */
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
        for (size_t i = 0; i < tks_reply_get_size(reply); i++) {
            describe(tks_reply_get_item(reply, i), out);
        }
        tks_buf_append_char(out, ']');
        break;
    case TKS_REPLY_OVERSIZED: tks_buf_append_bytes(out, TKS_LITERAL("(oversized)")); break;
    }
    tks_buf_append_char(out, ' ');
}

/* Appends the results of a reader for `stream`, fed in pieces: the first of `first` bytes, the others of
 * `size`. */
static void read_in_pieces(tks_bytes stream, size_t max, size_t first, size_t size, tks_buf *out) {
    tks_reader *reader = NULL;
    size_t at = 0;
    test_context("%zu bytes, then %zu at a time, at most %zu", first, size, max);
    CHECK_STATUS(tks_reader_new(max, &reader, NULL), TKS_OK);
    CHECK(tks_reader_is_idle(reader));
    while (at < stream.size) {
        size_t piece = at == 0 ? first : size;
        tks_reply *reply = NULL;
        if (piece > stream.size - at) piece = stream.size - at;
        char *copy = malloc(piece); /* exact-size, for the sanitizer */
        memcpy(copy, stream.data + at, piece);
        CHECK_STATUS(tks_reader_feed(reader, copy, piece, NULL), TKS_OK);
        free(copy);
        at += piece;
        for (;;) {
            CHECK_STATUS(tks_reader_next(reader, &reply, NULL), TKS_OK);
            if (reply == NULL) break;
            describe(reply, out);
            tks_reply_free(reply);
        }
    }
    CHECK(tks_reader_is_idle(reader));
    CHECK_STATUS(tks_reader_check(reader, NULL), TKS_OK);
    tks_reader_free(reader);
}

static void check_in_all_pieces(tks_bytes stream, size_t max, tks_bytes described) {
    tks_buf text;
    tks_buf_init(&text, 1 << 16);
    for (size_t first = 1; first <= stream.size; first++) {
        const size_t sizes[] = {stream.size, 1, 2, 7};
        for (size_t i = 0; i < 4; i++) {
            tks_buf_reset(&text);
            read_in_pieces(stream, max, first, sizes[i], &text);
            CHECK_BYTES(tks_buf_bytes(&text), described);
        }
    }
    tks_buf_clear(&text);
}

TEST(resp_replies_do_not_depend_on_how_they_are_cut) {
    static const char stream[] =
        "+OK\r\n-ERR no\r\n:-9223372036854775808\r\n:+9223372036854775807\r\n$-1\r\n$0\r\n\r\n"
        "$6\r\na\r\n\0bc\r\n*0\r\n*-1\r\n+a\rb\nc\r\r\n"
        "*3\r\n:1\r\n*2\r\n$1\r\nx\r\n$-1\r\n+\r\n"
        "*4\r\n*0\r\n*1\r\n*1\r\n*0\r\n*2\r\n:1\r\n:2\r\n:3\r\n";
    static const char described[] =
        "+OK -ERR no :-9223372036854775808 :9223372036854775807 (nil) $ "
        "$a\r\n\0bc [] (nil) +a\rb\nc\r "
        "[:1 [$x (nil) ] + ] [[] [[[] ] ] [:1 :2 ] :3 ] ";
    check_in_all_pieces(tks_bytes_of(stream, sizeof stream - 1), 4096,
                        tks_bytes_of(described, sizeof described - 1));
}

/* Source: the "RESP protocol spec" on redis.io, the types that RESP3 added. */
TEST(resp_understands_the_kinds_of_resp3) {
    check_in_all_pieces(
        TKS_LITERAL("_\r\n#t\r\n#f\r\n,1.5e3\r\n(123456789012345678901\r\n!7\r\nERR a\nb\r\n"
                    "=8\r\ntxt:abcd\r\n%1\r\n+k\r\n:1\r\n~2\r\n_\r\n_\r\n>1\r\n$1\r\nx\r\n"
                    "*4\r\n+a\r\n$1\r\nx\r\n,1.5\r\n+b\nc\r\n"),
        4096,
        TKS_LITERAL("(nil) :1 :0 $1.5e3 $123456789012345678901 -ERR a\nb $abcd [+k :1 ] "
                    "[(nil) (nil) ] [$x ] [+a $x $1.5 +b\nc ] "));
}

/* The replies around an oversized one are intact, and it counts as one reply. */
TEST(resp_an_oversized_reply_is_skipped) {
    static const char *const texts[] = {
        "$65\r\n12345678901234567890123456789012345678901234567890123456789012345\r\n",
        "+12345678901234567890123456789012345678901234567890123456789012345\r\n",
        "-1234567890\n\r12345678901234567890123456789012345678901234567890\r56789012345\r\n",
        "*5\r\n:1\r\n:2\r\n*2\r\n*0\r\n+\r\n$0\r\n\r\n$-1\r\n", /* the items only */
        "*3\r\n*1\r\n*3\r\n:1\r\n*0\r\n_\r\n$2\r\n\r\n\r\n%1\r\n_\r\n,1\r\n",
        "*2\r\n$33\r\n123456789012345678901234567890123\r\n:1\r\n",
        "*2\r\n:1\r\n+123456789012345678901234567890123\r\n",
        "*2\r\n$1\r\nx\r\n*1\r\n*2\r\n*2\r\n:1\r\n:2\r\n+\r\n"};
    char text[400];
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        int size = snprintf(text, sizeof text, "+OK\r\n%s:7\r\n%s%s$1\r\nx\r\n", texts[i], texts[i],
                            texts[i]);
        check_in_all_pieces(tks_bytes_of(text, (size_t)size), 80,
                            TKS_LITERAL("+OK (oversized) :7 (oversized) (oversized) $x "));
    }
}

/* A reply of exactly the limit is read; with a limit one byte lower it is skipped. */
TEST(resp_what_a_reply_takes) {
    static const struct {
        const char *text;
        size_t takes;
        const char *described;
    } cases[] = {{":1\r\n", 16, ":1 "},
                 {"$-1\r\n", 16, "(nil) "},
                 {"$5\r\nabcde\r\n", 21, "$abcde "},
                 {"+abcde\r\n", 21, "+abcde "},
                 {"*0\r\n", 16, "[] "},
                 {"*2\r\n:1\r\n$2\r\nab\r\n", 50, "[:1 $ab ] "},
                 {"*2\r\n*1\r\n:1\r\n_\r\n", 64, "[[:1 ] (nil) ] "},
                 {"%1\r\n:1\r\n:2\r\n", 48, "[:1 :2 ] "}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        tks_bytes text = test_bytes(cases[i].text);
        check_in_all_pieces(text, cases[i].takes, test_bytes(cases[i].described));
        check_in_all_pieces(text, cases[i].takes - 1, TKS_LITERAL("(oversized) "));
    }
}

/* An announced length costs nothing, however large; the reader waits for the data. */
TEST(resp_huge_lengths_are_skipped_before_they_cost) {
    static const char *const texts[] = {"*1073741824\r\n",
                                        "*2147483647\r\n",
                                        "*4294967296\r\n",
                                        "*9223372036854775807\r\n",
                                        "%9223372036854775807\r\n",
                                        "*1\r\n*1073741824\r\n",
                                        "*40000\r\n*40000\r\n",
                                        "*9223372036854775807\r\n%9223372036854775807\r\n",
                                        "$1048576\r\n",
                                        "$1073741824\r\n",
                                        "$9223372036854775807\r\n",
                                        "*2\r\n:1\r\n$1073741824\r\nab"};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        tks_reader *reader = NULL;
        tks_reply *reply = NULL;
        tks_error err = TKS_ERROR_INIT;
        test_context("%s", texts[i]);
        CHECK_STATUS(tks_reader_new(1 << 20, &reader, NULL), TKS_OK);
        CHECK_STATUS(tks_reader_feed(reader, texts[i], strlen(texts[i]), NULL), TKS_OK);
        CHECK_STATUS(tks_reader_next(reader, &reply, NULL), TKS_OK);
        CHECK(reply == NULL && !tks_reader_is_idle(reader));
        CHECK_STATUS(tks_reader_check(reader, &err), TKS_ERR_LIMIT);
        CHECK(strstr(err.message, "max_reply_size (1048576 bytes)") != NULL);
        tks_reader_free(reader);
    }
}

static void append_nested(tks_buf *out, int depth) {
    for (int i = 0; i < depth; i++) tks_buf_append(out, "*1\r\n", 4);
    tks_buf_append(out, ":1\r\n", 4);
}

TEST(resp_deep_nesting) {
    tks_buf text, described;
    tks_buf_init(&text, 1 << 16);
    tks_buf_init(&described, 1 << 16);
    for (int depth = 1; depth < 40; depth++) {
        tks_buf_reset(&text);
        tks_buf_reset(&described);
        append_nested(&text, depth);
        tks_buf_append(&text, "+OK\r\n", 5);
        read_in_pieces(tks_buf_bytes(&text), 1000, 5, 3, &described);
        tks_bytes got = tks_buf_bytes(&described);
        CHECK(got.size > 4 && memcmp(got.data + got.size - 4, "+OK ", 4) == 0);
        CHECK_INT(got.data[0], depth <= (int)tks_reader_depth_max() ? '[' : '(');
    }
    tks_buf_clear(&text);
    tks_buf_clear(&described);
}

TEST(resp_an_oversized_reply_says_what_was_too_large) {
    static const struct {
        const char *text, *message;
    } cases[] = {{"$1000\r\n", "max_reply_size (999 bytes): request less"}, {NULL, "levels"}};
    tks_buf deep;
    tks_buf_init(&deep, 1 << 16);
    append_nested(&deep, 33);
    for (size_t i = 0; i < 2; i++) {
        tks_bytes text = cases[i].text != NULL ? test_bytes(cases[i].text) : tks_buf_bytes(&deep);
        char rest[1002], message[200];
        tks_reader *reader = NULL;
        tks_reply *reply = NULL;
        memset(rest, 'x', 1000);
        memcpy(rest + 1000, "\r\n", 2);
        CHECK_STATUS(tks_reader_new(999, &reader, NULL), TKS_OK);
        tks_reader_feed(reader, text.data, text.size, NULL);
        if (i == 0) tks_reader_feed(reader, rest, sizeof rest, NULL);
        CHECK_STATUS(tks_reader_next(reader, &reply, NULL), TKS_OK);
        if (CHECK(reply != NULL)) {
            CHECK_INT(tks_reply_get_type(reply), TKS_REPLY_OVERSIZED);
            CHECK(tks_reply_get_bytes(reply).size == 0 && tks_reply_get_item(reply, 0) == NULL);
            tks_reply_describe_error(reply, message, sizeof message);
            CHECK(strstr(message, cases[i].message) != NULL);
        }
        tks_reply_free(reply);
        tks_reader_free(reader);
    }
    tks_buf_clear(&deep);
}

TEST(resp_half_a_reply_is_not_idle) {
    static const char text[] = "*2\r\n$3\r\nabc\r\n:1\r\n";
    for (size_t size = 1; size < sizeof text - 1; size++) {
        tks_reader *reader = NULL;
        tks_reply *reply = NULL;
        test_context("%zu bytes", size);
        CHECK_STATUS(tks_reader_new(100, &reader, NULL), TKS_OK);
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
    CHECK_STATUS(tks_reader_new(100, &reader, NULL), TKS_OK);
    tks_reader_feed(reader, "+OK\r\n+TWICE\r\n", 13, NULL);
    CHECK_STATUS(tks_reader_next(reader, &reply, NULL), TKS_OK);
    CHECK(reply != NULL && !tks_reader_is_idle(reader));
    tks_reply_free(reply);
    CHECK_STATUS(tks_reader_next(reader, &reply, NULL), TKS_OK);
    CHECK(reply != NULL && tks_reader_is_idle(reader));
    tks_reply_free(reply);
    tks_reader_free(reader);
}

/* The status of the reader after `text`; a failure must be sticky. */
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
                                        ":\r\n",
                                        ":-\r\n",
                                        ":9223372036854775808\r\n",
                                        ":-9223372036854775809\r\n",
                                        ":0000000000000000000000000000000000001\r\n",
                                        "$00000000000000000000000000000000000",
                                        "*1\n\r\n",
                                        "\r\n",
                                        "\n",
                                        "_x\r\n",
                                        "#x\r\n",
                                        "%-1\r\n",
                                        "!-1\r\n",
                                        "=3\r\ntxt\r\n",
                                        "=4\r\ntxt;\r\n",
                                        "|1\r\n",
                                        "$?\r\n",
                                        "$-2\r\n",
                                        "*-2\r\n",
                                        "$5\r\nabcdexx\r\n",
                                        "$5\r\nabcde\rx",
                                        "*1\r\nhunter2\r\n"};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        test_context("%s", texts[i]);
        CHECK_STATUS(judge(test_bytes(texts[i]), 1000), TKS_ERR_CONNECTION);
    }
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
        if (!CHECK_STATUS(tks_reader_new(1000, &reader, NULL), TKS_OK)) return;
        tks_reader_feed(reader, cases[i].reply, strlen(cases[i].reply), NULL);
        CHECK_STATUS(tks_reader_next(reader, &reply, NULL), TKS_OK);
        if (CHECK(reply != NULL)) CHECK_INT(tks_reply_is_error(reply, cases[i].word), cases[i].is);
        tks_reply_free(reply);
        tks_reader_free(reader);
    }
    tks_reply_free(NULL);
    tks_reader_free(NULL);
}

#define CALL "ERR Error running script (call to f_6b1bf486c81ceb7edf3c093f4c48582e38c0e791): "

/* As Redis 6.2 sends it, and minimal variants. */
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
        {"AUTH refused: (error withheld: it contains the password)", "ERR"},
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

TEST(resp_how_a_server_refuses_a_connection) {
    static const struct {
        const char *reply;
        bool is;
    } cases[] = {{"-ERR max number of clients reached\r\n", true},
                 {"-ERR max number of clients + cluster connections reached\r\n", true},
                 {"+ERR max number of clients reached\r\n", false},
                 {"-ERR max number\r\n", false},
                 {"-DENIED Redis is running in protected mode\r\n", true},
                 {"-ERR DENIED\r\n", false},
                 {"-LOADING max number of clients\r\n", false}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        tks_reader *reader = NULL;
        tks_reply *reply = NULL;
        test_context("%s", cases[i].reply);
        CHECK_STATUS(tks_reader_new(1000, &reader, NULL), TKS_OK);
        tks_reader_feed(reader, cases[i].reply, strlen(cases[i].reply), NULL);
        CHECK_STATUS(tks_reader_next(reader, &reply, NULL), TKS_OK);
        if (CHECK(reply != NULL)) CHECK_INT(tks_reply_is_refusal(reply), cases[i].is);
        tks_reply_free(reply);
        tks_reader_free(reader);
    }
}
