/* alloc_cases.c - every allocation of every job fails in turn: no crash, no leak, status TKS_ERR_MEMORY, no
 * partial results. */
#include <stdio.h>
#include <stdlib.h>

#include "alloc.h"
#include "record.h"
#include "script_runner.h"
#include "script_spike.h"
#include "test.h"
#include "tokenstore/json.h"
#include "tokenstore/move.h"
#include "tokenstore/resp.h"
#include "tokenstore/session_event.h"
#include "tokenstore/url.h"
#include "vectors.h"

enum { ALLOCATIONS_MAX = 100000 };

/* Runs `job` with its first allocation failing, then its second, …, until none fails. Returns the number of
 * allocations. */
static long starve(void (*job)(const void *), const void *argument) {
    for (long n = 1; n < ALLOCATIONS_MAX; n++) {
        long before = alloc_live();
        alloc_fail_at(n);
        job(argument);
        alloc_leave();
        if (!CHECK_INT(alloc_live() - before, 0)) printf("  (allocation %ld fails)\n", n);
        if (!alloc_failed()) return n - 1;
    }
    CHECK(false);
    return 0;
}

/* Checks the status of a call in which an allocation may fail. */
static bool check_status(tks_status status, const tks_error *err) {
    CHECK_STATUS(err->status, status);
    CHECK_STATUS(status, alloc_failed() ? TKS_ERR_MEMORY : TKS_OK);
    return status == TKS_OK;
}

/* ---- operations -------------------------------------------------------------------------------- */

static const script_guard guard = {alloc_enter, alloc_leave, alloc_failed};

static void run_case(const void *test) {
    script_run(test, -1, &guard);
}

static void starve_operations(const char *file) {
    long total = 0;
    vectors v;
    vectors_open(&v, file);
    const tks_json *test = tks_json_get_child(vectors_get(v.root, "cases"));
    script_run(test, -1, &guard); /* what is allocated once for ever, is now */
    for (; test != NULL; test = tks_json_get_next(test)) total += starve(run_case, test);
    CHECK(total > 500);
    vectors_close(&v);
}

TEST(alloc_operations) {
    starve_operations("operations.json");
}

TEST(alloc_node_operations) {
    starve_operations("node_operations.json");
}

static void talk(const void *index) {
    spike_talk(*(const size_t *)index, &guard);
}

TEST(alloc_spike) {
    for (size_t i = 0; i < spike_talks(); i++) {
        spike_talk(i, &guard); /* what is allocated once for ever, is now */
        CHECK(starve(talk, &i) > 5);
    }
}

/* ---- JSON ---------------------------------------------------------------------------------------- */

static void parse_and_write(const void *argument) {
    const tks_bytes *text = argument;
    tks_error err = TKS_ERROR_INIT;
    tks_json *tree = (tks_json *)(void *)&err; /* must be nulled */
    tks_json_writer w;
    tks_status status;
    tks_buf out;

    alloc_enter();
    status = tks_json_parse(*text, text->size, &tree, &err);
    alloc_leave();
    if (!check_status(status, &err)) {
        CHECK(tree == NULL);
        return;
    }
    tks_buf_init(&out, 1 << 20);
    tks_json_writer_init(&w, &out, 1 << 20, "data", &err);
    alloc_enter();
    status = tks_json_write_tree(&w, tree);
    alloc_leave();
    (void)check_status(status, &err);
    tks_json_free(tree);
    tks_buf_clear(&out);
}

static void read_foreign(const void *argument) {
    const tks_bytes *text = argument;
    tks_error err = TKS_ERROR_INIT;
    tks_json *tree = (tks_json *)(void *)&err; /* must be nulled */
    alloc_enter();
    tks_status status = tks_json_read_foreign(*text, &tree, &err);
    alloc_leave();
    if (!check_status(status, &err)) CHECK(tree == NULL);
    tks_json_free(tree);
}

/* Each text of a kind needs at least `least` allocations. */
static void starve_texts(const char *kind, void (*work)(const void *), int least) {
    vectors v;
    vectors_open(&v, "json.json");
    const tks_json *test = tks_json_get_child(vectors_get(v.root, kind));
    for (; test != NULL; test = tks_json_get_next(test)) {
        tks_buf text;
        tks_bytes bytes;
        tks_buf_init(&text, 1 << 20);
        vectors_bytes(vectors_get(test, "text"), &text);
        bytes = tks_buf_bytes(&text);
        test_context("%s", vectors_text(test, "name"));
        CHECK(starve(work, &bytes) >= least);
        tks_buf_clear(&text);
    }
    vectors_close(&v);
}

TEST(alloc_json) {
    starve_texts("accept", parse_and_write, 2); /* the tree, and the text */
    starve_texts("foreign", read_foreign, 1);
}

TEST(alloc_json_of_many_nodes) {
    char text[2 * 5000 + 2];
    tks_bytes bytes = tks_bytes_of(text, sizeof text - 1);
    for (size_t i = 0; i < 5000; i++) memcpy(text + 1 + 2 * i, "0,", 2);
    text[0] = '[';
    text[sizeof text - 2] = ']';
    CHECK(starve(parse_and_write, &bytes) > 8); /* the tree, and further nodes */
}

static void parse_duplicates(const void *argument) {
    tks_error err = TKS_ERROR_INIT;
    tks_json *tree = NULL;
    tks_status status;
    alloc_enter();
    status = tks_json_parse(test_bytes(argument), 1000, &tree, &err);
    alloc_leave();
    CHECK(tree == NULL);
    CHECK_STATUS(err.status, status);
    CHECK_STATUS(status, alloc_failed() ? TKS_ERR_MEMORY : TKS_ERR_DATA);
}

TEST(alloc_json_refused_late) {
    test_context("duplicates");
    CHECK(starve(parse_duplicates, "{\"a\":1,\"a\":2}") > 0); /* the tree */
    CHECK(starve(parse_duplicates,
                 "{\"a\":1,\"b\":2,\"c\":3,\"d\":4,\"e\":5,\"f\":6,\"g\":7,"
                 "\"h\":8,\"i\":9,\"a\":{\"x\":[1]}}") > 1); /* and sorting its names */
}

/* ---- URLs ---------------------------------------------------------------------------------------- */

static void parse_url(const void *argument) {
    tks_error err = TKS_ERROR_INIT;
    tks_target *target = (tks_target *)(void *)&err; /* must be nulled */
    tks_status status;
    tks_buf out;

    alloc_enter();
    status = tks_target_parse(test_bytes(argument), &target, &err);
    alloc_leave();
    if (!check_status(status, &err)) {
        CHECK(target == NULL);
        return;
    }
    tks_buf_init(&out, 4096);
    alloc_enter();
    status = tks_target_set(target, "client_name", TKS_LITERAL("somebody"), &err);
    if (status == TKS_OK) status = tks_target_set(target, "timeout", TKS_LITERAL("2.5"), &err);
    if (status == TKS_OK) status = tks_target_describe(target, &out);
    alloc_leave();
    CHECK_STATUS(status, alloc_failed() ? TKS_ERR_MEMORY : TKS_OK);
    tks_buf_clear(&out);
    tks_target_free(target);
}

TEST(alloc_urls) {
    static const char *const urls[] = {
        "redis://localhost",
        "redis://user:pass%20word@[::1]:7000/3?pool_size=4&client_name=x",
        "rediss://:secret@example.org/0?ca=/ca.pem&cert=/c.pem&key=/k.pem&server_name=db",
        "redis+unix:///run/redis.sock?db=2",
        "unix:///run/redis.sock",
        "rediss+cluster://u:p@a:7000,[::1]?ca=/ca.pem",
        "redis+sentinel://a,b:1/m%20x/3?sentinel_user=u&sentinel_password=p",
        "embedded:",
        "embedded:/var/lib/app?server=/usr/bin/redis-server"};
    for (size_t i = 0; i < sizeof urls / sizeof urls[0]; i++) {
        test_context("%s", urls[i]);
        CHECK(starve(parse_url, urls[i]) > 0);
    }
}

/* ---- RESP ---------------------------------------------------------------------------------------- */

static void read_replies(const void *argument) {
    char text[8000];
    char filler[2501];
    memset(filler, 'x', 2500);
    filler[2500] = '\0';
    /* Items in a separate block, strings in separate and shared blocks, and an oversized reply. */
    size_t whole = (size_t)snprintf(
        text, sizeof text,
        "*67\r\n*2\r\n$3\r\nabc\r\n*2\r\n:1\r\n$-1\r\n-ERR no\r\n$300\r\n%.300s\r\n", filler);
    for (int i = 0; i < 64; i++) {
        whole += (size_t)snprintf(text + whole, sizeof text - whole, "$5\r\nabcde\r\n");
    }
    whole += (size_t)snprintf(text + whole, sizeof text - whole, "+%s\r\n+OK\r\n", filler);
    tks_error err = TKS_ERROR_INIT;
    tks_reader *reader = (tks_reader *)(void *)&err; /* must be nulled */
    tks_reply *replies[3] = {NULL, NULL, NULL};
    size_t piece = *(const size_t *)argument;
    tks_status status;
    int count = 0;

    alloc_enter();
    status = tks_reader_new(2400, &reader, &err);
    for (size_t at = 0; at < whole && status == TKS_OK; at += piece) {
        size_t size = whole - at < piece ? whole - at : piece;
        status = tks_reader_feed(reader, text + at, size, &err);
        while (status == TKS_OK && count < 3) {
            status = tks_reader_next(reader, &replies[count], &err);
            if (replies[count] == NULL) break;
            count++;
        }
    }
    alloc_leave();
    if (check_status(status, &err)) CHECK_INT(count, 3);
    if (reader != NULL && status != TKS_OK) CHECK(!tks_reader_is_idle(reader));
    for (int i = 0; i < 3; i++) tks_reply_free(replies[i]);
    tks_reader_free(reader);
}

TEST(alloc_resp_reader) {
    static const size_t pieces[] = {1, 7, 8000};
    for (size_t i = 0; i < sizeof pieces / sizeof pieces[0]; i++) {
        test_context("%zu bytes at a time", pieces[i]);
        CHECK(starve(read_replies, &pieces[i]) > 6);
    }
}

static void format_command(const void *argument) {
    tks_bytes words[40];
    tks_status status;
    tks_buf out;
    for (size_t i = 0; i < 40; i++) words[i] = TKS_LITERAL("word");
    tks_buf_init(&out, 4096);
    alloc_enter();
    status = tks_resp_format(&out, *(const size_t *)argument, words);
    alloc_leave();
    CHECK_STATUS(status, alloc_failed() ? TKS_ERR_MEMORY : TKS_OK);
    CHECK_STATUS(out.status, status);
    tks_buf_clear(&out);
}

TEST(alloc_resp_format) {
    static const size_t counts[] = {1, 16, 17, 40};
    for (size_t i = 0; i < sizeof counts / sizeof counts[0]; i++) {
        test_context("%zu words", counts[i]);
        CHECK(starve(format_command, &counts[i]) > 0);
    }
}

/* ---- records ------------------------------------------------------------------------------------- */

static void read_record(const void *argument) {
    tks_error err = TKS_ERROR_INIT;
    tksp_arena arena = TKS_ARENA_INIT;
    tksp_record record;
    tks_status status;
    alloc_enter();
    status = tksp_record_read(test_bytes(argument), &arena, &record, &err);
    alloc_leave();
    (void)check_status(status, &err);
    tksp_arena_clear(&arena);
}

TEST(alloc_records) {
    test_context("records");
    CHECK_INT(starve(read_record, "GCiQYICJAabcd\"b\\u0022b\"{}"), 1);
    CHECK_INT(starve(read_record, "GCiQYICJAabcd\"bob\"{}"), 0);
}

/* ---- moves --------------------------------------------------------------------------------------- */

static void add_moves(const void *argument) {
    const tks_tokens *tokens = argument;
    const tks_foreign key = {.key = TKS_LITERAL("app:a|type:t|owner:bob|token:x"),
                             .value = TKS_LITERAL("{\"a\":[1]}"),
                             .app = TKS_LITERAL("a"),
                             .type = TKS_LITERAL("t"),
                             .owner = TKS_LITERAL("bob"),
                             .token = TKS_LITERAL("x")};
    tks_error err = TKS_ERROR_INIT;
    tks_op *op = NULL;
    alloc_enter();
    tks_status status = tks_move_new(tokens, 20, &op, &err);
    for (int i = 0; i < 20 && status == TKS_OK; i++) status = tks_move_add(op, tokens, &key, &err);
    alloc_leave();
    (void)check_status(status, &err);
    tks_op_free(op);
}

TEST(alloc_moves) {
    tks_tokens_options options = TKS_TOKENS_OPTIONS_INIT;
    tks_tokens *tokens = NULL;
    CHECK_STATUS(tks_tokens_new(&options, &tokens, NULL), TKS_OK);
    test_context("moves");
    CHECK(starve(add_moves, tokens) > 20);
    tks_tokens_free(tokens);
}

/* ---- enabling session events --------------------------------------------------------------------- */

static tks_reply *parse_reply(const char *text) {
    tks_reader *reader = NULL;
    tks_reply *reply = NULL;
    CHECK_STATUS(tks_reader_new(1 << 20, &reader, NULL), TKS_OK);
    CHECK_STATUS(tks_reader_feed(reader, text, strlen(text), NULL), TKS_OK);
    CHECK_STATUS(tks_reader_next(reader, &reply, NULL), TKS_OK);
    tks_reader_free(reader);
    return reply;
}

static void notify(const void *argument) {
    tks_reply *replies[] = {parse_reply("*2\r\n$22\r\nnotify-keyspace-events\r\n$0\r\n\r\n"),
                            parse_reply("+OK\r\n")};
    tks_error err = TKS_ERROR_INIT;
    tks_event event = {.type = TKS_EVENT_START};
    tks_op *op = NULL;
    (void)argument;
    alloc_enter();
    tks_status status = tks_session_notify_new(&op, &err);
    tks_need need = status == TKS_OK ? tks_op_step(op, &event) : TKS_FAILED;
    for (int i = 0; i < 2 && need == TKS_NEED_SEND; i++) {
        event = (tks_event){.type = TKS_EVENT_REPLIES, .replies = &replies[i]};
        need = tks_op_step(op, &event);
    }
    alloc_leave();
    CHECK_INT(need, alloc_failed() ? TKS_FAILED : TKS_DONE);
    const tks_error *why = op != NULL ? tks_op_get_error(op) : &err;
    CHECK_STATUS(why->status, alloc_failed() ? TKS_ERR_MEMORY : TKS_OK);
    tks_op_free(op);
    for (int i = 0; i < 2; i++) tks_reply_free(replies[i]);
}

TEST(alloc_session_notify) {
    test_context("the setting for session events");
    CHECK(starve(notify, NULL) > 4);
}

static void exists(const void *argument) {
    tks_reply *reply = parse_reply(":-2\r\n");
    tks_error err = TKS_ERROR_INIT;
    tks_event event = {.type = TKS_EVENT_START};
    tks_op *op = NULL;
    (void)argument;
    alloc_enter();
    tks_status status = tks_session_exists_new(TKS_LITERAL("bob:00000000000"), &op, &err);
    tks_need need = status == TKS_OK ? tks_op_step(op, &event) : TKS_FAILED;
    if (need == TKS_NEED_SEND) {
        event = (tks_event){.type = TKS_EVENT_REPLIES, .replies = &reply};
        need = tks_op_step(op, &event);
    }
    alloc_leave();
    CHECK_INT(need, alloc_failed() ? TKS_FAILED : TKS_DONE);
    const tks_error *why = op != NULL ? tks_op_get_error(op) : &err;
    CHECK_STATUS(why->status, alloc_failed() ? TKS_ERR_MEMORY : TKS_OK);
    if (!alloc_failed()) CHECK_INT(tks_op_get_result(op)->integer, 0);
    tks_op_free(op);
    tks_reply_free(reply);
}

TEST(alloc_session_exists) {
    test_context("the question for a session");
    CHECK(starve(exists, NULL) > 2);
}
