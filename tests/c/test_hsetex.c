/* test_hsetex.c - the server's clock as a client knows it, and create without a script. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "server.h"
#include "test.h"
#include "tokenstore/tokens.h"

enum { BOOT = 1000000 };
static const int64_t NOW_US = INT64_C(1700000000123456);

TEST(server_clock_is_learned_and_grows_old) {
    tks_server *server = tks_server_new();
    int64_t us = 0, next = 0;
    CHECK_INT(tksp_server_stamp(server, BOOT, &us), TKSP_CLOCK_LOST);
    tksp_server_learn_time(server, NOW_US, BOOT);
    CHECK_INT(tksp_server_stamp(server, BOOT + 1000, &us), TKSP_CLOCK_GOOD);
    CHECK_INT(us, NOW_US + 999000); /* a millisecond behind, for what is rounded */
    CHECK_INT(tksp_server_stamp(server, BOOT + 1000, &next), TKSP_CLOCK_GOOD);
    CHECK_INT(next, us + 1);
    CHECK_INT(tksp_server_stamp(server, BOOT + 4999, &us), TKSP_CLOCK_GOOD);
    CHECK_INT(tksp_server_stamp(server, BOOT + 5000, &us), TKSP_CLOCK_OLD);
    CHECK_INT(tksp_server_stamp(server, BOOT + 9999, &us), TKSP_CLOCK_OLD);
    CHECK_INT(tksp_server_stamp(server, BOOT + 10000, &us), TKSP_CLOCK_LOST);
    CHECK_INT(tksp_server_stamp(server, 0, &us), TKSP_CLOCK_LOST);
    tksp_server_learn_time(server, NOW_US, BOOT);
    tksp_server_set_ends_fields(server, TKSP_NO);
    tksp_server_set_sets_ending(server, TKSP_NO);
    tksp_server_add_kind(server, 7);
    tksp_server_forget(server);
    CHECK(!tksp_server_knows_kind(server, 7));
    CHECK_INT(tksp_server_stamp(server, BOOT, &us), TKSP_CLOCK_LOST);
    CHECK_INT(tksp_server_ends_fields(server), TKSP_UNKNOWN);
    CHECK_INT(tksp_server_sets_ending(server), TKSP_UNKNOWN);
    CHECK_INT(tksp_server_stamp(NULL, BOOT, &us), TKSP_CLOCK_LOST);
    tks_server_free(server);
}

TEST(server_clock_is_that_of_the_fastest_answer) {
    tks_server *server = tks_server_new();
    int64_t us = 0;
    tksp_server_learn_time(server, NOW_US, BOOT);
    tksp_server_learn_time(server, NOW_US, BOOT + 300); /* it took 300 ms more */
    CHECK_INT(tksp_server_stamp(server, BOOT + 1000, &us), TKSP_CLOCK_GOOD);
    CHECK_INT(us, NOW_US + 999000);
    /* But not for ever: its clock may have been set back, here by an hour. */
    tksp_server_learn_time(server, NOW_US - INT64_C(3600000000), BOOT + 6000);
    CHECK_INT(tksp_server_stamp(server, BOOT + 6000, &us), TKSP_CLOCK_GOOD);
    CHECK_INT(us, NOW_US - INT64_C(3600000000) - 1000);
    tks_server_free(server);
}

/* ---- create ----------------------------------------------------------------------------------- */

typedef struct fixture {
    tks_server *server;
    tks_op *op;
} fixture;

static tks_op *create_on(tks_server *server, size_t count, int64_t duration_ms, int64_t boot_ms) {
    tks_tokens_options options = TKS_TOKENS_OPTIONS_INIT;
    tks_new_token new[3];
    for (size_t i = 0; i < count; i++) {
        new[i] = (tks_new_token){.app = TKS_LITERAL("a"),
                                 .type = TKS_LITERAL("t"),
                                 .owner = TKS_LITERAL("bob"),
                                 .data = TKS_LITERAL("{}"),
                                 .duration_ms = duration_ms};
    }
    tks_tokens *tokens = NULL;
    tks_op *op = NULL;
    CHECK_STATUS(tks_tokens_new(&options, &tokens, NULL), TKS_OK);
    CHECK_STATUS(tks_tokens_create_many(tokens, count, new, &op, NULL), TKS_OK);
    tks_tokens_free(tokens);
    tks_op_set_server(op, server);
    CHECK(tks_op_reads_boot(op));
    tks_event start = {.type = TKS_EVENT_START, .boot_ms = boot_ms};
    CHECK_INT(tks_op_step(op, &start), TKS_NEED_SEND);
    return op;
}

static fixture begin(tksp_fact sets_ending, int64_t duration_ms, int64_t boot_ms) {
    fixture f = {.server = tks_server_new()};
    tksp_server_set_ends_fields(f.server, TKSP_YES);
    tksp_server_set_sets_ending(f.server, sets_ending);
    tksp_server_learn_time(f.server, NOW_US, BOOT);
    f.op = create_on(f.server, 1, duration_ms, boot_ms);
    return f;
}

static void end(fixture *f) {
    tks_op_free(f->op);
    tks_server_free(f->server);
}

static tks_need answer(fixture *f, const char *text, int64_t boot_ms) {
    tks_reader *reader = NULL;
    tks_reply *replies[5] = {NULL};
    size_t count = 0;
    tks_event event = {.type = TKS_EVENT_REPLIES, .replies = replies, .boot_ms = boot_ms};
    test_context("%s", text);
    CHECK_STATUS(tks_reader_new(1 << 20, &reader, NULL), TKS_OK);
    CHECK_STATUS(tks_reader_feed(reader, text, strlen(text), NULL), TKS_OK);
    while (count < 5 && tks_reader_next(reader, &replies[count], NULL) == TKS_OK &&
           replies[count] != NULL) {
        count++;
    }
    CHECK_INT(count, tks_op_get_batch(f->op)->replies);
    tks_need need = tks_op_step(f->op, &event);
    for (size_t i = 0; i < count; i++) tks_reply_free(replies[i]);
    tks_reader_free(reader);
    return need;
}

static bool sends(const fixture *f, const char *word) {
    tks_bytes bytes = tks_op_get_batch(f->op)->bytes;
    for (size_t i = 0; i + strlen(word) <= bytes.size; i++) {
        if (memcmp(bytes.data + i, word, strlen(word)) == 0) return true;
    }
    return false;
}

/* Three commands: HSETEX, PERSIST, and the registry of kinds. */
TEST(create_by_hsetex) {
    fixture f = begin(TKSP_UNKNOWN, 60000, BOOT + 1000);
    CHECK_INT(tks_op_get_batch(f.op)->replies, 3);
    CHECK(sends(&f, "HSETEX") && sends(&f, "FNX") && sends(&f, "PERSIST"));
    CHECK(sends(&f, "\r\n1700000061122\r\n")); /* PXAT: a minute after its creation */
    CHECK(!sends(&f, "EVALSHA") && !sends(&f, "TIME"));
    CHECK_INT(answer(&f, ":1\r\n:0\r\n:1\r\n", BOOT + 1000), TKS_DONE);
    const tks_token *token = tks_op_get_result(f.op)->tokens;
    CHECK_INT(token->created_us, NOW_US + 999000);
    CHECK_INT(token->expires_ms, 1700000061122);
    CHECK_INT(tksp_server_sets_ending(f.server), TKSP_YES);
    end(&f);
}

TEST(create_by_hsetex_without_end) {
    fixture f = begin(TKSP_YES, 0, BOOT);
    CHECK(sends(&f, "HSETEX") && !sends(&f, "PXAT"));
    CHECK_INT(answer(&f, ":1\r\n:0\r\n:1\r\n", BOOT), TKS_DONE);
    CHECK_INT(tks_op_get_result(f.op)->tokens->expires_ms, 0);
    end(&f);
}

TEST(create_by_script_where_hsetex_cannot_be) {
    static const struct {
        tksp_fact sets_ending;
        int64_t duration_ms, boot_ms;
    } cases[] = {{TKSP_NO, 60000, BOOT},
                 {TKSP_YES, 59999, BOOT},
                 {TKSP_YES, 60000, BOOT + 10000},
                 {TKSP_YES, 60000, 0}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        fixture f = begin(cases[i].sets_ending, cases[i].duration_ms, cases[i].boot_ms);
        test_context("case %zu", i);
        CHECK(sends(&f, "EVALSHA") && !sends(&f, "HSETEX"));
        end(&f);
    }
}

TEST(create_asks_for_the_time_before_it_is_too_old) {
    fixture f = begin(TKSP_YES, 60000, BOOT + 6000);
    int64_t us = 0;
    CHECK(sends(&f, "TIME"));
    CHECK_INT(answer(&f, ":1\r\n:0\r\n*2\r\n$10\r\n1700000007\r\n$1\r\n0\r\n:1\r\n", BOOT + 6000),
              TKS_DONE);
    CHECK_INT(tksp_server_stamp(f.server, BOOT + 6000, &us), TKSP_CLOCK_GOOD);
    CHECK(us > INT64_C(1700000007) * 1000000 - 1000);
    end(&f);
}

TEST(create_goes_on_by_script_where_hsetex_is_unknown_or_forbidden) {
    static const char *const answers[] = {
        "-ERR unknown command 'HSETEX'\r\n:0\r\n:1\r\n",
        "-NOPERM no permissions to run the 'hsetex' command\r\n:0\r\n:1\r\n",
        ":1\r\n-NOPERM no permissions to run the 'persist' command\r\n:1\r\n"};
    for (size_t i = 0; i < 3; i++) {
        fixture f = begin(TKSP_UNKNOWN, 60000, BOOT);
        CHECK_INT(answer(&f, answers[i], BOOT), TKS_NEED_SEND);
        CHECK(sends(&f, "EVALSHA") && !sends(&f, "HSETEX"));
        CHECK_INT(tksp_server_sets_ending(f.server), TKSP_NO);
        end(&f);
    }
}

TEST(create_in_a_hash_from_before_an_upgrade_turns_it_over) {
    fixture f = begin(TKSP_YES, 60000, BOOT);
    CHECK_INT(answer(&f, ":1\r\n:1\r\n:1\r\n", BOOT), TKS_NEED_SEND); /* PERSIST: it had an end */
    CHECK(sends(&f, "EVALSHA"));
    CHECK_INT(tks_op_get_batch(f.op)->replies, 1);
    CHECK_INT(answer(&f, "*1\r\n$5\r\nABCD1\r\n", BOOT), TKS_DONE);
    CHECK(tks_op_get_result(f.op)->tokens->found);
    end(&f);
}

TEST(create_by_hsetex_with_a_strange_answer) {
    fixture f = begin(TKSP_YES, 60000, BOOT);
    CHECK_INT(answer(&f, "$1\r\n1\r\n:0\r\n:1\r\n", BOOT), TKS_FAILED);
    CHECK_STATUS(tks_op_get_error(f.op)->status, TKS_ERR_OUTCOME_UNKNOWN);
    CHECK_CONTAINS(tks_op_get_error(f.op)->message, "HSETEX");
    end(&f);

    f = begin(TKSP_YES, 60000, BOOT);
    CHECK_INT(answer(&f, ":5\r\n:5\r\n:5\r\n", BOOT), TKS_FAILED);
    CHECK_STATUS(tks_op_get_error(f.op)->status, TKS_ERR_OUTCOME_UNKNOWN);
    end(&f);

    f = begin(TKSP_YES, 60000, BOOT);
    CHECK_INT(answer(&f, ":1\r\n$-1\r\n:1\r\n", BOOT), TKS_FAILED);
    CHECK_STATUS(tks_op_get_error(f.op)->status, TKS_ERR_OUTCOME_UNKNOWN);
    end(&f);
}

TEST(create_sent_again_is_the_same) {
    fixture f = begin(TKSP_YES, 60000, BOOT);
    tks_bytes first = tks_op_get_batch(f.op)->bytes;
    char *copy = malloc(first.size);
    memcpy(copy, first.data, first.size);
    size_t size = first.size;
    tks_event lost = {.type = TKS_EVENT_LOST, .sent = true, .boot_ms = BOOT};
    tks_event awake = {.type = TKS_EVENT_AWAKE, .boot_ms = BOOT + 10};
    int64_t us;
    CHECK_INT(tks_op_step(f.op, &lost), TKS_NEED_SLEEP);
    CHECK_INT(tksp_server_stamp(f.server, BOOT, &us),
              TKSP_CLOCK_LOST); /* the next one may be another server */
    CHECK_INT(tks_op_step(f.op, &awake), TKS_NEED_SEND);
    CHECK_BYTES(tks_op_get_batch(f.op)->bytes, tks_bytes_of(copy, size));
    CHECK_INT(answer(&f, ":0\r\n:0\r\n:1\r\n", BOOT + 10), TKS_DONE); /* it is there already */
    CHECK_INT(tks_op_get_result(f.op)->tokens->created_us, NOW_US - 1000 + 1001);
    free(copy);
    end(&f);
}

/* The script's answer to create, with what it has learned: '0' or '1'. */
static tks_need answer_create(fixture *f, char learned) {
    char text[64];
    const char *echo = strstr(tks_op_get_batch(f->op)->bytes.data, "$5\r\n") + 4;
    (void)snprintf(text, sizeof text, "$14\r\nGCiQYEOAA%.4s%c\r\n:1\r\n", echo, learned);
    return answer(f, text, BOOT);
}

TEST(what_a_lost_server_could_do_is_not_learned_again) {
    static const struct {
        char learned;
        tksp_fact known;
    } cases[] = {{'1', TKSP_UNKNOWN}, {'0', TKSP_NO}};
    for (size_t i = 0; i < 2; i++) {
        fixture f = begin(TKSP_NO, 60000, BOOT);
        tks_event lost = {.type = TKS_EVENT_LOST, .boot_ms = BOOT};
        tks_event awake = {.type = TKS_EVENT_AWAKE, .boot_ms = BOOT};
        test_context("'%c'", cases[i].learned);
        CHECK(sends(&f, "EVALSHA"));
        CHECK_INT(tks_op_step(f.op, &lost), TKS_NEED_SLEEP);
        CHECK_INT(tks_op_step(f.op, &awake), TKS_NEED_SEND); /* with what was known before */
        CHECK_INT(answer_create(&f, cases[i].learned), TKS_DONE);
        CHECK_INT(tksp_server_ends_fields(f.server), cases[i].known);
        end(&f);
    }
}

/* The first attempt may have made it, long ago: its time of creation says nothing of the clock. */
TEST(create_sent_again_teaches_no_clock) {
    for (int sent = 0; sent < 2; sent++) {
        fixture f = begin(TKSP_NO, 60000, BOOT);
        tks_event lost = {.type = TKS_EVENT_LOST, .sent = sent > 0, .boot_ms = BOOT};
        tks_event awake = {.type = TKS_EVENT_AWAKE, .boot_ms = BOOT};
        int64_t us;
        test_context("sent: %d", sent);
        CHECK_INT(tks_op_step(f.op, &lost), TKS_NEED_SLEEP);
        CHECK_INT(tks_op_step(f.op, &awake), TKS_NEED_SEND);
        CHECK_INT(answer_create(&f, '1'), TKS_DONE);
        CHECK_INT(tksp_server_stamp(f.server, BOOT, &us),
                  sent > 0 ? TKSP_CLOCK_LOST : TKSP_CLOCK_GOOD);
        end(&f);
    }
}

/* A kind that counted as registered without being so would have no name in any listing. */
TEST(server_knows_only_kinds_that_were_added) {
    tks_server *server = tks_server_new();
    uint32_t known = 0;
    for (uint32_t number = 1; number <= 5000; number++) {
        CHECK(!tksp_server_knows_kind(server, number));
        tksp_server_add_kind(server, number);
        CHECK(tksp_server_knows_kind(server, number));
    }
    for (uint32_t number = 1; number <= 5000; number++) {
        known += tksp_server_knows_kind(server, number);
    }
    CHECK(known >= 512);
    tks_server_free(server);
}

/* Creates another token of the same kind on the fixture's server: does it register the kind? */
static bool next_registers(fixture *f) {
    tks_op_free(f->op);
    f->op = create_on(f->server, 1, 60000, BOOT);
    return sends(f, "HSETNX");
}

TEST(kind_is_known_from_the_answer_on) {
    static const struct {
        const char *answer; /* NULL: it was never sent */
        tks_need need;
        bool registers;
    } cases[] = {{NULL, TKS_DONE, true},
                 {":1\r\n:0\r\n-OOM command not allowed\r\n", TKS_NEED_SEND, true},
                 {":1\r\n:0\r\n-NOPERM no permissions\r\n", TKS_DONE, false},
                 {":1\r\n:0\r\n:1\r\n", TKS_DONE, false},
                 {":1\r\n:0\r\n:0\r\n", TKS_DONE, false}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        fixture f = begin(TKSP_YES, 60000, BOOT);
        test_context("case %zu", i);
        CHECK(sends(&f, "HSETNX"));
        if (cases[i].answer != NULL) CHECK_INT(answer(&f, cases[i].answer, BOOT), cases[i].need);
        CHECK_INT(next_registers(&f), cases[i].registers);
        end(&f);
    }
}

TEST(many_of_one_kind_register_it_once) {
    fixture f = {.server = tks_server_new()};
    f.op = create_on(f.server, 3, 60000, BOOT);
    CHECK_INT(tks_op_get_batch(f.op)->replies, 4);
    CHECK(sends(&f, "HSETNX"));
    end(&f);
}
