/* test_session_event.c - session events: channels, messages, flags, and the operation that enables them. */
#include <stdlib.h>

#include "test.h"
#include "tokenstore/session_event.h"

#define CHANNEL_MAX 64

static bool reads(const char *channel, tks_bytes key, uint32_t db, tks_session_event *out) {
    return tks_session_event_read(test_bytes(channel), key, db, out);
}

TEST(session_channels_are_named_by_kind_and_database) {
    static const struct {
        tks_session_end kind;
        uint32_t db;
        const char *name;
    } cases[] = {
        {TKS_SESSION_EXPIRED, 0, "__keyevent@0__:expired"},
        {TKS_SESSION_DELETED, 0, "__keyevent@0__:del"},
        {TKS_SESSION_DELETED, 15, "__keyevent@15__:del"},
        {TKS_SESSION_EXPIRED, UINT32_MAX, "__keyevent@4294967295__:expired"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        tks_session_event event;
        tks_buf name;
        tks_buf_init(&name, CHANNEL_MAX);
        CHECK_STATUS(tks_session_channel(cases[i].kind, cases[i].db, &name), TKS_OK);
        CHECK_BYTES(tks_buf_bytes(&name), test_bytes(cases[i].name));
        CHECK(tks_session_event_read(tks_buf_bytes(&name), TKS_LITERAL("bob:abcDEF01234"),
                                     cases[i].db, &event));
        CHECK_INT(event.kind, cases[i].kind);
        tks_buf_clear(&name);
    }
}

TEST(session_events_are_read) {
    tks_session_event event;
    CHECK(reads("__keyevent@3__:del", TKS_LITERAL("bob@x.org:zZ9aA0bcdef"), 3, &event));
    CHECK_INT(event.kind, TKS_SESSION_DELETED);
    CHECK_BYTES(event.id, TKS_LITERAL("bob@x.org"));
    CHECK_BYTES(event.rjwt, TKS_LITERAL("bob@x.org:zZ9aA0bcdef"));
    CHECK(reads("__keyevent@0__:expired", TKS_LITERAL("\xff\0{*:00000000000"), 0, &event));
    CHECK_BYTES(event.id, TKS_LITERAL("\xff\0{*"));
}

TEST(other_messages_are_not_sessions) {
    static const char *const channels[] = {
        "__keyevent@0__:set",  "__keyevent@1__:del",
        "__keyevent@0__:dele", "__keyevent@0__:de",
        "__keyspace@0__:del",  "__keyevent@00__:del",
        "__keyevent@0__:",     "",
        "__keyevent@",         "__keyevent@0_:del",
        "X__keyevent@0__:del", "__keyevent@0__:evicted",
    };
    static const char *const keys[] = {
        "bob:abcdefghij",
        "bob:abcdefghijkl",
        "bob:abcdefghij-",
        "bob:abcde:ghijk",
        "a:bob:abcdefghijk",
        ":abcdefghijk",
        "abcdefghijk",
        "bobXabcdefghijk",
        "ts:snZXIewXn1p6axc4pXIg",
        "ts:kinds",
        "",
        ":",
        "token:key:abcdefghijk",
        "bob:abcdefghij\xc3\xa9",
    };
    tks_session_event event;
    for (size_t i = 0; i < sizeof channels / sizeof channels[0]; i++) {
        test_context("%s", channels[i]);
        CHECK(!reads(channels[i], TKS_LITERAL("bob:abcdefghijk"), 0, &event));
    }
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
        test_context("%s", keys[i]);
        CHECK(!reads("__keyevent@0__:del", test_bytes(keys[i]), 0, &event));
    }
    CHECK(!reads("__keyevent@0__:del", tks_bytes_of(NULL, 0), 0, &event));
}

TEST(flags_are_added_and_never_removed) {
    static const char *const cases[][2] = {
        {"", "gxE"},    {"gxE", "gxE"},
        {"AKE", "AKE"}, {"AK", "AKE"},
        {"A", "AE"},    {"K", "KgxE"},
        {"Kx", "KxgE"}, {"Elg", "Elgx"},
        {"KEA", "KEA"}, {"$lshztdmn", "$lshztdmngxE"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        tks_buf flags;
        tks_buf_init(&flags, 100);
        test_context("%s", cases[i][0]);
        CHECK_STATUS(tks_keyspace_flags(test_bytes(cases[i][0]), &flags), TKS_OK);
        CHECK_BYTES(tks_buf_bytes(&flags), test_bytes(cases[i][1]));
        tks_buf_clear(&flags);
    }
}

/* ---- the operation ------------------------------------------------------------------------------ */

static tks_reply *parse(const char *text) {
    tks_reader *reader = NULL;
    tks_reply *reply = NULL;
    tks_bytes bytes = test_bytes(text);
    CHECK_STATUS(tks_reader_new(1 << 20, &reader, NULL), TKS_OK);
    CHECK_STATUS(tks_reader_feed(reader, bytes.data, bytes.size, NULL), TKS_OK);
    CHECK_STATUS(tks_reader_next(reader, &reply, NULL), TKS_OK);
    tks_reader_free(reader);
    if (!CHECK(reply != NULL)) exit(1);
    return reply;
}

static tks_op *begin(void) {
    tks_op *op = NULL;
    tks_error err = TKS_ERROR_INIT;
    tks_event event = {.type = TKS_EVENT_START};
    CHECK_STATUS(tks_session_notify_new(&op, &err), TKS_OK);
    if (!CHECK(op != NULL)) exit(1);
    CHECK_INT(tks_op_step(op, &event), TKS_NEED_SEND);
    CHECK_INT(tks_op_get_batch(op)->safety, TKS_IDEMPOTENT);
    CHECK_BYTES(
        tks_op_get_batch(op)->bytes,
        TKS_LITERAL("*3\r\n$6\r\nCONFIG\r\n$3\r\nGET\r\n$22\r\nnotify-keyspace-events\r\n"));
    return op;
}

static tks_need answer(tks_op *op, const char *text) {
    tks_reply *reply = parse(text);
    tks_event event = {.type = TKS_EVENT_REPLIES, .replies = &reply};
    CHECK_INT(tks_op_get_batch(op)->replies, 1);
    tks_need need = tks_op_step(op, &event);
    tks_reply_free(reply);
    return need;
}

#define FLAGS(size, flags) "*2\r\n$22\r\nnotify-keyspace-events\r\n$" size "\r\n" flags "\r\n"

TEST(notify_sets_what_is_missing) {
    tks_op *op = begin();
    CHECK_INT(answer(op, FLAGS("2", "Kl")), TKS_NEED_SEND);
    CHECK_BYTES(tks_op_get_batch(op)->bytes,
                TKS_LITERAL("*4\r\n$6\r\nCONFIG\r\n$3\r\nSET\r\n$22\r\nnotify-keyspace-events\r\n"
                            "$5\r\nKlgxE\r\n"));
    CHECK_INT(answer(op, "+OK\r\n"), TKS_DONE);
    CHECK_INT(tks_op_get_result(op)->type, TKS_RESULT_BOOL);
    CHECK_INT(tks_op_get_result(op)->integer, 1);
    tks_op_free(op);
}

TEST(notify_leaves_what_is_there) {
    tks_op *op = begin();
    CHECK_INT(answer(op, FLAGS("3", "AKE")), TKS_DONE);
    CHECK_INT(tks_op_get_result(op)->integer, 0);
    tks_op_free(op);
}

TEST(notify_says_what_to_do_when_refused) {
    static const char *const refusals[] = {
        "-NOPERM User x has no permissions to run the 'config|get' command\r\n",
        "-ERR unknown command 'CONFIG', with args beginning with: 'GET' \r\n",
    };
    for (size_t i = 0; i < sizeof refusals / sizeof refusals[0]; i++) {
        tks_op *op = begin();
        CHECK_INT(answer(op, refusals[i]), TKS_FAILED);
        CHECK_STATUS(tks_op_get_error(op)->status, TKS_ERR_SERVER);
        CHECK_CONTAINS(tks_op_get_error(op)->message, "+config|get and +config|set");
        CHECK_CONTAINS(tks_op_get_error(op)->message, "notify-keyspace-events to \"gxE\"");
        tks_op_free(op);
    }
    tks_op *op = begin();
    CHECK_INT(answer(op, FLAGS("0", "")), TKS_NEED_SEND);
    CHECK_INT(answer(op, refusals[0]), TKS_FAILED);
    CHECK_CONTAINS(tks_op_get_error(op)->message, "omit kea");
    tks_op_free(op);
    op = begin();
    CHECK_INT(answer(op, "*0\r\n"), TKS_FAILED);
    CHECK_CONTAINS(tks_op_get_error(op)->message, "cannot report ended sessions");
    tks_op_free(op);
}

TEST(notify_waits_while_the_server_loads) {
    tks_op *op = begin();
    tks_event awake = {.type = TKS_EVENT_AWAKE};
    CHECK_INT(answer(op, "-LOADING wait\r\n"), TKS_NEED_SLEEP);
    CHECK_INT(tks_op_step(op, &awake), TKS_NEED_SEND);
    CHECK_INT(answer(op, FLAGS("3", "gxE")), TKS_DONE);
    tks_op_free(op);
}

TEST(notify_knows_answers_that_are_not_its_own) {
    static const char *const odd[] = {"+OK\r\n",
                                      ":1\r\n",
                                      "$-1\r\n",
                                      "*1\r\n$1\r\na\r\n",
                                      "*2\r\n$7\r\nmaxsize\r\n$1\r\n0\r\n",
                                      "*2\r\n$22\r\nnotify-keyspace-events\r\n:5\r\n"};
    for (size_t i = 0; i < sizeof odd / sizeof odd[0]; i++) {
        tks_op *op = begin();
        test_context("%s", odd[i]);
        CHECK_INT(answer(op, odd[i]), TKS_FAILED);
        CHECK(tks_op_get_error(op)->status != TKS_ERR_SERVER);
        tks_op_free(op);
    }
    tks_op *op = begin();
    CHECK_INT(answer(op, FLAGS("0", "")), TKS_NEED_SEND);
    CHECK_INT(answer(op, ":1\r\n"), TKS_FAILED);
    tks_op_free(op);
}

TEST(a_session_that_is_asked_for) {
    static const struct {
        const char *answer;
        tks_need need;
        int exists;
    } cases[] = {{":-2\r\n", TKS_DONE, 0},
                 {":-1\r\n", TKS_DONE, 1},
                 {":5\r\n", TKS_DONE, 1},
                 {"+OK\r\n", TKS_FAILED, 0}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        tks_op *op = NULL;
        tks_event event = {.type = TKS_EVENT_START};
        CHECK_STATUS(tks_session_exists_new(TKS_LITERAL("bob:00000000000"), &op, NULL), TKS_OK);
        CHECK_INT(tks_op_step(op, &event), TKS_NEED_SEND);
        CHECK_INT(tks_op_get_batch(op)->safety, TKS_READ);
        CHECK_BYTES(tks_op_get_batch(op)->bytes,
                    TKS_LITERAL("*2\r\n$4\r\nPTTL\r\n$15\r\nbob:00000000000\r\n"));
        CHECK_INT(answer(op, cases[i].answer), cases[i].need);
        if (cases[i].need == TKS_DONE) {
            CHECK_INT(tks_op_get_result(op)->integer, cases[i].exists);
        }
        tks_op_free(op);
    }
}
