/* test_op_doubt.c - an answer that came late, from a primary that may have been replaced. See op_doubt.h, cluster_help.h. */
#include "cluster_help.h"
#include "op_doubt.h"
#include "test.h"
#include "tokenstore/tokens.h"

#define WHOLE(host, port) "*1\r\n" CLUSTER_RANGE(0, 16383, host, port)

enum { LATE_MS = 251, AGAIN_MS = 200 };

/* All slots are at node 0, a:7000. */
static tks_router *whole(void) {
    tks_router *router = cluster_new();
    CHECK(cluster_refresh(router, 0, WHOLE("a", 7000)));
    return router;
}

/* DEL, which is sent once, or a count; under way. */
static tks_op *begin(tks_router *router, bool change) {
    const tks_bytes words[] = {TKS_LITERAL("DEL"), TKS_LITERAL("key")};
    const tks_tokens_options options = TKS_TOKENS_OPTIONS_INIT;
    const size_t argc = 2;
    tks_tokens *tokens = NULL;
    tks_op *op = NULL;
    CHECK_STATUS(tks_tokens_new(&options, &tokens, NULL), TKS_OK);
    if (change) {
        CHECK_STATUS(tks_raw_new(1, &argc, words, NULL, NULL, &op, NULL), TKS_OK);
    } else {
        CHECK_STATUS(tks_tokens_count(tokens, words[0], words[0], words[1], &op, NULL), TKS_OK);
    }
    tks_tokens_free(tokens);
    tks_op_set_router(op, router);
    CHECK_INT(cluster_step(op, TKS_EVENT_START), TKS_NEED_SEND);
    return op;
}

static tks_need answer_after(tks_op *op, int64_t ms, const char *text) {
    op->sent_ms -= ms;
    return cluster_answer(op, text);
}

TEST(doubt_ends_when_the_node_is_still_a_primary) {
    tks_router *router = whole();
    tks_op *op = begin(router, true);
    CHECK_INT(answer_after(op, LATE_MS, ":3\r\n"), TKS_NEED_SLEEP);
    CHECK(tks_router_is_due(router, AGAIN_MS)); /* the driver runs it */
    CHECK_INT(cluster_step(op, TKS_EVENT_AWAKE), TKS_NEED_SLEEP);
    CHECK(cluster_refresh(router, AGAIN_MS, WHOLE("a", 7000)));
    CHECK_INT(cluster_step(op, TKS_EVENT_AWAKE), TKS_DONE);
    tks_op_free(op);
    tks_router_free(router);
}

TEST(doubt_is_not_ended_by_a_refresh_from_before) {
    int nodes[TKS_REFRESH_NODES];
    tks_error err = TKS_ERROR_INIT;
    tks_router *router = whole();
    tks_op *op = begin(router, true);
    tks_router_lost(router, 1);
    CHECK(tksp_router_begin(router, AGAIN_MS, nodes) > 0);
    CHECK_INT(answer_after(op, LATE_MS, ":3\r\n"), TKS_NEED_SLEEP);
    tks_reply *reply = cluster_reply(WHOLE("a", 7000));
    CHECK(tksp_router_adopt(router, nodes[0], reply, &err));
    tksp_router_settle(router, NULL);
    tks_reply_free(reply);
    CHECK_INT(cluster_step(op, TKS_EVENT_AWAKE), TKS_NEED_SLEEP);
    CHECK(!cluster_refresh(router, 10000, NULL)); /* nor by one that nobody answers */
    CHECK_INT(cluster_step(op, TKS_EVENT_AWAKE), TKS_NEED_SLEEP);
    CHECK(cluster_refresh(router, 20000, WHOLE("a", 7000)));
    CHECK_INT(cluster_step(op, TKS_EVENT_AWAKE), TKS_DONE);
    tks_op_free(op);
    tks_router_free(router);
}

TEST(doubt_of_a_change_by_a_replaced_node) {
    tks_router *router = whole();
    tks_op *op = begin(router, true);
    CHECK_INT(answer_after(op, LATE_MS, ":3\r\n"), TKS_NEED_SLEEP);
    CHECK(cluster_refresh(router, AGAIN_MS, WHOLE("b", 7001)));
    CHECK_INT(cluster_step(op, TKS_EVENT_AWAKE), TKS_FAILED);
    CHECK_STATUS(tks_op_get_error(op)->status, TKS_ERR_OUTCOME_UNKNOWN);
    CHECK(strstr(tks_op_get_error(op)->message, "replaced by another primary") != NULL);
    tks_op_free(op);
    tks_router_free(router);
}

/* What may be asked again is, of the new primary. */
TEST(doubt_of_a_read_from_a_replaced_node) {
    tks_router *router = whole();
    tks_op *op = begin(router, false);
    CHECK_INT(answer_after(op, LATE_MS, "*2\r\n:1\r\n:1\r\n"), TKS_NEED_SLEEP);
    CHECK(cluster_refresh(router, AGAIN_MS, WHOLE("b", 7001)));
    CHECK_INT(cluster_step(op, TKS_EVENT_AWAKE), TKS_NEED_SLEEP);
    CHECK_INT(cluster_step(op, TKS_EVENT_AWAKE), TKS_NEED_SEND);
    CHECK_INT(tks_op_get_batch(op)->node, 1);
    tks_op_free(op);
    tks_router_free(router);
}

TEST(doubt_that_lasts_until_the_deadline) {
    for (int change = 0; change < 2; change++) {
        tks_router *router = whole();
        tks_op *op = begin(router, change);
        CHECK_INT(answer_after(op, LATE_MS, ":3\r\n"), TKS_NEED_SLEEP);
        CHECK_INT(cluster_step(op, TKS_EVENT_DEADLINE), TKS_FAILED);
        CHECK_STATUS(tks_op_get_error(op)->status,
                     change ? TKS_ERR_OUTCOME_UNKNOWN : TKS_ERR_TIMEOUT);
        CHECK(strstr(tks_op_get_error(op)->message, "an answer came late") != NULL);
        tks_op_free(op);
        tks_router_free(router);
    }
}

/* Sentinels are asked which is the primary. */
TEST(doubt_of_a_primary_that_sentinels_named) {
    int nodes[TKS_REFRESH_NODES];
    for (int replaced = 0; replaced < 2; replaced++) {
        tks_router *router = cluster_watched();
        int old = tksp_router_number(router, 0, TKS_LITERAL("p"), 7000);
        int new = tksp_router_number(router, 0, TKS_LITERAL("q"), 7000);
        CHECK(tksp_router_begin(router, 0, nodes) > 0);
        tksp_router_set_primary(router, old, 1);
        tksp_router_settle(router, NULL);
        tks_op *op = begin(router, true);
        CHECK_INT(answer_after(op, LATE_MS, ":3\r\n"), TKS_NEED_SLEEP);
        CHECK(tksp_router_begin(router, AGAIN_MS, nodes) > 0);
        tksp_router_set_primary(router, replaced ? new : old, 1);
        tksp_router_settle(router, NULL);
        CHECK_INT(cluster_step(op, TKS_EVENT_AWAKE), replaced ? TKS_FAILED : TKS_DONE);
        tks_op_free(op);
        tks_router_free(router);
    }
}

TEST(doubt_needs_a_quarter_of_a_second) {
    tks_router *router = whole();
    tks_op *op = begin(router, true);
    CHECK_INT(answer_after(op, LATE_MS - 1, ":3\r\n"), TKS_DONE);
    tks_op_free(op);
    tks_router_free(router);
}

/* A primary that gives way in order answers late, and has executed nothing. */
TEST(doubt_is_not_of_a_redirection) {
    tks_router *router = whole();
    tks_op *op = begin(router, true);
    CHECK_INT(answer_after(op, LATE_MS, "-MOVED 12539 b:7001\r\n"), TKS_NEED_SEND);
    CHECK_INT(tks_op_get_batch(op)->node, 1);
    CHECK(cluster_refresh(router, 10000, WHOLE("b", 7001)));
    CHECK_INT(cluster_answer(op, ":3\r\n"), TKS_DONE);
    tks_op_free(op);
    tks_router_free(router);
}
