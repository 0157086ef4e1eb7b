/* test_greeting.c - the first commands of a new connection, and the meaning of the replies. */
#include <stdlib.h>

#include "test.h"
#include "tokenstore/greeting.h"
#include "url_private.h"

static tks_target *parse(const char *url) {
    tks_target *target = NULL;
    tks_error err = TKS_ERROR_INIT;
    test_context("%s", url);
    CHECK_STATUS(tks_target_parse(test_bytes(url), &target, &err), TKS_OK);
    if (!CHECK(target != NULL)) exit(1);
    return target;
}

static void check_said(const char *url, size_t count, const char *want) {
    tks_greeting greeting;
    tks_error err = TKS_ERROR_INIT;
    tks_target *target = parse(url);
    CHECK_STATUS(tks_greeting_init(&greeting, target, NULL, &err), TKS_OK);
    CHECK_INT(greeting.count, count);
    CHECK_BYTES(tks_buf_bytes(&greeting.out), test_bytes(want));
    tks_greeting_clear(&greeting);
    tks_target_free(target);
}

TEST(greeting_says_what_the_target_wants) {
    check_said("redis://localhost", 1, "*1\r\n$4\r\nPING\r\n");
    check_said("unix:///a/socket", 1, "*1\r\n$4\r\nPING\r\n");
    check_said("redis://:secret@localhost", 1, "*2\r\n$4\r\nAUTH\r\n$6\r\nsecret\r\n");
    check_said("redis://bob:secret@localhost/3?client_name=me", 3,
               "*3\r\n$4\r\nAUTH\r\n$3\r\nbob\r\n$6\r\nsecret\r\n"
               "*2\r\n$6\r\nSELECT\r\n$1\r\n3\r\n"
               "*3\r\n$6\r\nCLIENT\r\n$7\r\nSETNAME\r\n$2\r\nme\r\n");
    check_said("rediss://localhost", 1, "*1\r\n$4\r\nPING\r\n");
    check_said("rediss://localhost/1", 1, "*2\r\n$6\r\nSELECT\r\n$1\r\n1\r\n");
}

TEST(greeting_says_the_credentials_that_were_given) {
    tks_greeting greeting;
    tks_credentials given = {NULL, NULL, false};
    tks_target *target = parse("redis://bob:secret@localhost");
    CHECK_STATUS(tks_credentials_init(&given, test_bytes("eve"), test_bytes("new")), TKS_OK);
    CHECK_STATUS(tks_greeting_init(&greeting, target, &given, NULL), TKS_OK);
    CHECK_BYTES(tks_buf_bytes(&greeting.out),
                test_bytes("*3\r\n$4\r\nAUTH\r\n$3\r\neve\r\n$3\r\nnew\r\n"));
    tks_greeting_clear(&greeting);
    tks_credentials_clear(&given);
    CHECK_STATUS(tks_credentials_init(&given, (tks_bytes){NULL, 0}, test_bytes("new")), TKS_OK);
    CHECK_STATUS(tks_greeting_init(&greeting, target, &given, NULL), TKS_OK);
    CHECK_BYTES(tks_buf_bytes(&greeting.out), test_bytes("*2\r\n$4\r\nAUTH\r\n$3\r\nnew\r\n"));
    tks_greeting_clear(&greeting);
    tks_credentials_clear(&given);
    tks_target_free(target);
}

static void check_hint(const char *url, const char *want) {
    tks_target *target = parse(url);
    CHECK(strcmp(tks_greeting_get_hint(target), want) == 0);
    tks_target_free(target);
}

TEST(greeting_hints_at_what_may_be_behind_a_server_that_hangs_up) {
    check_hint("redis://localhost", " (for a TLS port use rediss://)");
    check_hint("rediss://localhost",
               " (does the server accept the client certificate, cert= and key=?)");
    check_hint("unix:///a/socket", "");
}

/* Checks the verdict on `answers`, one or more replies to the greeting of `target`. */
static void check_verdict(const tks_target *target, const char *answers, tks_status want,
                          bool want_final, const char *part) {
    tks_greeting greeting;
    tks_reply *replies[TKS_GREETING_MAX] = {NULL};
    tks_reader *reader = NULL;
    tks_error err = TKS_ERROR_INIT;
    size_t count = 0;
    bool final = !want_final;
    test_context("%s", answers);
    CHECK_STATUS(tks_greeting_init(&greeting, target, NULL, &err), TKS_OK);
    CHECK_STATUS(tks_reader_new(1 << 20, &reader, &err), TKS_OK);
    tks_bytes bytes = test_bytes(answers);
    CHECK_STATUS(tks_reader_feed(reader, bytes.data, bytes.size, &err), TKS_OK);
    while (count < greeting.count && tks_reader_next(reader, &replies[count], &err) == TKS_OK &&
           replies[count] != NULL) {
        count++;
    }
    CHECK_STATUS(tks_greeting_judge(&greeting, target, NULL, replies, count, &final, &err), want);
    CHECK(final == want_final);
    CHECK_CONTAINS(err.message, part);
    for (size_t i = 0; i < count; i++) tks_reply_free(replies[i]);
    tks_reader_free(reader);
    tks_greeting_clear(&greeting);
}

static void check_judged(const char *url, const char *answers, tks_status want, bool want_final,
                         const char *part) {
    tks_target *target = parse(url);
    check_verdict(target, answers, want, want_final, part);
    tks_target_free(target);
}

/* Sentinels said that it is the primary; it may know better, or be another server. */
TEST(greeting_of_a_primary_asks_for_its_role) {
    static const char want[] = "*2\r\n$4\r\nAUTH\r\n$1\r\np\r\n*1\r\n$4\r\nROLE\r\n";
    static const char not_it[] = "this server is not the primary now";
    tks_target *url = parse("redis+sentinel://:p@a/m");
    tks_target *target = tksp_target_of_node(url, TKS_NODE_PRIMARY, "h", 6379);
    tks_greeting greeting;
    CHECK_STATUS(tks_greeting_init(&greeting, target, NULL, NULL), TKS_OK);
    CHECK_BYTES(tks_buf_bytes(&greeting.out), test_bytes(want));
    tks_greeting_clear(&greeting);
    check_verdict(target, "+OK\r\n*3\r\n$6\r\nmaster\r\n:0\r\n*0\r\n", TKS_OK, false, "");
    check_verdict(target, "+OK\r\n*5\r\n$5\r\nslave\r\n$1\r\nh\r\n:1\r\n$9\r\nconnected\r\n:5\r\n",
                  TKS_ERR_CONNECTION, false, not_it);
    check_verdict(target, "+OK\r\n*2\r\n$8\r\nsentinel\r\n*0\r\n", TKS_ERR_CONNECTION, false,
                  not_it);
    check_verdict(target, "+OK\r\n*0\r\n", TKS_ERR_CONNECTION, false, not_it);
    check_verdict(target, "+OK\r\n*1\r\n:1\r\n", TKS_ERR_CONNECTION, false, not_it);
    check_verdict(target, "+OK\r\n+OK\r\n", TKS_ERR_CONNECTION, false, not_it);
    check_verdict(target, "+OK\r\n$6\r\nmaster\r\n", TKS_ERR_CONNECTION, false, not_it);
    check_verdict(target, "+OK\r\n-LOADING wait\r\n", TKS_ERR_CONNECTION, false, "not ready");
    check_verdict(target, "+OK\r\n-NOPERM no\r\n", TKS_ERR_SERVER, true, "ROLE refused: NOPERM");
    check_verdict(target, "-WRONGPASS no\r\n-NOAUTH no\r\n", TKS_ERR_SERVER, true, "AUTH refused");
    tks_target_free(target);
    tks_target_free(url);
}

TEST(greeting_judges_the_answers) {
    const char *both = "redis://:sesame@localhost/3";
    check_judged(both, "+OK\r\n+OK\r\n", TKS_OK, false, "");
    check_judged(both, "", TKS_OK, false, "");
    check_judged(both, "-WRONGPASS invalid\r\n+OK\r\n", TKS_ERR_SERVER, true, "AUTH refused");
    check_judged(both, "+OK\r\n-ERR DB index is out of range\r\n", TKS_ERR_SERVER, true,
                 "SELECT refused");
    check_judged(both, "-LOADING wait\r\n-LOADING wait\r\n", TKS_ERR_CONNECTION, false,
                 "not ready");
    check_judged(both, "-ERR max number of clients reached\r\n", TKS_ERR_CONNECTION, false,
                 "the server is full");
    check_judged(both, "-DENIED Redis is running in protected mode\r\n", TKS_ERR_SERVER, true,
                 "DENIED");
    check_judged(both, ":5\r\n+OK\r\n", TKS_ERR_CONNECTION, false, "is this a Redis server?");
    check_judged("redis://sesame@localhost", "-WRONGPASS invalid\r\n", TKS_ERR_SERVER, true,
                 "a password alone is written redis://:PASSWORD@host");
    check_judged("redis://sesame@localhost", "-ERR what is sesame\r\n", TKS_ERR_SERVER, true,
                 "error withheld");
    check_judged(both, "-ERR what is sesame\r\n", TKS_ERR_SERVER, true, "error withheld");
    check_judged("rediss://localhost", "-NOAUTH Authentication required.\r\n", TKS_OK, false, "");
    check_judged("rediss://localhost", "-ERR max number of clients reached\r\n", TKS_ERR_CONNECTION,
                 false, "the server is full");
}
