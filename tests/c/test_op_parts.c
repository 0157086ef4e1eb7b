/* test_op_parts.c - operations about several nodes of a cluster, whose parts run at the same time. */
#include "cluster_help.h"
#include "op_private.h"
#include "test.h"

/* GET, or what `command` is, of each key. "foo" is at node 1, "bar" at node 0. */
static tks_op *raw(tks_router *router, const char *command, size_t size, const char *const *keys) {
    tks_bytes words[16];
    size_t argc[8];
    tks_op *op = NULL;
    for (size_t i = 0; i < size; i++) {
        argc[i] = 2;
        words[2 * i] = test_bytes(command);
        words[2 * i + 1] = test_bytes(keys[i]);
    }
    CHECK_STATUS(tks_raw_new(size, argc, words, NULL, NULL, &op, NULL), TKS_OK);
    tks_op_set_router(op, router);
    return op;
}

/* Begins the operation, and its parts, of which there must be `count`; each in `parts`. */
static void begin_parts(tks_op *op, size_t count, tks_op **parts) {
    tks_op **all = NULL;
    CHECK_INT(cluster_step(op, TKS_EVENT_START), TKS_NEED_PARTS);
    size_t made = tks_op_get_parts(op, &all);
    CHECK_INT(made, count);
    for (size_t i = 0; i < made && i < count; i++) {
        parts[i] = all[i];
        CHECK_INT(cluster_step(parts[i], TKS_EVENT_START), TKS_NEED_SEND);
        CHECK_INT(tks_op_get_batch(parts[i])->node, (int)i);
    }
}

static const char *const keys[] = {"foo", "bar", "{foo}1", "{bar}1", "{foo}2"};

TEST(parts_are_joined_in_the_order_of_the_commands) {
    static const char want[] = "acbde";
    tks_router *router = cluster_known();
    tks_op *op = raw(router, "GET", 5, keys), *parts[2];
    begin_parts(op, 2, parts);
    CHECK_INT(tks_op_get_batch(parts[0])->replies, 2);
    CHECK_INT(tks_op_get_batch(parts[1])->replies, 3);
    CHECK_INT(cluster_answer(parts[1], "+a\r\n+b\r\n-ERR e\r\n"), TKS_DONE); /* in any order */
    CHECK_INT(cluster_answer(parts[0], "+c\r\n+d\r\n"), TKS_DONE);
    CHECK_INT(cluster_step(op, TKS_EVENT_PARTS), TKS_DONE);
    const tks_reply *const *replies = tks_op_get_result(op)->replies;
    for (size_t i = 0; i < 4; i++) {
        CHECK_BYTES(tks_reply_get_bytes(replies[i]), tks_bytes_of(want + i, 1));
    }
    CHECK_BYTES(tks_reply_get_bytes(replies[4]), TKS_LITERAL("ERR e"));
    tks_op_free(op);
    tks_router_free(router);
}

TEST(parts_follow_redirections_by_themselves) {
    tks_router *router = cluster_known();
    tks_op *op = raw(router, "GET", 2, keys), *parts[2];
    begin_parts(op, 2, parts);
    CHECK_INT(cluster_answer(parts[0], "-MOVED 5061 b:7001\r\n"), TKS_NEED_SEND);
    CHECK_INT(tks_op_get_batch(parts[0])->node, 1);
    CHECK_INT(cluster_answer(parts[0], "+c\r\n"), TKS_DONE);
    CHECK_INT(cluster_answer(parts[1], "+a\r\n"), TKS_DONE);
    CHECK_INT(cluster_step(op, TKS_EVENT_PARTS), TKS_DONE);
    tks_op_free(op);
    CHECK_INT(tksp_router_primary(router, 5061), 1);
    tks_router_free(router);
}

/* All of it is at one node: then there are no parts. */
TEST(parts_of_one_node) {
    static const char *const near[] = {"foo", "{foo}1"};
    tks_router *router = cluster_known();
    tks_op *op = raw(router, "GET", 2, near);
    CHECK_INT(cluster_step(op, TKS_EVENT_START), TKS_NEED_SEND);
    tks_op_free(op);
    router = (tks_router_free(router), cluster_watched());
    tksp_router_set_primary(router, tksp_router_number(router, -1, TKS_LITERAL("c"), 3), 1);
    op = raw(router, "GET", 5, keys);
    CHECK_INT(cluster_step(op, TKS_EVENT_START), TKS_NEED_SEND);
    tks_op_free(op);
    tks_router_free(router);
}

/* One part of a change that may not be made twice was sent, and has no answer. */
TEST(parts_that_are_lost_leave_the_whole_in_doubt) {
    for (int sent = 0; sent < 2; sent++) {
        tks_router *router = cluster_known();
        tks_op *op = raw(router, "INCR", 2, keys), *parts[2];
        begin_parts(op, 2, parts);
        CHECK_INT(cluster_answer(parts[0], ":1\r\n"), TKS_DONE);
        if (sent) {
            CHECK_INT(cluster_lose(parts[1], true), TKS_FAILED);
        } else { /* it was not, but the other one has happened */
            CHECK_INT(cluster_lose(parts[1], false), TKS_NEED_SLEEP);
            CHECK_INT(cluster_step(parts[1], TKS_EVENT_DEADLINE), TKS_FAILED);
        }
        CHECK_INT(cluster_step(op, TKS_EVENT_PARTS), TKS_FAILED);
        CHECK_STATUS(tks_op_get_error(op)->status, TKS_ERR_OUTCOME_UNKNOWN);
        tks_op_free(op);
        tks_router_free(router);
    }
}

TEST(parts_of_which_none_has_happened) {
    tks_router *router = cluster_known();
    tks_op *op = raw(router, "INCR", 2, keys), *parts[2];
    begin_parts(op, 2, parts);
    for (int i = 0; i < 2; i++) {
        CHECK_INT(cluster_lose(parts[i], false), TKS_NEED_SLEEP);
        CHECK_INT(cluster_step(parts[i], TKS_EVENT_DEADLINE), TKS_FAILED);
    }
    CHECK_INT(cluster_step(op, TKS_EVENT_PARTS), TKS_FAILED);
    CHECK_STATUS(tks_op_get_error(op)->status, TKS_ERR_TIMEOUT);
    tks_op_free(op);
    tks_router_free(router);
}

TEST(parts_keep_transactions_whole) {
    const size_t argc[] = {2, 1, 2, 2, 1};
    const tks_bytes words[] = {TKS_LITERAL("GET"),   TKS_LITERAL("foo"), TKS_LITERAL("MULTI"),
                               TKS_LITERAL("INCR"),  TKS_LITERAL("bar"), TKS_LITERAL("INCR"),
                               TKS_LITERAL("{bar}"), TKS_LITERAL("EXEC")};
    tks_router *router = cluster_known();
    tks_op *op = NULL, *parts[2];
    CHECK_STATUS(tks_raw_new(5, argc, words, NULL, NULL, &op, NULL), TKS_OK);
    tks_op_set_router(op, router);
    begin_parts(op, 2, parts);
    CHECK_INT(tks_op_get_batch(parts[0])->replies, 4);
    CHECK_INT(tks_op_get_batch(parts[1])->replies, 1);
    tks_op_free(op); /* in the middle */
    tks_router_free(router);
}

/* WAIT goes with the write before it; where that has its answer, there is nothing to go with. */
TEST(parts_begin_with_what_is_tied_to_nothing) {
    const size_t argc[] = {3, 3, 2};
    const tks_bytes words[] = {TKS_LITERAL("SET"),  TKS_LITERAL("foo"), TKS_LITERAL("v"),
                               TKS_LITERAL("WAIT"), TKS_LITERAL("1"),   TKS_LITERAL("9"),
                               TKS_LITERAL("GET"),  TKS_LITERAL("bar")};
    tks_router *router = cluster_known();
    tks_op *op = NULL, *parts[2];
    CHECK_STATUS(tks_raw_new(3, argc, words, NULL, NULL, &op, NULL), TKS_OK);
    tks_op_set_router(op, router);
    CHECK(op->commands[1].tie != TKSP_FREE);
    op->commands[0].reply = cluster_reply("+OK\r\n");
    begin_parts(op, 2, parts);
    CHECK_INT(parts[1]->commands[0].tie, TKSP_FREE);
    tks_op_free(op);
    tks_router_free(router);
}
