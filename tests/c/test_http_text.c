/* test_http_text.c - forms, Basic credentials, header fields, media types, Retry-After. */
#include "http_text.h"
#include "test.h"
#include "tokenstore/secret.h"

static void check_encoded(tks_bytes text, const char *want) {
    tks_buf out;
    tks_buf_init(&out, 4096);
    CHECK_STATUS(tksp_http_form_encode(&out, text), TKS_OK);
    CHECK_BYTES(tks_buf_bytes(&out), test_bytes(want));
    tks_buf_clear(&out);
}

TEST(http_form_encodes_as_rfc_6749_says) {
    /* The example of appendix B: U+0020 U+0025 U+0026 U+002B U+00A3 U+20AC. */
    check_encoded(test_bytes(" %&+\xc2\xa3\xe2\x82\xac"), "%20%25%26%2B%C2%A3%E2%82%AC");
    check_encoded(test_bytes("AZaz09-._~"), "AZaz09-._~"); /* RFC 3986, 2.3 */
    check_encoded(test_bytes("*!'()"), "%2A%21%27%28%29");
    check_encoded(test_bytes("a:b/c?d=e"), "a%3Ab%2Fc%3Fd%3De");
    check_encoded(TKS_LITERAL("\0\n\x7f\xff"), "%00%0A%7F%FF");
    check_encoded(tks_bytes_of(NULL, 0), "");
}

TEST(http_form_fields_are_joined) {
    tks_buf out;
    tks_buf_init(&out, 64);
    CHECK_STATUS(tksp_http_form_field(&out, test_bytes("grant_type"), test_bytes("a b")), TKS_OK);
    CHECK_STATUS(tksp_http_form_field(&out, test_bytes("b&="), test_bytes("")), TKS_OK);
    CHECK_BYTES(tks_buf_bytes(&out), test_bytes("grant_type=a%20b&b%26%3D="));
    tks_buf_clear(&out);
    tks_buf_init(&out, 10);
    CHECK_STATUS(tksp_http_form_field(&out, test_bytes("name"), test_bytes("value")), TKS_OK);
    CHECK_STATUS(tksp_http_form_field(&out, test_bytes("x"), test_bytes("")), TKS_ERR_DATA);
    tks_buf_clear(&out);
}

static void check_basic(const char *id, const char *secret, bool raw, const char *want) {
    tks_buf out;
    tks_buf_init(&out, 4096);
    test_context("%s", id);
    CHECK_STATUS(tksp_http_basic(&out, test_bytes(id), test_bytes(secret), raw), TKS_OK);
    CHECK_BYTES(tks_buf_bytes(&out), test_bytes(want));
    tks_buf_wipe(&out);
    test_context("%s", "");
}

TEST(http_basic_credentials_are_form_encoded_first) {
    /* The example of RFC 6749, 2.3.1. */
    check_basic("s6BhdRkqt3", "7Fjfp0ZBr1KtDRbnfVdmIw", false,
                "Basic czZCaGRSa3F0Mzo3RmpmcDBaQnIxS3REUmJuZlZkbUl3");
    check_basic("a", "", false, "Basic YTo=");                          /* a: */
    check_basic("a", "b", false, "Basic YTpi");                         /* a:b */
    check_basic("a", "bc", false, "Basic YTpiYw==");                    /* a:bc */
    check_basic("a:b", "c d", false, "Basic YSUzQWI6YyUyMGQ=");         /* a%3Ab:c%20d */
    check_basic("\xc3\xa9", "/+", false, "Basic JUMzJUE5OiUyRiUyQg=="); /* %C3%A9:%2F%2B */
    check_basic("a~", "b %", true, "Basic YX46YiAl");                   /* a~:b % */
}

TEST(http_basic_keeps_within_its_buffer) {
    tks_buf out;
    for (size_t max = 0; max <= 14; max++) {
        tks_buf_init(&out, max);
        CHECK_STATUS(tksp_http_basic(&out, test_bytes("a"), test_bytes("bc"), false),
                     max < 14 ? TKS_ERR_DATA : TKS_OK);
        tks_buf_wipe(&out);
    }
}

TEST(http_header_names) {
    CHECK(tksp_http_is_header_name(test_bytes("Content-Type")));
    CHECK(tksp_http_is_header_name(test_bytes("x!#$%&'*+-.^_`|~09")));
    const char *wrong[] = {"",  " A",  "A ",        "A:",  "A\r", "A\n",
                           "(", "A,B", "A\xc3\xa9", "A=b", "\x7f"};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        test_context("%zu", i);
        CHECK(!tksp_http_is_header_name(test_bytes(wrong[i])));
    }
    test_context("%s", "");
    CHECK(!tksp_http_is_header_name(TKS_LITERAL("A\0B")));
    CHECK(tksp_http_name_is(test_bytes("content-TYPE"), "Content-Type"));
    CHECK(!tksp_http_name_is(test_bytes("content-typ"), "Content-Type"));
    CHECK(!tksp_http_name_is(test_bytes("content-types"), "Content-Type"));
    CHECK(!tksp_http_name_is(TKS_LITERAL("content-type\0"), "Content-Type"));
}

TEST(http_header_values_hold_no_control_character) {
    CHECK(tksp_http_is_header_value(test_bytes("")));
    CHECK(tksp_http_is_header_value(test_bytes("Bearer a b")));
    CHECK(tksp_http_is_header_value(test_bytes("\xc3\xa9\xff")));
    for (int c = 0; c < 256; c++) {
        char text[3] = {'a', (char)c, 'b'};
        test_context("%d", c);
        CHECK(tksp_http_is_header_value(tks_bytes_of(text, 3)) == (c >= ' ' && c != 0x7f));
    }
    test_context("%s", "");
    CHECK(!tksp_http_is_header_value(test_bytes(" a")));
    CHECK(!tksp_http_is_header_value(test_bytes("a ")));
    CHECK(!tksp_http_is_header_value(test_bytes(" ")));
}

TEST(http_media_types) {
    const char *json = "application/json";
    CHECK(tksp_http_media_type_is(test_bytes("application/json"), json));
    CHECK(tksp_http_media_type_is(test_bytes("Application/JSON; charset=utf-8"), json));
    CHECK(tksp_http_media_type_is(test_bytes(" application/json\t;x"), json));
    CHECK(!tksp_http_media_type_is(test_bytes("application/jso"), json));
    CHECK(!tksp_http_media_type_is(test_bytes("application/json5"), json));
    CHECK(!tksp_http_media_type_is(test_bytes("application/json, text/html"), json));
    CHECK(!tksp_http_media_type_is(test_bytes("text/html; x=application/json"), json));
    CHECK(!tksp_http_media_type_is(TKS_LITERAL("application/json\0"), json));
    CHECK(!tksp_http_media_type_is(test_bytes(""), json));
    CHECK(!tksp_http_media_type_is(test_bytes(";"), json));
}

/* ---- Retry-After ----------------------------------------------------------------------------- */

#define NOVEMBER_1994 INT64_C(784111777000) /* Sun, 06 Nov 1994 08:49:37 GMT */

static void check_wait(const char *value, int64_t now_ms, int64_t want) {
    int64_t wait = -1;
    test_context("%s", value);
    CHECK(tksp_http_retry_after(test_bytes(value), now_ms, &wait));
    CHECK_INT(wait, want);
    test_context("%s", "");
}

TEST(http_retry_after_in_seconds) {
    check_wait("0", 0, 0);
    check_wait("120", NOVEMBER_1994, 120000);
    check_wait(" 1\t", 0, 1000);
    check_wait("007", 0, 7000);
    check_wait("315360000", 0, TKSP_RETRY_AFTER_MAX_MS);
    check_wait("315360001", 0, TKSP_RETRY_AFTER_MAX_MS);
    check_wait("99999999999999999999999999999999999999", 0, TKSP_RETRY_AFTER_MAX_MS);
}

TEST(http_retry_after_as_a_date) {
    /* The three formats of one time (RFC 9110, 5.6.7). */
    check_wait("Sun, 06 Nov 1994 08:49:37 GMT", NOVEMBER_1994 - 2500, 2500);
    check_wait("Sunday, 06-Nov-94 08:49:37 GMT", NOVEMBER_1994 - 2500, 2500);
    check_wait("Sun Nov  6 08:49:37 1994", NOVEMBER_1994 - 2500, 2500);
    check_wait("Sun Nov 16 08:49:37 1994", NOVEMBER_1994, INT64_C(864000000));
    check_wait("Sun, 06 Nov 1994 08:49:37 GMT", NOVEMBER_1994, 0);
    check_wait("Sun, 06 Nov 1994 08:49:37 GMT", NOVEMBER_1994 + 1, 0);
    check_wait("Thu, 01 Jan 1970 00:00:01 GMT", 0, 1000);
    check_wait("Sat, 01 Jan 0000 00:00:00 GMT", 0, 0);
    check_wait("Fri, 31 Dec 9999 23:59:60 GMT", 0, TKSP_RETRY_AFTER_MAX_MS);
    check_wait("Tue, 29 Feb 2000 00:00:00 GMT", INT64_C(951782399000), 1000);
    check_wait("Thu, 29 Feb 2024 12:00:00 GMT", INT64_C(1709208000000) - 5000, 5000);
    check_wait("Wed, 31 Dec 2025 23:59:59 GMT", INT64_C(1767225599000) - 7000, 7000);
    check_wait("Tue, 19 Jan 2038 03:14:08 GMT", INT64_C(2147483647000), 1000);
}

TEST(http_retry_after_two_digits_are_the_nearest_century) {
    int64_t year_2026 = INT64_C(1767225600000);
    check_wait("Saturday, 06-Nov-94 08:49:37 GMT", year_2026, 0);
    check_wait("Thursday, 01-Jan-26 00:00:09 GMT", year_2026, 9000);
    check_wait("Tuesday, 31-Dec-75 00:00:00 GMT", year_2026, TKSP_RETRY_AFTER_MAX_MS); /* 2075 */
    check_wait("Tuesday, 31-Dec-76 00:00:00 GMT", year_2026, 0);                       /* 1976 */
    check_wait("Friday, 01-Jan-00 00:00:00 GMT", INT64_C(4102444799000), 1000);        /* 2100 */
}

TEST(http_retry_after_refuses_what_is_neither) {
    const char *wrong[] = {
        "",
        " ",
        "-1",
        "+1",
        "1.5",
        "1e3",
        "0x10",
        "1 s",
        "1, 2",
        "soon",
        "Sun, 06 Nov 1994 08:49:37",
        "Sun, 06 Nov 1994 08:49:37 CET",
        "Sun, 6 Nov 1994 08:49:37 GMT",
        "Sun, 06 nov 1994 08:49:37 GMT",
        "Xun, 06 Nov 1994 08:49:37 GMT",
        "Sun, 00 Nov 1994 08:49:37 GMT",
        "Sun, 31 Nov 1994 08:49:37 GMT",
        "Sun, 29 Feb 2023 08:49:37 GMT",
        "Sun, 29 Feb 2100 08:49:37 GMT",
        "Sun, 06 Nov 1994 24:00:00 GMT",
        "Sun, 06 Nov 1994 08:60:37 GMT",
        "Sun, 06 Nov 1994 08:49:61 GMT",
        "Sun, 06 Nov 1994 08:49:37 GMTx",
        "Sun, 06 Nov 94 08:49:37 GMT",
        "Sun, 06-Nov-94 08:49:37 GMT",
        "Sunday, 31-Feb-94 08:49:37 GMT",
        "Sunday, 06-Nov-1994 08:49:37 GMT",
        "Sun Nov 6 08:49:37 1994",
        "Sun Nov  6 08:49:37 1994 GMT",
        "Sun Nov  6 08:49",
        "Sun",
    };
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        int64_t wait = -1;
        test_context("%s", wrong[i]);
        CHECK(!tksp_http_retry_after(test_bytes(wrong[i]), NOVEMBER_1994, &wait));
        CHECK_INT(wait, 0);
    }
    test_context("%s", "");
    int64_t wait;
    CHECK(!tksp_http_retry_after(TKS_LITERAL("1\0"), 0, &wait));
}

TEST(http_max_age) {
    static const struct {
        const char *text;
        bool found;
        int64_t seconds;
    } cases[] = {
        {"max-age=60", true, 60},
        {"public, max-age=300, must-revalidate", true, 300},
        {"Max-Age = \"5\"", true, 5},
        {"max-age=60, max-age=5", true, 60},
        {"max-age=60,no-cache", true, 0},
        {"no-store", true, 0},
        {"NO-STORE, max-age=1", true, 0},
        {"max-age=0", true, 0},
        {"max-age=99999999999999999999999999", true, 31536000},
        {"s-maxage=60", false, 0},
        {"x-max-age=60", false, 0},
        {"max-age", false, 0},
        {"max-age=", false, 0},
        {"max-age=-5", false, 0},
        {"max-age=6x", false, 0},
        {"max-age=\"", false, 0},
        {"public", false, 0},
        {",,=,", false, 0},
        {"", false, 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        int64_t seconds = -1;
        test_context("%s", cases[i].text);
        CHECK(tksp_http_max_age(test_bytes(cases[i].text), &seconds) == cases[i].found);
        CHECK_INT(seconds, cases[i].seconds);
    }
}

TEST(http_safe_urls) {
    static const char *const safe[] = {
        "https://a",          "https://a:1/b?c",      "http://localhost",
        "http://LOCALHOST/a", "http://127.0.0.1:80/", "http://127.1.2.3?x",
        "http://[::1]:80/",   "http://[::1]",         "http://127.0.0.1#x"};
    static const char *const unsafe[] = {"http://a",
                                         "http://127.0.0.1.a/",
                                         "http://localhost.a",
                                         "http://localhost:80@a/",
                                         "http://127.0.0.1@a",
                                         "http://[::1].a",
                                         "http://[::2]",
                                         "http://127a/",
                                         "http://",
                                         "ftp://localhost",
                                         "https://",
                                         "",
                                         "HTTP://localhost",
                                         "http://localhost\\@a",
                                         "http://[::1]a"};
    for (size_t i = 0; i < sizeof safe / sizeof safe[0]; i++) {
        test_context("%s", safe[i]);
        CHECK(tksp_http_is_safe_url(test_bytes(safe[i])));
    }
    for (size_t i = 0; i < sizeof unsafe / sizeof unsafe[0]; i++) {
        test_context("%s", unsafe[i]);
        CHECK(!tksp_http_is_safe_url(test_bytes(unsafe[i])));
    }
}
