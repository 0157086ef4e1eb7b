/* test_op_nodes.c - operations whose commands belong to several nodes of a cluster, to none that is known, or to any. Nodes 0
 * and 1 serve half of the slots each; see cluster_help.h. */
#include <stdio.h>

#include "cluster_help.h"
#include "key.h"
#include "op_private.h"
#include "server.h"
#include "test.h"
#include "tokenstore/tokens.h"

static const tks_bytes app = {"a", 1}, type = {"t", 1};
static const tks_bytes ann = {"ann", 3}; /* in the first half of the slots */
static const tks_bytes bob = {"bob", 3}; /* in the second */

static tks_tokens *new_tokens(void) {
    tks_tokens_options options = TKS_TOKENS_OPTIONS_INIT;
    tks_tokens *tokens = NULL;
    CHECK_STATUS(tks_tokens_new(&options, &tokens, NULL), TKS_OK);
    return tokens;
}

static tks_op *finish_making(tks_tokens *tokens, tks_status status, tks_op *op,
                             tks_router *router) {
    CHECK_STATUS(status, TKS_OK);
    tks_tokens_free(tokens);
    tks_op_set_router(op, router);
    op->undivided = true; /* test_op_parts.c has the parts */
    return op;
}

static tks_op *count(tks_router *router, tks_bytes owner) {
    tks_tokens *tokens = new_tokens();
    tks_op *op = NULL;
    tks_status status = tks_tokens_count(tokens, app, type, owner, &op, NULL);
    return finish_making(tokens, status, op, router);
}

/* Of a generated token of each owner. */
static tks_op *get_many(tks_router *router, size_t size, const tks_bytes *of) {
    tks_tokens *tokens = new_tokens();
    tks_op *op = NULL;
    tks_buf texts[4];
    tks_bytes words[4];
    for (size_t i = 0; i < size; i++) {
        char locator[TKS_LOCATOR_SIZE];
        const char random[16] = {(char)i};
        tks_buf_init(&texts[i], 1000);
        tksp_key_locate(app, type, of[i], locator);
        CHECK_STATUS(tksp_token_write(&texts[i], TKS_BASE64URL, locator, random, sizeof random),
                     TKS_OK);
        words[i] = tks_buf_bytes(&texts[i]);
    }
    tks_status status = tks_tokens_get_many(tokens, app, type, size, words, &op, NULL);
    for (size_t i = 0; i < size; i++) tks_buf_clear(&texts[i]);
    return finish_making(tokens, status, op, router);
}

static tks_op *create_many(tks_router *router, size_t size, const tks_bytes *of) {
    tks_tokens *tokens = new_tokens();
    tks_op *op = NULL;
    tks_new_token new[4];
    for (size_t i = 0; i < size; i++) {
        new[i] = (tks_new_token){.app = app, .type = type, .owner = of[i], .data = {"{}", 2}};
    }
    tks_status status = tks_tokens_create_many(tokens, size, new, &op, NULL);
    return finish_making(tokens, status, op, router);
}

/* GET of each key. */
static tks_op *get_raw(tks_router *router, size_t size, const char *const *keys) {
    tks_bytes words[16];
    size_t argc[8];
    tks_op *op = NULL;
    for (size_t i = 0; i < size; i++) {
        argc[i] = 2;
        words[2 * i] = TKS_LITERAL("GET");
        words[2 * i + 1] = test_bytes(keys[i]);
    }
    CHECK_STATUS(tks_raw_new(size, argc, words, NULL, NULL, &op, NULL), TKS_OK);
    tks_op_set_router(op, router);
    op->undivided = true; /* test_op_parts.c has the parts */
    return op;
}

static bool check_sends(const tks_op *op, tks_need need, int node, size_t replies) {
    return CHECK_INT(need, TKS_NEED_SEND) && CHECK_INT(tks_op_get_batch(op)->node, node) &&
           CHECK_INT(tks_op_get_batch(op)->replies, replies);
}

static tks_need start(tks_op *op) {
    return cluster_step(op, TKS_EVENT_START);
}

/* ---- several nodes ----------------------------------------------------------------------------- */

TEST(nodes_answer_in_the_order_of_the_commands) {
    static const char *const keys[] = {"foo", "bar", "{foo}1", "{bar}1", "{foo}2"};
    static const char want[] = "acbde";
    tks_router *router = cluster_known();
    tks_op *op = get_raw(router, 5, keys);
    check_sends(op, start(op), 1, 3);
    check_sends(op, cluster_answer(op, "+a\r\n+b\r\n+e\r\n"), 0, 2);
    CHECK_INT(cluster_answer(op, "+c\r\n+d\r\n"), TKS_DONE);
    for (size_t i = 0; i < 5; i++) {
        CHECK_BYTES(tks_reply_get_bytes(tks_op_get_result(op)->replies[i]),
                    tks_bytes_of(want + i, 1));
    }
    tks_op_free(op);
    tks_router_free(router);
}

/* What has an answer is not sent again. */
TEST(nodes_are_asked_again_for_what_is_missing) {
    static const char *const keys[] = {"foo", "bar", "{foo}1", "{bar}1"};
    tks_router *router = cluster_known();
    tks_op *op = get_raw(router, 4, keys);
    check_sends(op, start(op), 1, 2);
    check_sends(op, cluster_answer(op, "+a\r\n-ASK 12182 c:7002\r\n"), 0, 2);
    check_sends(op, cluster_answer(op, "-MOVED 5061 c:7002\r\n+b\r\n"), 2, 3);
    CHECK_INT(cluster_answer(op, "+c\r\n+OK\r\n-ERR no\r\n"), TKS_DONE);
    const tks_reply *const *replies = tks_op_get_result(op)->replies;
    CHECK_BYTES(tks_reply_get_bytes(replies[0]), TKS_LITERAL("a"));
    CHECK_BYTES(tks_reply_get_bytes(replies[1]), TKS_LITERAL("c"));
    CHECK_BYTES(tks_reply_get_bytes(replies[2]), TKS_LITERAL("ERR no"));
    CHECK_BYTES(tks_reply_get_bytes(replies[3]), TKS_LITERAL("b"));
    tks_op_free(op);
    tks_router_free(router);
}

/* Raw commands are not repeated: one that was sent and not answered is in doubt, wherever the others went. */
TEST(nodes_of_raw_commands_that_are_lost) {
    static const char *const keys[] = {"foo", "bar"};
    tks_router *router = cluster_known();
    tks_op *op = get_raw(router, 2, keys);
    check_sends(op, start(op), 1, 1);
    check_sends(op, cluster_answer(op, "+a\r\n"), 0, 1);
    CHECK_INT(cluster_lose(op, false), TKS_NEED_SLEEP);
    check_sends(op, cluster_step(op, TKS_EVENT_AWAKE), 0, 1);
    CHECK_INT(cluster_lose(op, true), TKS_FAILED);
    CHECK_STATUS(tks_op_get_error(op)->status, TKS_ERR_OUTCOME_UNKNOWN);
    tks_op_free(op);
    tks_router_free(router);
}

/* The record that command `i` asks for. */
static void print_record(char *out, size_t size, const tks_op *op, size_t i, const char *rest) {
    const char *field = op->commands[i].argv[2].data;
    (void)snprintf(out, size, "$%d\r\nGCiQYEOAA%.4s%s\r\n", (int)(13 + strlen(rest)), field, rest);
}

TEST(nodes_of_get_many) {
    const tks_bytes of[] = {bob, ann, bob};
    const tks_bytes wanted[] = {TKS_LITERAL("bob"), TKS_LITERAL("ann"), TKS_LITERAL("bob")};
    tks_router *router = cluster_known();
    tks_op *op = get_many(router, 3, of);
    char text[400];
    check_sends(op, start(op), 1, 4); /* two records, when the first ends, and the time */
    print_record(text, 100, op, 0, "\"bob\"{\"n\":0}");
    print_record(text + strlen(text), 100, op, 2, "\"bob\"{\"n\":2}");
    (void)snprintf(text + strlen(text), 100, "*1\r\n:-1\r\n*2\r\n$10\r\n1700000000\r\n$1\r\n5\r\n");
    check_sends(op, cluster_answer(op, text), 0, 2); /* a record, and the time there */
    print_record(text, 100, op, 1, "\"ann\"{\"n\":1}");
    (void)snprintf(text + strlen(text), 100, "*2\r\n$10\r\n1700000000\r\n$1\r\n5\r\n");
    CHECK_INT(cluster_answer(op, text), TKS_DONE);
    const tks_result *result = tks_op_get_result(op);
    CHECK_INT(result->size, 3);
    for (size_t i = 0; i < 3; i++) {
        CHECK(result->tokens[i].found);
        CHECK_BYTES(result->tokens[i].owner, wanted[i]);
        CHECK_INT(tks_json_get_integer(tks_json_find(result->tokens[i].data, "n")), (int64_t)i);
    }
    tks_op_free(op);
    tks_router_free(router);
}

/* A server that cannot end a field ends tokens by its clock, and no other: here the same end, by two clocks. */
TEST(nodes_have_a_clock_each) {
    static const char *const times[] = {"1700007200\r\n$3\r\n999", "1700007201\r\n$3\r\n000"};
    const tks_bytes of[] = {ann, bob};
    for (int later = 0; later < 2; later++) { /* the node whose clock is ahead */
        tks_router *router = cluster_known();
        tks_op *op = get_many(router, 2, of);
        char text[400];
        check_sends(op, start(op), 0, 3);
        print_record(text, 100, op, 0, "eYvQU0UB\"ann\"{}");
        (void)snprintf(text + strlen(text), 200,
                       "-ERR unknown command 'HPEXPIRETIME'\r\n*2\r\n$10\r\n%s\r\n",
                       times[later == 0]);
        check_sends(op, cluster_answer(op, text), 1, 2);
        print_record(text, 100, op, 1, "eYvQU0UB\"bob\"{}");
        (void)snprintf(text + strlen(text), 200, "*2\r\n$10\r\n%s\r\n", times[later == 1]);
        CHECK_INT(cluster_answer(op, text), TKS_DONE);
        for (int i = 0; i < 2; i++) CHECK(tks_op_get_result(op)->tokens[i].found == (i != later));
        tks_op_free(op);
        tks_router_free(router);
    }
}

/* Answers the creation that was sent as the command `i`. */
static void print_created(char *out, const tks_op *op, size_t i) {
    (void)snprintf(out, 100, "$14\r\nGCiQYEOAA%.5s\r\n", op->commands[i].argv[2].data);
}

static tks_op *begin_create_many(tks_router *router) {
    const tks_bytes of[] = {bob, ann, bob};
    tks_op *op = create_many(router, 3, of);
    char text[200];
    check_sends(op, start(op), 1, 2);
    print_created(text, op, 0);
    print_created(text + strlen(text), op, 2);
    check_sends(op, cluster_answer(op, text), 0, 1);
    return op;
}

TEST(nodes_of_create_many) {
    tks_router *router = cluster_known();
    tks_op *op = begin_create_many(router);
    char text[200];
    CHECK_INT(cluster_lose(op, true), TKS_NEED_SLEEP);
    check_sends(op, cluster_step(op, TKS_EVENT_AWAKE), 0, 1);
    print_created(text, op, 1);
    CHECK_INT(cluster_answer(op, text), TKS_DONE);
    const tks_result *result = tks_op_get_result(op);
    CHECK_INT(result->size, 3);
    CHECK_BYTES(result->tokens[0].owner, bob);
    CHECK_BYTES(result->tokens[1].owner, ann);
    CHECK_BYTES(result->tokens[2].owner, bob);
    tks_op_free(op);
    tks_router_free(router);
}

/* All or nothing, on whichever nodes. */
TEST(nodes_of_create_many_that_is_undone) {
    tks_router *router = cluster_known();
    tks_op *op = begin_create_many(router);
    check_sends(op, cluster_answer(op, "-OOM no\r\n"), 1, 2);
    CHECK_INT(cluster_answer(op, "*2\r\n$5\r\nxxxxx\r\n:1\r\n"), TKS_FAILED);
    CHECK_STATUS(tks_op_get_error(op)->status, TKS_ERR_SERVER);
    CHECK_CONTAINS(tks_op_get_error(op)->message, "OOM");
    tks_op_free(op);
    tks_router_free(router);
}

/* Redirections are counted anew behind an answer: here, that of the alias, and that of the record. */
TEST(nodes_of_an_operation_of_several_steps) {
    const tks_bytes token = TKS_LITERAL("custom");
    tks_router *router = cluster_known();
    tks_tokens *tokens = new_tokens();
    tks_op *op = NULL;
    char text[100], locator[TKS_LOCATOR_SIZE];
    tks_status status = tks_tokens_get(tokens, app, type, token, 0, false, &op, NULL);
    op = finish_making(tokens, status, op, router);
    tks_need need = start(op);
    for (int step = 0; step < 2; step++) {
        for (int hop = 0; hop < 4; hop++) {
            CHECK_INT(need, TKS_NEED_SEND);
            (void)snprintf(text, sizeof text, "-MOVED %u %c:7002\r\n",
                           tksp_slot_of(op->commands[0].route), "cd"[hop % 2]);
            need = cluster_answer(op, text);
        }
        CHECK_INT(need, TKS_NEED_SEND);
        tksp_key_locate(app, type, ann, locator);
        (void)snprintf(text, sizeof text, "$22\r\n%.16sNonce6\r\n", locator);
        if (step == 0) need = cluster_answer(op, text);
    }
    check_sends(op, need, 3, 3);
    tks_op_free(op);
    tks_router_free(router);
}

/* Its clock may not be that of the node that takes its place. */
TEST(nodes_that_are_lost_have_no_clock) {
    enum { BOOT = 5000 };
    tks_router *router = cluster_known();
    tks_op *op = count(router, bob);
    int64_t us;
    for (int node = 0; node < 2; node++) {
        tksp_server_learn_time(tksp_router_clock(router, node), INT64_C(1700000000000000), BOOT);
    }
    check_sends(op, start(op), 1, 1);
    CHECK_INT(cluster_lose(op, false), TKS_NEED_SLEEP);
    CHECK_INT(tksp_server_stamp(tksp_router_clock(router, 0), BOOT, &us), TKSP_CLOCK_GOOD);
    CHECK_INT(tksp_server_stamp(tksp_router_clock(router, 1), BOOT, &us), TKSP_CLOCK_LOST);
    CHECK(tksp_op_clock(op, bob) ==
          tksp_router_clock(router, (int)(tksp_slot_of(bob) / (TKS_SLOTS / 2))));
    tks_op_free(op);
    tks_router_free(router);
}

/* ---- no node that is known ---------------------------------------------------------------------- */

static const tks_error refused = {TKS_ERR_CONFIGURATION, "CLUSTER SLOTS refused: NOPERM"};

static void fail_refresh(tks_router *router, int64_t now_ms, const tks_error *why) {
    int nodes[TKS_REFRESH_NODES];
    CHECK(tksp_router_begin(router, now_ms, nodes) > 0);
    tksp_router_settle(router, why);
}

TEST(nodes_are_waited_for) {
    tks_router *router = cluster_new();
    tks_op *op = count(router, bob);
    int nodes[TKS_REFRESH_NODES];
    CHECK_INT(start(op), TKS_NEED_SLEEP);
    CHECK(tks_op_get_sleep(op) <= 13);
    fail_refresh(router, 0, &refused);
    CHECK(tksp_router_begin(router, 1000, nodes) > 0);
    for (int i = 0; i < 100; i++) { /* another operation runs the refresh */
        CHECK_INT(cluster_step(op, TKS_EVENT_AWAKE), TKS_NEED_SLEEP);
        CHECK(tks_op_get_sleep(op) <= 63);
    }
    tksp_router_settle(router, NULL);
    CHECK(cluster_refresh(router, 2000, CLUSTER_HALVES));
    check_sends(op, cluster_step(op, TKS_EVENT_AWAKE), 1, 1);
    tks_op_free(op);
    tks_router_free(router);
}

TEST(nodes_that_refuse_at_first_contact_end_it) {
    tks_router *router = cluster_new();
    tks_op *op = count(router, bob);
    CHECK_INT(start(op), TKS_NEED_SLEEP);
    fail_refresh(router, 0, &refused);
    CHECK_INT(cluster_step(op, TKS_EVENT_AWAKE), TKS_FAILED);
    CHECK_STATUS(tks_op_get_error(op)->status, TKS_ERR_CONFIGURATION);
    CHECK_TEXT(tks_op_get_error(op)->message, refused.message);
    tks_op_free(op);
    tks_router_free(router);
}

/* As with a server: several looks. */
TEST(nodes_that_do_not_answer_at_first_contact_end_it) {
    const tks_error why = {TKS_ERR_CONNECTION, "a:7000: connection refused"};
    tks_router *router = cluster_new();
    tks_op *op = count(router, bob);
    CHECK_INT(start(op), TKS_NEED_SLEEP);
    fail_refresh(router, 0, &why);
    for (int i = 0; i < 4; i++) CHECK_INT(cluster_step(op, TKS_EVENT_AWAKE), TKS_NEED_SLEEP);
    CHECK_INT(cluster_step(op, TKS_EVENT_AWAKE), TKS_FAILED);
    CHECK_STATUS(tks_op_get_error(op)->status, TKS_ERR_CONNECTION);
    CHECK_TEXT(tks_op_get_error(op)->message, why.message);
    tks_op_free(op);
    tks_router_free(router);
}

/* Once there was a map, only the deadline ends it: a slot without a primary gets one in a failover. */
TEST(nodes_are_waited_for_until_the_deadline) {
    tks_router *router = cluster_new();
    CHECK(cluster_refresh(router, 0, "*1\r\n" CLUSTER_RANGE(0, 8191, "a", 7000)));
    fail_refresh(router, 60000, &refused);
    tks_op *op = count(router, bob);
    CHECK_INT(start(op), TKS_NEED_SLEEP);
    for (int i = 0; i < 100; i++) CHECK_INT(cluster_step(op, TKS_EVENT_AWAKE), TKS_NEED_SLEEP);
    CHECK_INT(cluster_step(op, TKS_EVENT_DEADLINE), TKS_FAILED);
    CHECK_STATUS(tks_op_get_error(op)->status, TKS_ERR_TIMEOUT);
    CHECK_CONTAINS(tks_op_get_error(op)->message, "CLUSTER SLOTS refused");
    tks_op_free(op);
    op = count(router, ann); /* the other half is served */
    check_sends(op, start(op), 0, 1);
    tks_op_free(op);
    tks_router_free(router);
}

/* ---- any node, or one -------------------------------------------------------------------------- */

TEST(nodes_any_of_them_is_pinged) {
    tks_router *router = cluster_new();
    tks_op *op = NULL;
    CHECK_STATUS(tks_ping_new(&op, NULL), TKS_OK);
    tks_op_set_router(op, router);
    CHECK_INT(start(op), TKS_NEED_SLEEP);
    CHECK(cluster_refresh(router, 0, "*1\r\n" CLUSTER_RANGE(0, 99, "b", 7001)));
    check_sends(op, cluster_step(op, TKS_EVENT_AWAKE), 1, 1);
    CHECK_INT(cluster_lose(op, true), TKS_NEED_SLEEP);
    CHECK(cluster_refresh(router, 60000, "*1\r\n" CLUSTER_RANGE(0, 99, "a", 7000)));
    check_sends(op, cluster_step(op, TKS_EVENT_AWAKE), 0, 1);
    CHECK_INT(cluster_answer(op, "+PONG\r\n"), TKS_DONE);
    tks_op_free(op);
    tks_router_free(router);
}

/* A record that cannot be read: the node that sent it must show that it is in step, wherever the slot is by now. */
TEST(nodes_prove_their_own_answers) {
    tks_router *router = cluster_known();
    tks_op *op = get_many(router, 1, &ann);
    check_sends(op, start(op), 0, 3);
    tksp_router_moved(router, tksp_slot_of(op->commands[0].route), 1);
    check_sends(
        op, cluster_answer(op, "$3\r\nxyz\r\n*1\r\n:-1\r\n*2\r\n$10\r\n1700000000\r\n$1\r\n5\r\n"),
        0, 1);
    for (int i = 0; i < 20; i++) {
        CHECK_INT(cluster_lose(op, true), TKS_NEED_SLEEP);
        check_sends(op, cluster_step(op, TKS_EVENT_AWAKE), 0, 1);
    }
    CHECK_INT(cluster_answer(op, "-MOVED 1 b:7001\r\n"), TKS_FAILED); /* that is no proof */
    CHECK_STATUS(tks_op_get_error(op)->status, TKS_ERR_DATA);
    tks_op_free(op);
    tks_router_free(router);
}
