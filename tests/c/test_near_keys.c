/* test_near_keys.c - the near cache where servers tell of single keys: which are asked for, and what is kept. See near_keys.h. */
#include "near_keys_help.h"

#define KEY  TKS_LITERAL("ts:key")
#define PTTL "*2\r\n$4\r\nPTTL\r\n$6\r\nts:key\r\n"
#define TOLD "*1\r\n$6\r\nts:key\r\n"

static void put_at(tks_near *near, int node, tks_bytes key, const char *text) {
    end_at(near, node, tksp_near_reserve(near, key, BEGAN_MS), key, text);
}

static void put(tks_near *near, tks_bytes key, const char *text) {
    put_at(near, SERVER, key, text);
}

static bool holds_at(tks_near *near, int node, tks_bytes key, const char *text) {
    tksp_near_record record;
    tksp_near_entry *entry = tksp_near_find(near, node, key, FIELD, BEGAN_MS, &record);
    bool good = entry != NULL && tks_bytes_equal(record.text, tks_bytes_of(text, strlen(text)));
    CHECK(entry == NULL || good);
    tksp_near_release(entry);
    return good;
}

static bool holds(tks_near *near, tks_bytes key, const char *text) {
    return holds_at(near, SERVER, key, text);
}

/* How many keys are asked for; `bytes` NULL: whichever. */
static size_t ask_at(tks_near *near, int node, const char *bytes) {
    tks_buf out;
    size_t count;
    tks_buf_init(&out, 64 * 1024);
    CHECK_STATUS(tks_near_ask(near, node, &out, &count), TKS_OK);
    if (bytes != NULL) {
        CHECK(tks_bytes_equal(tks_buf_bytes(&out), tks_bytes_of(bytes, strlen(bytes))));
    }
    tks_buf_clear(&out);
    return count;
}

/* Whatever is wanted is told from now on. */
static void learn(tks_near *near) {
    while (tks_near_wants(near, SERVER)) {
        for (size_t left = ask_at(near, SERVER, NULL); left > 0; left--) {
            answer_at(near, SERVER, ":-1\r\n");
        }
    }
}

TEST(near_keys_keep_what_was_asked_for_after_the_answer) {
    tks_near *near = near_open(10);
    CHECK(tks_near_get_tracking(near) == TKS_NEAR_KEYS);
    CHECK(!tks_near_wants(near, SERVER));
    put(near, KEY, "one");
    CHECK(!holds(near, KEY, ""));
    CHECK(tks_near_wants(near, SERVER));
    CHECK_INT(ask_at(near, SERVER, PTTL), 1);
    CHECK(!tks_near_wants(near, SERVER));
    put(near, KEY, "one");
    CHECK(!holds(near, KEY, ""));
    CHECK(!tks_near_wants(near, SERVER)); /* once is enough */
    tksp_near_ticket before = tksp_near_reserve(near, KEY, BEGAN_MS);
    answer_at(near, SERVER, ":-1\r\n");
    end_at(near, SERVER, before, KEY, "older");
    CHECK(!holds(near, KEY, ""));
    put(near, KEY, "two");
    CHECK(holds(near, KEY, "two"));
    CHECK(!tks_near_wants(near, SERVER));
    tks_near_free(near);
}

TEST(near_keys_end_with_a_message) {
    tks_near *near = near_open(10);
    for (int how = 0; how < 3; how++) {
        put(near, KEY, "one");
        learn(near);
        put(near, KEY, "one");
        CHECK(holds(near, KEY, "one"));
        if (how == 0) take(near, TOLD);
        if (how == 1) take(near, "*-1\r\n");     /* FLUSHALL */
        if (how == 2) tksp_near_drop(near, KEY); /* the message about it is on its way */
        CHECK(!holds(near, KEY, ""));
        put(near, KEY, "two");
        CHECK(!holds(near, KEY, ""));
        CHECK_INT(ask_at(near, SERVER, PTTL), 1);
        answer_at(near, SERVER, ":-1\r\n");
    }
    tks_near_free(near);
}

/* The server sent it before it executed the question. */
TEST(near_keys_survive_a_message_from_before_the_answer) {
    tks_near *near = near_open(10);
    put(near, KEY, "one");
    CHECK_INT(ask_at(near, SERVER, PTTL), 1);
    take(near, TOLD);
    take(near, "*-1\r\n");
    answer_at(near, SERVER, ":5000\r\n");
    put(near, KEY, "two");
    CHECK(holds(near, KEY, "two"));
    tks_near_free(near);
}

TEST(near_keys_take_push_messages) {
    tks_near *near = near_open(10);
    static const struct {
        const char *text;
        bool message;
    } replies[] = {
        {">2\r\n$10\r\ninvalidate\r\n*1\r\n$6\r\nts:key\r\n", true},
        {">2\r\n$10\r\ninvalidate\r\n_\r\n", true},
        {"+PONG\r\n", false},
        {":-2\r\n", false},
        {">2\r\n$9\r\nsomething\r\n_\r\n", false},
    };
    for (size_t i = 0; i < sizeof replies / sizeof replies[0]; i++) {
        put(near, KEY, "one");
        learn(near);
        put(near, KEY, "one");
        tks_reply *reply = cluster_reply(replies[i].text);
        CHECK(tks_near_hear(near, reply) == replies[i].message);
        tks_reply_free(reply);
        CHECK(holds(near, KEY, "one") != replies[i].message);
    }
    tks_near_free(near);
}

/* The node does not serve the key, or not now: the next operation wants it again. */
TEST(near_keys_forget_what_was_not_answered) {
    tks_near *near = near_open(10);
    for (int i = 0; i < 3; i++) {
        put(near, KEY, "one");
        CHECK_INT(ask_at(near, SERVER, PTTL), 1);
        answer_at(near, SERVER, "-MOVED 7 127.0.0.1:7000\r\n");
    }
    answer_at(near, SERVER, ":1\r\n"); /* to nothing */
    put(near, KEY, "one");
    CHECK(!holds(near, KEY, ""));
    tks_near_free(near);
}

TEST(near_keys_do_not_ask_who_refused) {
    tks_near *near = near_open(10);
    tks_notes notes;
    tks_notes_init(&notes, 1024);
    put(near, KEY, "one");
    CHECK_INT(ask_at(near, SERVER, PTTL), 1);
    answer_at(near, SERVER, "-NOPERM this user has no permissions to run the 'pttl' command\r\n");
    put(near, KEY, "one");
    CHECK(!tks_near_wants(near, SERVER));
    tksp_near_tell(near, &notes);
    CHECK(!tks_notes_is_empty(&notes));
    tks_notes_clear(&notes);
    tks_near_open(near, SERVER, tks_near_get_version(near),
                  BEGAN_MS - 1); /* another user, perhaps */
    put(near, KEY, "one");
    CHECK(tks_near_wants(near, SERVER));
    tks_near_free(near);
}

/* The server that accepts the next connection has forgotten all. */
TEST(near_keys_end_with_the_link) {
    tks_near *near = near_open(10);
    put(near, TKS_LITERAL("ts:a"), "one");
    put(near, KEY, "one");
    learn(near);
    put(near, KEY, "one");
    put(near, TKS_LITERAL("ts:wanted"), "one");
    CHECK(tks_near_wants(near, SERVER));
    tks_near_lose(near, SERVER);
    CHECK(!tks_near_wants(near, SERVER));
    put(near, KEY, "one");
    CHECK(!tks_near_wants(near, SERVER));
    tks_near_open(near, SERVER, tks_near_get_version(near), BEGAN_MS - 1);
    CHECK(!holds(near, KEY, ""));
    put(near, KEY, "two");
    CHECK(!holds(near, KEY, ""));
    CHECK_INT(ask_at(near, SERVER, PTTL), 1);
    tks_near_lose(near, SERVER); /* the answer is lost */
    tks_near_open(near, SERVER, tks_near_get_version(near), BEGAN_MS - 1);
    put(near, KEY, "two");
    CHECK_INT(ask_at(near, SERVER, PTTL), 1);
    answer_at(near, SERVER, ":-1\r\n");
    put(near, KEY, "three");
    CHECK(holds(near, KEY, "three"));
    tks_near_free(near);
}

TEST(near_keys_are_each_nodes_own) {
    tks_near *near = near_open_at(10, NODE);
    tks_near_open(near, OTHER_NODE, 0, BEGAN_MS - 1);
    put_at(near, NODE, KEY, "one");
    CHECK_INT(ask_at(near, OTHER_NODE, ""), 0);
    CHECK_INT(ask_at(near, NODE, PTTL), 1);
    answer_at(near, NODE, ":-1\r\n");
    put_at(near, NODE, KEY, "one");
    CHECK(holds_at(near, NODE, KEY, "one"));
    put_at(near, OTHER_NODE, KEY, "two"); /* it serves the key now */
    CHECK(!holds_at(near, OTHER_NODE, KEY, ""));
    CHECK_INT(ask_at(near, OTHER_NODE, PTTL), 1);
    answer_at(near, OTHER_NODE, ":-1\r\n");
    put_at(near, OTHER_NODE, KEY, "two");
    CHECK(holds_at(near, OTHER_NODE, KEY, "two"));
    tks_near_free(near);
}

/* Links are not opened anew for other prefixes. */
TEST(near_keys_have_no_prefixes) {
    tks_near *near = near_open(10);
    tksp_near_want(near, TKS_LITERAL("ts:"));
    unsigned version = tks_near_get_version(near);
    CHECK(version > 0);
    tksp_near_want(near, TKS_LITERAL("other:"));
    tksp_near_want(near, TKS_LITERAL(""));
    CHECK_INT(tks_near_get_version(near), version);
    tks_near_free(near);
}

/* Each step of the operation that begins to track, as it is sent. */
TEST(near_keys_are_tracked_by_resp3) {
    tks_near *near = near_open(10);
    tks_op *op = NULL;
    unsigned version;
    CHECK_STATUS(tks_near_track_new(near, &version, &op, NULL), TKS_OK);
    tks_event event = {.type = TKS_EVENT_START, .now_ms = BEGAN_MS};
    CHECK_INT(tks_op_step(op, &event), TKS_NEED_SEND);
    CHECK_BYTES(tks_op_get_batch(op)->bytes, TKS_LITERAL("*2\r\n$5\r\nHELLO\r\n$1\r\n3\r\n"));
    CHECK_INT(cluster_answer(op, "%1\r\n$5\r\nproto\r\n:3\r\n"), TKS_NEED_SEND);
    CHECK_BYTES(tks_op_get_batch(op)->bytes,
                TKS_LITERAL("*3\r\n$6\r\nCLIENT\r\n$8\r\nTRACKING\r\n$2\r\nON\r\n"));
    CHECK_INT(cluster_answer(op, "+OK\r\n"), TKS_DONE);
    tks_op_free(op);
    CHECK_STATUS(tks_near_track_new(near, &version, &op, NULL), TKS_OK);
    CHECK_INT(tks_op_step(op, &event), TKS_NEED_SEND);
    CHECK_INT(cluster_answer(op, "-ERR unknown command 'HELLO'\r\n"), TKS_FAILED);
    CHECK_CONTAINS(tks_op_get_error(op)->message, "near_cache_tracking=keys needs a server with");
    tks_op_free(op);
    tks_near_free(near);
}

static void count_call(void *context) {
    (*(int *)context)++;
}

TEST(near_keys_wake_once) {
    tks_near *near = near_open(10);
    int calls = 0;
    tks_near_set_waker(near, count_call, &calls);
    put(near, TKS_LITERAL("ts:a"), "one");
    put(near, TKS_LITERAL("ts:b"), "one");
    put(near, TKS_LITERAL("ts:b"), "one");
    CHECK_INT(calls, 1);
    CHECK_INT(ask_at(near, SERVER, NULL), 2);
    put(near, TKS_LITERAL("ts:c"), "one");
    CHECK_INT(calls, 2);
    CHECK_INT(ask_at(near, SERVER, NULL), 1);
    tks_near_set_waker(near, NULL, NULL);
    put(near, TKS_LITERAL("ts:d"), "one");
    CHECK_INT(calls, 2);
    tks_near_free(near);
}

TEST(near_keys_ask_for_what_one_write_takes) {
    enum { KEYS = 300, BYTES = 4096 };
    tks_near *near = near_open(KEYS);
    char text[32];
    size_t asked = 0, turns = 0;
    for (int i = 0; i < KEYS; i++) put(near, print(text, "key", i), "one");
    while (tks_near_wants(near, SERVER)) {
        tks_buf out;
        size_t count;
        tks_buf_init(&out, 64 * 1024);
        CHECK_STATUS(tks_near_ask(near, SERVER, &out, &count), TKS_OK);
        CHECK(count > 0 && out.size <= BYTES);
        tks_buf_clear(&out);
        asked += count;
        turns++;
    }
    CHECK_INT(asked, KEYS);
    CHECK(turns > 1 && turns < 10);
    tks_near_free(near);
}

/* A key that is longer than that is asked for alone. */
TEST(near_keys_ask_for_long_keys) {
    enum { SIZE = 10000 };
    static char key[SIZE];
    tks_near *near = near_open(10);
    memset(key, 'k', SIZE);
    put(near, tks_bytes_of(key, SIZE), "one");
    put(near, tks_bytes_of(key, SIZE - 1), "one");
    CHECK_INT(ask_at(near, SERVER, NULL), 1);
    CHECK_INT(ask_at(near, SERVER, NULL), 1);
    tks_near_free(near);
}

/* Keys that are asked for once and never again displace each other, and none of which there is a record. */
TEST(near_keys_are_bounded) {
    enum { ROOM = 100, SPARE = ROOM / 4 + 16, OTHERS = 1000 };
    tks_near *near = near_open(ROOM);
    char text[32];
    for (int round = 0; round < 2; round++) {
        for (int i = 0; i < ROOM; i++) put(near, print(text, "used", i), "one");
        learn(near);
    }
    for (int i = 0; i < OTHERS; i++) {
        put(near, print(text, "other", i), "two");
        learn(near);
    }
    for (int i = 0; i < ROOM; i++) CHECK(holds(near, print(text, "used", i), "one"));
    for (int i = 0; i < OTHERS; i++) put(near, print(text, "wanted", i), "two");
    CHECK_INT(ask_at(near, SERVER, NULL) + ask_at(near, SERVER, NULL), SPARE);
    CHECK_INT(tks_near_get_stats(near, BEGAN_MS).entries, ROOM);
    tks_near_free(near);
}

/* Records that others displace make room for their keys. */
TEST(near_keys_go_when_their_records_are_gone) {
    enum { ROOM = 50, TURNS = 40 };
    tks_near *near = near_open(ROOM);
    char text[32];
    for (int turn = 0; turn < TURNS; turn++) {
        for (int round = 0; round < 2; round++) {
            for (int i = 0; i < ROOM / 2; i++)
                put(near, print(text, "key", turn * ROOM + i), "one");
            learn(near);
        }
        for (int i = 0; i < ROOM / 2; i++) {
            CHECK(holds(near, print(text, "key", turn * ROOM + i), "one"));
        }
    }
    tks_near_free(near);
}
