/* test_near_keys.c - the near cache where servers tell of single keys: which are asked for, and what is kept. See near_keys.h. */
#include <stdio.h>

#include "cluster_help.h"
#include "near.h"
#include "test.h"
#include "tokenstore/secret.h"

enum { SERVER = -1, STALE_MS = 2000, BEGAN_MS = 1000000, NODE = 3, OTHER_NODE = 7 };

#define KEY   TKS_LITERAL("ts:key")
#define FIELD TKS_LITERAL("field")
#define PTTL  "*2\r\n$4\r\nPTTL\r\n$6\r\nts:key\r\n"
#define TOLD  "*1\r\n$6\r\nts:key\r\n"

static tks_near *near_open_at(size_t entries, int node) {
    CHECK_STATUS(tks_secret_start(NULL), TKS_OK);
    tks_near *near = tks_near_new(entries, STALE_MS, TKS_NEAR_KEYS);
    CHECK(near != NULL);
    tks_near_open(near, node, tks_near_get_version(near), BEGAN_MS - 1);
    return near;
}

static tks_near *near_open(size_t entries) {
    return near_open_at(entries, SERVER);
}

static void end_at(tks_near *near, int node, tksp_near_ticket ticket, tks_bytes key,
                   const char *text) {
    const tksp_near_record record = {tks_bytes_of(text, strlen(text)), 0, BEGAN_MS};
    tksp_near_put(near, ticket, node, key, FIELD, &record);
}

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

static void take(tks_near *near, const char *text) {
    tks_reply *reply = cluster_reply(text);
    tks_near_take(near, reply);
    tks_reply_free(reply);
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

static void answer_at(tks_near *near, int node, const char *text) {
    tks_reply *reply = cluster_reply(text);
    tks_near_answer(near, node, reply);
    tks_reply_free(reply);
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

static tks_bytes print(char *out, const char *name, int number) {
    int size = snprintf(out, 32, "%s %d", name, number);
    return tks_bytes_of(out, (size_t)size);
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

/* ---- against a server ---- */

enum { KEYS = 6, CALLS = 4, EVENTS = 64 };

/* A model of a server, of the connection to it, and of operations that are under way. */
typedef struct model {
    tks_near *near;
    int values[KEYS];
    bool remembered[KEYS];
    int questions[EVENTS], first_question, last_question; /* keys that PTTL was sent for */
    struct {
        int key;
        bool message; /* else an answer */
    } events[EVENTS];
    int first_event, last_event;
    struct {
        int key, value; /* -1: none, not read yet */
        tksp_near_ticket ticket;
    } calls[CALLS];
} model;

static tks_bytes key_of(int k) {
    static const char *const names[KEYS] = {"k0", "k1", "k2", "k3", "k4", "k5"};
    return tks_bytes_of(names[k], 2);
}

static void tell(model *m, int k, bool message) {
    m->events[m->last_event % EVENTS].key = k;
    m->events[m->last_event++ % EVENTS].message = message;
}

/* Also what the server does when its table is full. */
static void forget(model *m, int k) {
    if (m->remembered[k]) tell(m, k, true);
    m->remembered[k] = false;
}

static void ask_model(model *m) {
    tks_buf out;
    size_t count;
    if (m->first_question < m->last_question || m->first_event < m->last_event) return;
    tks_buf_init(&out, 64 * 1024);
    CHECK_STATUS(tks_near_ask(m->near, SERVER, &out, &count), TKS_OK);
    const size_t size = strlen("*2\r\n$4\r\nPTTL\r\n$2\r\nk0\r\n");
    CHECK_INT(out.size, count * size);
    for (size_t i = 0; i < count; i++) {
        m->questions[m->last_question++ % EVENTS] = out.data[(i + 1) * size - 3] - '0';
    }
    tks_buf_clear(&out);
}

static void answer_model(model *m) {
    if (m->first_question == m->last_question) return;
    int k = m->questions[m->first_question++ % EVENTS];
    m->remembered[k] = true;
    tell(m, k, false);
}

static void deliver(model *m) {
    char text[64];
    if (m->first_event == m->last_event) return;
    int k = m->events[m->first_event % EVENTS].key;
    if (m->events[m->first_event++ % EVENTS].message) {
        (void)snprintf(text, sizeof text, "*1\r\n$2\r\nk%d\r\n", k);
        take(m->near, text);
    } else {
        answer_at(m->near, SERVER, ":-1\r\n");
    }
}

static bool is_on_its_way(const model *m, int k) {
    for (int i = m->first_event; i < m->last_event; i++) {
        if (m->events[i % EVENTS].message && m->events[i % EVENTS].key == k) return true;
    }
    return false;
}

/* Begins a call, has the server read for it, or ends it. */
static void step_call(model *m, int c, int k) {
    char text[32];
    if (m->calls[c].key < 0) {
        m->calls[c].key = k;
        m->calls[c].value = -1;
        m->calls[c].ticket = tksp_near_reserve(m->near, key_of(k), BEGAN_MS);
    } else if (m->calls[c].value < 0) {
        m->calls[c].value = m->values[m->calls[c].key];
    } else {
        (void)print(text, "at", m->calls[c].value);
        end_at(m->near, SERVER, m->calls[c].ticket, key_of(m->calls[c].key), text);
        m->calls[c].key = -1;
    }
}

/* What is found is what the server has, unless it has told otherwise already. */
static int check_model(model *m, int k) {
    tksp_near_record record;
    char text[32];
    tksp_near_entry *entry = tksp_near_find(m->near, SERVER, key_of(k), FIELD, BEGAN_MS, &record);
    if (entry == NULL) return 0;
    CHECK(tks_bytes_equal(record.text, print(text, "at", m->values[k])) || is_on_its_way(m, k));
    tksp_near_release(entry);
    return 1;
}

TEST(near_keys_agree_with_a_server) {
    enum { STEPS = 300000 };
    static model m;
    int found = 0;
    m = (model){.near = near_open(KEYS)};
    for (int c = 0; c < CALLS; c++) m.calls[c].key = -1;
    for (int step = 0; step < STEPS; step++) {
        int k = (int)tks_random_below(KEYS);
        switch (tks_random_below(16)) {
        case 0:
            m.values[k]++;
            forget(&m, k);
            break;
        case 1: /* this process's own: dropped before the call returns */
            m.values[k]++;
            forget(&m, k);
            tksp_near_drop(m.near, key_of(k));
            break;
        case 2: forget(&m, k); break;
        case 3:
        case 4: ask_model(&m); break;
        case 5:
        case 6: answer_model(&m); break;
        case 7:
        case 8:
        case 9: deliver(&m); break;
        case 10: found += check_model(&m, k); break;
        default: step_call(&m, (int)tks_random_below(CALLS), k);
        }
    }
    CHECK(found > STEPS / 1000);
    tks_near_free(m.near);
}
