/* test_url.c - the grammar of URLs and the options. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "test.h"
#include "tokenstore/url.h"

static tks_target *parse(const char *url) {
    tks_target *target = NULL;
    tks_error err = TKS_ERROR_INIT;
    test_context("%s", url);
    CHECK_STATUS(tks_target_parse(test_bytes(url), &target, &err), TKS_OK);
    CHECK_TEXT(err.message, "");
    if (!CHECK(target != NULL)) exit(1);
    return target;
}

static void check_described(const char *url, const char *want) {
    tks_target *target = parse(url);
    tks_buf text;
    tks_buf_init(&text, 4096);
    CHECK_STATUS(tks_target_describe(target, &text), TKS_OK);
    CHECK_BYTES(tks_buf_bytes(&text), test_bytes(want));
    tks_buf_clear(&text);
    tks_target_free(target);
}

static void check_refused(const char *url, const char *part) {
    tks_target *target = NULL;
    tks_error err = TKS_ERROR_INIT;
    test_context("%s", url);
    CHECK_STATUS(tks_target_parse(test_bytes(url), &target, &err), TKS_ERR_CONFIGURATION);
    CHECK_CONTAINS(err.message, part);
    CHECK(target == NULL);
}

TEST(url_forms) {
    check_described("redis://localhost", "redis://localhost:6379/0");
    check_described("redis://localhost/", "redis://localhost:6379/0");
    check_described("REDIS://LocalHost:1", "redis://LocalHost:1/0");
    check_described("redis://h:65535/15", "redis://h:65535/15");
    check_described("redis://h?", "redis://h:6379/0");
    check_described("redis://h?db=3", "redis://h:6379/3");
    check_described("redis://u:p@h", "redis://h:6379/0");
    check_described("redis://@h", "redis://h:6379/0");
    check_described("redis://[::1]", "redis://[::1]:6379/0");
    check_described("redis://[::1]:7/1", "redis://[::1]:7/1");
    check_described("redis://[fe80::1%25eth0]:7", "redis://[fe80::1%eth0]:7/0");
    check_described("valkey://h/1", "redis://h:6379/1");
    check_described("Valkeys://h", "rediss://h:6379/0");
    check_described("valkey+unix:///run/r.sock", "redis+unix:///run/r.sock");
    check_described("rediss://host-1.example_x.com", "rediss://host-1.example_x.com:6379/0");
    check_described("redis+unix:///run/r.sock", "redis+unix:///run/r.sock");
    check_described("unix:///run/r.sock?db=2", "redis+unix:///run/r.sock?db=2");
    check_described("redis+unix://:pw@/run/r.sock", "redis+unix:///run/r.sock");
    check_described("unix:///a%20b%3fc%25", "redis+unix:///a%20b%3Fc%25");
    check_described("embedded:", "embedded:");
    check_described("embedded:cluster", "embedded:cluster");
    check_described("embedded:/var/lib/app?server=/opt/redis", "embedded:/var/lib/app");
}

TEST(url_parts) {
    tks_target *t = parse(
        "redis://us%3Aer:p%40ss%2F%3F%23%25@h:7/3?connect_timeout=0.25&timeout=10"
        "&pool_size=7&client_name=a%2Bb&max_reply_size=4096");
    CHECK_INT(t->transport, TKS_TCP);
    CHECK(!t->tls);
    CHECK_TEXT(t->user, "us:er");
    CHECK_TEXT(t->password, "p@ss/?#%");
    CHECK_TEXT(t->host, "h");
    CHECK_INT(t->port, 7);
    CHECK_INT(t->db, 3);
    CHECK_INT(t->connect_timeout_ms, 250);
    CHECK_INT(t->timeout_ms, 10000);
    CHECK_INT(t->pool_size, 7);
    CHECK_TEXT(t->client_name, "a+b");
    CHECK_INT(t->max_reply_size, 4096);
    tks_target_free(t);

    t = parse("rediss://:p:w@h?ca=/c%20a&cert=c&key=k&server_name=s.example");
    CHECK(t->tls);
    CHECK(t->user == NULL);
    CHECK_TEXT(t->password, "p:w");
    CHECK_TEXT(t->ca, "/c a");
    CHECK_TEXT(t->cert, "c");
    CHECK_TEXT(t->key, "k");
    CHECK_TEXT(t->server_name, "s.example");
    tks_target_free(t);

    t = parse("redis://user@h");
    CHECK_TEXT(t->user, "user");
    CHECK(t->password == NULL);
    tks_target_free(t);

    t = parse("redis://:@h");
    CHECK(t->user == NULL && t->password == NULL);
    CHECK_INT(t->connect_timeout_ms, 2000);
    CHECK_INT(t->timeout_ms, 5000);
    CHECK_INT(t->pool_size, 16);
    CHECK_INT(t->max_reply_size, 64 << 20);
    CHECK_INT(t->db, 0);
    tks_target_free(t);

    t = parse("unix://me:secret@/s?timeout=1");
    CHECK_INT(t->transport, TKS_UNIX);
    CHECK_TEXT(t->user, "me");
    CHECK_TEXT(t->password, "secret");
    CHECK_TEXT(t->path, "/s");
    tks_target_free(t);
}

TEST(url_refused) {
    check_refused("", "must begin with");
    check_refused("localhost:6379", "must begin with");
    check_refused("://h", "must begin with");
    check_refused("http://h", "unknown scheme http://");
    check_refused("redis", "must begin with");
    check_refused("redis:h", "\"//\"");
    check_refused("redis:/h", "\"//\"");
    check_refused("redis://", "no host");
    check_refused("redis:///1", "no host");
    check_refused("redis://:6379", "no host");
    check_refused("redis://h:", "port");
    check_refused("redis://h:0", "port");
    check_refused("redis://h:65536", "port");
    check_refused("redis://h:6379x", "port");
    check_refused("redis://h:-1", "port");
    check_refused("redis://h:+1", "port");
    check_refused("redis://h/x", "database");
    check_refused("redis://h/1/", "database");
    check_refused("redis://h/-1", "database");
    check_refused("redis://h/2147483648", "database");
    check_refused("redis://h/1?db=1", "db is given twice");
    check_refused("redis://h h", "contains a space");
    check_refused("redis://h\n", "ends with a newline: strip it");
    check_refused("redis://h/0?db=1 \r\n", "ends with a space: strip it");
    check_refused("redis://h\r\n", "ends with a carriage return");
    check_refused("embedded:\t", "ends with a tab");
    check_refused(" redis://h", "begins with a space: strip it");
    check_refused("\nredis://h\n", "begins with a newline");
    check_refused("\n", "begins with a newline");
    check_refused("redis://:secret\n@h", "contains a newline");
    check_refused("redis://h\x7f?db=1", "contains a control character");
    check_refused("valkeyss://h", "unknown scheme valkeyss://");
    check_refused("http://h", "valkey");
    check_refused("redis://h#x", "'#'");
    check_refused("redis://h%", "two hexadecimal digits");
    check_refused("redis://h%4", "two hexadecimal digits");
    check_refused("redis://a%zzb@h", "two hexadecimal digits");
    check_refused("redis://a:b%00c@h", "%00");
    check_refused("redis://a@b@h", "more than one '@'");
    check_refused("redis://[::1", "no ']'");
    check_refused("redis://[::1]x", "IPv6");
    check_refused("redis://[x::1]", "IPv6");
    check_refused("redis://[localhost]", "IPv6");
    check_refused("redis://::1", "brackets");
    check_refused("redis://h\xc3\xa9", "host name");
    check_refused("redis://h,g", "host name");
    check_refused("unix://run/r.sock", "absolute path");
    check_refused("unix:/run/r.sock", "absolute path");
    check_refused("unix:///", "absolute path");
    check_refused("embedded:data", "absolute path");
    check_refused("embedded://cluster", "absolute path");
    check_refused("embedded://data", "absolute path");
}

TEST(url_options_refused) {
    check_refused("redis://h?timeouts=1", "unknown option timeouts");
    check_refused("redis://h?timeout", "no value");
    check_refused("redis://h?timeout=", "timeout must be");
    check_refused("redis://h?timeout=1&timeout=1", "timeout is given twice");
    check_refused("redis://h?timeout=1&&pool_size=1", "unknown option");
    check_refused("redis://h?timeout=1&", "unknown option");
    check_refused("redis://h?max_connection_age=-1", "max_connection_age must be");
    check_refused("redis://h?max_connection_age=0.0004", "max_connection_age must be");
    check_refused("redis://h?max_connection_age=86401", "0 (no limit)");
    check_refused("redis://h?pool_size=0", "pool_size must be");
    check_refused("redis://h?pool_size=1025", "pool_size must be");
    check_refused("redis://h?pool_size=1.5", "pool_size must be");
    check_refused("redis://h?max_reply_size=1023", "max_reply_size must be");
    check_refused("redis://h?max_reply_size=2147483649", "max_reply_size must be");
    check_refused("redis://h?client_name=a%20b", "client_name must be");
    check_refused("redis://h?client_name=a%0Ab", "client_name must be");
    check_refused("redis://h?client_name=", "client_name must be");
    check_refused("redis://h?ca=/x", "rediss://");
    check_refused("unix:///s?cert=/x", "rediss://");
    check_refused("embedded:?key=/x", "rediss://");
    check_refused("redis://h?server=/x", "embedded:");
    check_refused("rediss://h?server_name=a/b", "server_name must be");
    check_refused("rediss://h?ca=", "ca must be");
}

TEST(url_seconds) {
    static const struct {
        const char *text;
        int64_t ms; /* 0: refused */
    } cases[] = {
        {"1", 1000},
        {"0.5", 500},
        {"0.001", 1},
        {"0.0005", 1},
        {"0.0004", 0},
        {"0", 0},
        {"0.0", 0},
        {"86400", 86400000},
        {"86400.0", 86400000},
        {"86400.001", 0},
        {"86401", 0},
        {"-1", 0},
        {"+1", 0},
        {"1e3", 0},
        {"inf", 0},
        {"nan", 0},
        {"0x1", 0},
        {" 1", 0},
        {"1 ", 0},
        {"1.", 0},
        {".5", 0},
        {"1,5", 0},
        {"1.2.3", 0},
        {"", 0},
        {"0.29999999999999998", 300},
        {"2.0004999", 2000},
        {"99999999999999999999", 0},
    };
    tks_target *target = parse("redis://h");
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        tks_error err = TKS_ERROR_INIT;
        test_context("%s", cases[i].text);
        tks_status status = tks_target_set(target, "timeout", test_bytes(cases[i].text), &err);
        CHECK_STATUS(status, cases[i].ms != 0 ? TKS_OK : TKS_ERR_CONFIGURATION);
        if (cases[i].ms != 0) CHECK_INT(target->timeout_ms, cases[i].ms);
    }
    tks_target_free(target);
}

TEST(url_connection_age) {
    tks_error err = TKS_ERROR_INIT;
    tks_target *target = parse("redis://h");
    CHECK_INT(target->max_connection_age_ms, 300000);
    int64_t least = INT64_MAX, most = 0;
    for (int i = 0; i < 1000; i++) {
        int64_t age = tks_target_draw_age(target);
        least = age < least ? age : least;
        most = age > most ? age : most;
    }
    /* Between 80 and 100 %; misses an end once in 10^7 runs. */
    CHECK(least >= 240000 && least < 241000);
    CHECK(most <= 300000 && most > 299000);
    CHECK_STATUS(tks_target_set(target, "max_connection_age", test_bytes("0"), &err), TKS_OK);
    CHECK(tks_target_draw_age(target) == INT64_MAX);
    CHECK_STATUS(tks_target_set(target, "max_connection_age", test_bytes("0.001"), &err), TKS_OK);
    CHECK_INT(tks_target_draw_age(target), 1);
    tks_target_free(target);
}

TEST(url_set) {
    tks_error err = TKS_ERROR_INIT;
    tks_target *target = parse("rediss://h?timeout=1");
    CHECK_STATUS(tks_target_set(target, "timeout", test_bytes("2"), &err), TKS_OK);
    CHECK_INT(target->timeout_ms, 2000);
    CHECK_STATUS(tks_target_set(target, "ca", test_bytes("/a"), &err), TKS_OK);
    CHECK_STATUS(tks_target_set(target, "ca", test_bytes("/b"), &err), TKS_OK);
    CHECK_TEXT(target->ca, "/b");
    CHECK_STATUS(tks_target_set(target, "ca", tks_bytes_of("a\0b", 3), &err),
                 TKS_ERR_CONFIGURATION);
    CHECK_TEXT(target->ca, "/b");
    err = (tks_error)TKS_ERROR_INIT;
    CHECK_STATUS(tks_target_set(target, "tmieout", test_bytes("2"), &err), TKS_ERR_CONFIGURATION);
    CHECK_CONTAINS(err.message, "tmieout");
    tks_target_free(target);
    tks_target_free(NULL);
}

TEST(url_unix_path_length) {
    char url[200];
    memset(url, 'x', sizeof url);
    memcpy(url, "unix:///", 8);
    url[7 + 107] = '\0';
    tks_target_free(parse(url));
    url[7 + 107] = 'x';
    url[7 + 108] = '\0';
    check_refused(url, "107 bytes");
}

/* A password in any part of the URL never appears in a message. */
TEST(url_mute_about_passwords) {
    static const char *const forms[] = {
        "redis://:%s@h:x",
        "redis://:%s@h:99999",
        "redis://u:%s@",
        "redis://u:%s@h/x",
        "redis://:a/%s@h",
        "redis://u:1/%s@h",
        "redis://u:1?%s@h",
        "redis://u:1?%s=1@h",
        "redis://u:1?a%s=1@h",
        "redis://u:a#%s@h",
        "redis://u:%s@x@h",
        "redis://u:x@%s@h",
        "redis://u:%%zz%s@h",
        "redis://u:%s%%@h",
        "u:%s@h",
        "%s@h",
        "%s",
        "redis://%s@h?nonsense",
        "redis://:%s@h?timeout=x",
        "redis://[%s",
        "redis://:%s",
        "redis://x:%s/1",
        "unix://:%s@h/p",
        "unix://:%s/p",
        "redis://u:%s x@h",
        "embedded:%s@h",
        "redis:u:%s@h",
        "redis://u:1?timeout=%s@h",
        "redis://u:1?timeout=1&%s=2@h",
    };
    for (size_t i = 0; i < sizeof forms / sizeof forms[0]; i++) {
        char url[200];
        tks_error err = TKS_ERROR_INIT;
        tks_target *target = NULL;
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
        (void)snprintf(url, sizeof url, forms[i], "hunter2");
#pragma GCC diagnostic pop
        test_context("%s", url);
        CHECK_STATUS(tks_target_parse(test_bytes(url), &target, &err), TKS_ERR_CONFIGURATION);
        CHECK(strstr(err.message, "hunter2") == NULL);
        CHECK(err.message[0] != '\0');
    }
}
