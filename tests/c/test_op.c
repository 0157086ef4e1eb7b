/* test_op.c - how an operation without a reply ends, and whether it may have happened. */
#include <string.h>

#include "test.h"
#include "tokenstore/op.h"
#include "tokenstore/tokens.h"

static tks_op *make(tks_status (*of)(const tks_tokens *, tks_op **, tks_error *)) {
    tks_tokens_options options = TKS_TOKENS_OPTIONS_INIT;
    tks_tokens *tokens = NULL;
    tks_op *op = NULL;
    CHECK_STATUS(tks_tokens_new(&options, &tokens, NULL), TKS_OK);
    CHECK_STATUS(of(tokens, &op, NULL), TKS_OK);
    tks_tokens_free(tokens);
    return op;
}

static tks_status get(const tks_tokens *t, tks_op **out, tks_error *err) {
    return tks_tokens_get(t, TKS_LITERAL("a"), TKS_LITERAL("t"), TKS_LITERAL("x"), 0, false, out,
                          err);
}

static tks_status get_many(const tks_tokens *t, tks_op **out, tks_error *err) {
    tks_bytes tokens[] = {TKS_LITERAL("x"), TKS_LITERAL("y")};
    return tks_tokens_get_many(t, TKS_LITERAL("a"), TKS_LITERAL("t"), 2, tokens, out, err);
}

static tks_status rotate(const tks_tokens *t, tks_op **out, tks_error *err) {
    static const tks_rotation plain = {.duration_ms = 0};
    return tks_tokens_rotate(t, TKS_LITERAL("a"), TKS_LITERAL("t"), TKS_LITERAL("x"), &plain, out,
                             err);
}

static tks_status delete_one(const tks_tokens *t, tks_op **out, tks_error *err) {
    return tks_tokens_delete(t, TKS_LITERAL("a"), TKS_LITERAL("t"), TKS_LITERAL("x"), out, err);
}

/* Loses every connection until the end, the first `sent` times after something was sent. */
static tks_status lose_all(tks_op *op, int sent) {
    tks_event event = {.type = TKS_EVENT_START};
    tks_need need = TKS_NEED_SEND;
    for (int steps = 0; steps < 100; steps++) {
        need = tks_op_step(op, &event);
        if (need == TKS_NEED_SEND) {
            event = (tks_event){.type = TKS_EVENT_LOST, .sent = sent-- > 0};
        } else if (need == TKS_NEED_SLEEP) {
            event = (tks_event){.type = TKS_EVENT_AWAKE};
        } else {
            break;
        }
    }
    CHECK_INT(need, TKS_FAILED);
    tks_status status = tks_op_get_error(op)->status;
    tks_op_free(op);
    return status;
}

TEST(op_lost_reads_never_are_in_doubt) {
    CHECK_STATUS(lose_all(make(get), 9), TKS_ERR_CONNECTION);
}

TEST(op_lost_before_it_was_sent_is_not_in_doubt) {
    CHECK_STATUS(lose_all(make(rotate), 0), TKS_ERR_CONNECTION);
    CHECK_STATUS(lose_all(make(delete_one), 0), TKS_ERR_CONNECTION);
}

TEST(op_lost_after_it_was_sent_is_in_doubt) {
    CHECK_STATUS(lose_all(make(delete_one), 1), TKS_ERR_OUTCOME_UNKNOWN);
    CHECK_STATUS(lose_all(make(rotate), 9), TKS_ERR_OUTCOME_UNKNOWN);
}

TEST(op_lost_once_sent_stays_in_doubt_though_later_tries_never_left) {
    CHECK_STATUS(lose_all(make(rotate), 1), TKS_ERR_OUTCOME_UNKNOWN);
}

/* The deadline passes while waiting for the reply. */
static tks_status run_late(tks_op *op, bool sent) {
    tks_event start = {.type = TKS_EVENT_START};
    tks_event late = {.type = TKS_EVENT_DEADLINE, .sent = sent};
    CHECK_INT(tks_op_step(op, &start), TKS_NEED_SEND);
    CHECK_INT(tks_op_step(op, &late), TKS_FAILED);
    tks_status status = tks_op_get_error(op)->status;
    tks_op_free(op);
    return status;
}

TEST(op_late_answers_leave_changes_in_doubt) {
    CHECK_STATUS(run_late(make(get), true), TKS_ERR_TIMEOUT);
    CHECK_STATUS(run_late(make(rotate), false), TKS_ERR_TIMEOUT);
    CHECK_STATUS(run_late(make(rotate), true), TKS_ERR_OUTCOME_UNKNOWN);
    CHECK_STATUS(run_late(make(delete_one), true), TKS_ERR_OUTCOME_UNKNOWN);
}

/* ---- effect of refusals on the connection --------------------------------------------------------- */

/* Passes `text`, one or more replies, to the operation. */
static tks_need answer(tks_op *op, const char *text) {
    tks_reader *reader = NULL;
    tks_reply *replies[4] = {NULL};
    size_t count = 0;
    tks_event event = {.type = TKS_EVENT_REPLIES, .replies = replies};
    test_context("%s", text);
    CHECK_STATUS(tks_reader_new(1 << 20, &reader, NULL), TKS_OK);
    CHECK_STATUS(tks_reader_feed(reader, text, strlen(text), NULL), TKS_OK);
    while (count < 4 && tks_reader_next(reader, &replies[count], NULL) == TKS_OK &&
           replies[count] != NULL) {
        count++;
    }
    CHECK_INT(count, tks_op_get_batch(op)->replies);
    tks_need need = tks_op_step(op, &event);
    for (size_t i = 0; i < count; i++) tks_reply_free(replies[i]);
    tks_reader_free(reader);
    return need;
}

static tks_op *begin(tks_op *op) {
    tks_event start = {.type = TKS_EVENT_START};
    CHECK_INT(tks_op_step(op, &start), TKS_NEED_SEND);
    return op;
}

static void wake(tks_op *op) {
    tks_event awake = {.type = TKS_EVENT_AWAKE};
    CHECK_INT(tks_op_step(op, &awake), TKS_NEED_SEND);
}

static tks_op *raw(size_t count) {
    size_t argc[] = {1, 1};
    tks_bytes argv[] = {TKS_LITERAL("PING"), TKS_LITERAL("PING")};
    tks_op *op = NULL;
    CHECK_STATUS(tks_raw_new(count, argc, argv, NULL, NULL, &op, NULL), TKS_OK);
    return op;
}

#define WITHIN "-ERR Error running script (call to f_6b1b): @user_script:1: @user_script: 1: "

TEST(op_a_replica_is_left) {
    static const char *const texts[] = {"-READONLY You can't write against a replica.\r\n",
                                        WITHIN "-READONLY You can't write against a replica.\r\n"};
    for (size_t i = 0; i < 2; i++) {
        tks_op *op = begin(make(rotate));
        CHECK_INT(answer(op, texts[i]), TKS_NEED_SLEEP);
        CHECK_INT(tks_op_get_trust(op), TKS_TRUST_LEAVE);
        wake(op);
        CHECK_INT(answer(op, "-LOADING wait\r\n"), TKS_NEED_SLEEP);
        CHECK_INT(tks_op_get_trust(op), TKS_TRUST_KEEP);
        wake(op);
        tks_op_free(op);
    }
}

/* The caller gets the reply, and the connections are still dropped. */
TEST(op_a_replica_is_left_after_raw_commands) {
    tks_op *op = begin(raw(1));
    CHECK_INT(answer(op, "-READONLY You can't write\r\n"), TKS_DONE);
    CHECK_INT(tks_op_get_trust(op), TKS_TRUST_LEAVE);
    tks_op_free(op);

    op = begin(raw(2));
    CHECK_INT(answer(op, WITHIN "-READONLY no\r\n+OK\r\n"), TKS_DONE);
    CHECK_INT(tks_op_get_trust(op), TKS_TRUST_LEAVE);
    tks_op_free(op);

    op = begin(raw(2));
    CHECK_INT(answer(op, "-OOM no\r\n+OK\r\n"), TKS_DONE);
    CHECK_INT(tks_op_get_trust(op), TKS_TRUST_KEEP);
    tks_op_free(op);
}

/* A new connection may log in as the server now requires; otherwise the error is returned. */
TEST(op_a_login_that_is_wanted_now) {
    tks_op *op = begin(make(get));
    CHECK_INT(answer(op, "-NOAUTH Authentication required.\r\n"), TKS_NEED_SLEEP);
    CHECK_INT(tks_op_get_trust(op), TKS_TRUST_LEAVE);
    wake(op);
    CHECK_INT(answer(op, "-NOAUTH Authentication required.\r\n"), TKS_FAILED);
    CHECK_INT(tks_op_get_trust(op), TKS_TRUST_LEAVE);
    CHECK_STATUS(tks_op_get_error(op)->status, TKS_ERR_SERVER);
    CHECK_CONTAINS(tks_op_get_error(op)->message, "NOAUTH");
    tks_op_free(op);

    op = begin(make(get_many));
    CHECK_INT(tks_op_get_batch(op)->replies, 2);
    CHECK_INT(answer(op, "-NOAUTH no\r\n-NOAUTH no\r\n"), TKS_NEED_SLEEP);
    wake(op);
    CHECK_INT(tks_op_get_batch(op)->replies, 2);
    CHECK_INT(answer(op, "$-1\r\n$-1\r\n"), TKS_DONE);
    CHECK_INT(tks_op_get_trust(op), TKS_TRUST_KEEP);
    tks_op_free(op);

    op = begin(raw(1));
    CHECK_INT(answer(op, "-NOAUTH Authentication required.\r\n"), TKS_DONE);
    CHECK_INT(tks_op_get_trust(op), TKS_TRUST_LEAVE);
    tks_op_free(op);
}

TEST(op_a_node_of_a_cluster_says_what_to_do) {
    static const char *const texts[] = {
        "-MOVED 3999 127.0.0.1:6381\r\n", "-ASK 3999 127.0.0.1:6381\r\n",
        "-CROSSSLOT Keys in request don't hash to the same slot\r\n"};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        tks_op *op = begin(make(rotate));
        CHECK_INT(answer(op, texts[i]), TKS_FAILED);
        CHECK_STATUS(tks_op_get_error(op)->status, TKS_ERR_SERVER);
        CHECK_CONTAINS(tks_op_get_error(op)->message, "use a redis+cluster:// URL");
        tks_op_free(op);
    }
}

/* ---- notes for the log ----------------------------------------------------------------------------- */

static void check_notes(tks_op *op, const char *want) {
    tks_buf text;
    tks_buf_init(&text, 1 << 16);
    CHECK_STATUS(tks_notes_take(tks_op_get_notes(op), &text), TKS_OK);
    CHECK_BYTES(tks_buf_bytes(&text), test_bytes(want));
    tks_buf_clear(&text);
}

TEST(op_notes_say_why_it_tried_again) {
    tks_error why = {TKS_ERR_CONNECTION, "redis://h:1/0: refused"};
    tks_event lost = {.type = TKS_EVENT_LOST, .why = &why};
    tks_op *op = begin(make(get));
    for (int i = 0; i < 3; i++) {
        CHECK_INT(tks_op_step(op, &lost), TKS_NEED_SLEEP);
        wake(op);
    }
    for (int i = 0; i < 3; i++) {
        CHECK_INT(answer(op, "-LOADING wait\r\n"), TKS_NEED_SLEEP);
        wake(op);
    }
    CHECK_INT(answer(op, "-READONLY no\r\n"), TKS_NEED_SLEEP);
    check_notes(op,
                "itrying again: redis://h:1/0: refused\n"
                "itrying again until the deadline: the server answered: LOADING wait\n"
                "wdropping the connections to this server: the server answered: READONLY no\n");
    wake(op);
    CHECK_INT(answer(op, "$-1\r\n"), TKS_DONE);
    check_notes(op, "");
    tks_op_free(op);

    op = begin(raw(1));
    CHECK_INT(answer(op, "-READONLY no\r\n"), TKS_DONE);
    check_notes(op, "wdropping the connections to this server: the server answered: READONLY no\n");
    tks_op_free(op);
}

/* ---- raw commands that would change the connection -------------------------------------------------- */

/* `text` has one command per line, with words separated by spaces. */
static tks_status make_raw(const char *text, tks_error *err) {
    tks_bytes argv[32];
    size_t argc[8] = {0}, count = 0, words = 0;
    tks_op *op = NULL;
    test_context("%s", text);
    for (const char *at = text; *at != '\0'; count++) {
        const char *end = strchr(at, '\n');
        end = end == NULL ? at + strlen(at) : end;
        while (at < end) {
            size_t size = strcspn(at, " \n");
            argv[words++] = tks_bytes_of(at, size);
            argc[count]++;
            at += size + (at[size] == ' ');
        }
        at += *at == '\n';
    }
    *err = (tks_error)TKS_ERROR_INIT;
    tks_status status = tks_raw_new(count, argc, argv, NULL, NULL, &op, err);
    CHECK((op != NULL) == (status == TKS_OK));
    tks_op_free(op);
    return status;
}

TEST(op_raw_commands_that_change_a_connection_are_refused) {
    static const char *const texts[] = {"SELECT 3",
                                        "select 3",
                                        "SeLeCt",
                                        "AUTH secret",
                                        "auth user secret",
                                        "HELLO",
                                        "HELLO 3",
                                        "RESET",
                                        "QUIT",
                                        "CLIENT SETNAME x",
                                        "client setname x",
                                        "CLIENT SetInfo LIB-NAME x",
                                        "CLIENT REPLY OFF",
                                        "CLIENT TRACKING ON",
                                        "CLIENT CACHING YES",
                                        "CLIENT NO-EVICT on",
                                        "CLIENT NO-TOUCH on",
                                        "CLIENT CAPA redirect",
                                        "CLIENT IMPORT-SOURCE on",
                                        "SUBSCRIBE a",
                                        "psubscribe a*",
                                        "SSUBSCRIBE a",
                                        "UNSUBSCRIBE",
                                        "PUNSUBSCRIBE",
                                        "SUNSUBSCRIBE",
                                        "MONITOR",
                                        "WATCH k",
                                        "READONLY",
                                        "READWRITE",
                                        "ASKING",
                                        "SCRIPT DEBUG YES",
                                        "SYNC",
                                        "PSYNC ? -1",
                                        "REPLCONF ack 0",
                                        "PING\nSELECT 3\nPING",
                                        "MULTI",
                                        "multi",
                                        "MULTI\nINCR n",
                                        "MULTI\nEXEC\nMULTI",
                                        "EXEC\nMULTI",
                                        "MULTI\nEXEC now",
                                        "MULTI\nINCR n\nEXEC\nWATCH k",
                                        "MULTI\nSELECT 1\nEXEC"};
    static const char *const fine[] = {"GET SELECT",
                                       "SET AUTH x",
                                       "SELECTED 3",
                                       "SELEC 3",
                                       "CLIENT",
                                       "CLIENT ID",
                                       "CLIENT LIST",
                                       "CLIENT GETNAME",
                                       "CLIENT KILL ID 3",
                                       "CLIENT REPLYING x",
                                       "SCRIPT LOAD x",
                                       "SCRIPT FLUSH",
                                       "PUBLISH c SUBSCRIBE",
                                       "MULTI\nINCR n\nEXEC",
                                       "multi\nexec",
                                       "MULTI\nDISCARD",
                                       "EXEC",
                                       "MULTI\nEXEC\nMULTI\nDISCARD\nPING",
                                       "BLPOP k 1",
                                       "WAIT 1 100",
                                       "UNWATCH"};
    tks_error err;
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        CHECK_STATUS(make_raw(texts[i], &err), TKS_ERR_DATA);
        CHECK_CONTAINS(err.message, "is not sent");
        CHECK(strstr(err.message, "secret") == NULL);
    }
    for (size_t i = 0; i < sizeof fine / sizeof fine[0]; i++) {
        CHECK_STATUS(make_raw(fine[i], &err), TKS_OK);
    }
    CHECK_STATUS(make_raw("select 3", &err), TKS_ERR_DATA);
    CHECK_CONTAINS(err.message, "redis://…/3");
    /* Words with any bytes. */
    size_t argc = 1;
    tks_op *op = NULL;
    tks_bytes word = tks_bytes_of("SELECT\0", 7);
    CHECK_STATUS(tks_raw_new(1, &argc, &word, NULL, NULL, &op, NULL), TKS_OK);
    tks_op_free(op);
    word = tks_bytes_of("", 0);
    CHECK_STATUS(tks_raw_new(1, &argc, &word, NULL, NULL, &op, NULL), TKS_OK);
    tks_op_free(op);
}

TEST(op_a_multi_that_could_not_end_closes_the_connection) {
    size_t argc[] = {1, 1};
    tks_bytes argv[] = {TKS_LITERAL("MULTI"), TKS_LITERAL("exec")};
    tks_op *op = NULL;
    CHECK_STATUS(tks_raw_new(2, argc, argv, NULL, NULL, &op, NULL), TKS_OK);
    begin(op);
    CHECK_INT(answer(op, "+OK\r\n-NOPERM User x has no permissions to run 'exec'\r\n"), TKS_DONE);
    CHECK_INT(tks_op_get_trust(op), TKS_TRUST_CLOSE);
    tks_op_free(op);

    CHECK_STATUS(tks_raw_new(2, argc, argv, NULL, NULL, &op, NULL), TKS_OK);
    begin(op);
    CHECK_INT(answer(op, "+OK\r\n-EXECABORT Transaction discarded\r\n"), TKS_DONE);
    CHECK_INT(tks_op_get_trust(op), TKS_TRUST_KEEP);
    tks_op_free(op);
}
