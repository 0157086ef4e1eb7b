/* test_op_replicate.c - changes that wait for replicas: WAIT goes with them, and what its answer means. */
#include <stdio.h>

#include "cluster_help.h"
#include "op_private.h"
#include "slot.h"
#include "test.h"
#include "tokenstore/tokens.h"

/* delete_all of ann's, who is at node 0, or a count, in a store that wants `durability`. */
static tks_op *make(tks_durability durability, bool changes, tks_router *router) {
    tks_tokens_options options = TKS_TOKENS_OPTIONS_INIT;
    const tks_bytes app = TKS_LITERAL("a"), type = TKS_LITERAL("t"), owner = TKS_LITERAL("ann");
    const tks_bytes none = {NULL, 0};
    tks_tokens *tokens = NULL;
    tks_op *op = NULL;
    options.durability = durability;
    CHECK_STATUS(tks_tokens_new(&options, &tokens, NULL), TKS_OK);
    tks_status status = changes ? tks_tokens_delete_all(tokens, app, type, owner, none, &op, NULL)
                                : tks_tokens_count(tokens, app, type, owner, &op, NULL);
    CHECK_STATUS(status, TKS_OK);
    tks_tokens_free(tokens);
    if (router != NULL) tks_op_set_router(op, router);
    return op;
}

static const tks_durability one = {.replicas = 1, .timeout_ms = 500};
static const tks_durability disk = {.fsync = true, .timeout_ms = 1000};
static const char wait_one[] = "*3\r\n$4\r\nWAIT\r\n$1\r\n1\r\n$3\r\n500\r\n";
static const char wait_disk[] = "*4\r\n$7\r\nWAITAOF\r\n$1\r\n1\r\n$1\r\n0\r\n$4\r\n1000\r\n";

static bool ends_with(tks_bytes bytes, const char *text) {
    size_t size = strlen(text);
    return bytes.size >= size && memcmp(bytes.data + bytes.size - size, text, size) == 0;
}

/* The batch is a change and `question`. */
static void check_asks(const tks_op *op, const char *question) {
    const tks_batch *batch = tks_op_get_batch(op);
    CHECK_INT(batch->replies, 2);
    CHECK(batch->blocks);
    CHECK_INT(batch->safety, TKS_ONCE);
    CHECK(ends_with(batch->bytes, question));
}

static tks_op *begin(tks_durability durability, const char *question) {
    tks_op *op = make(durability, true, NULL);
    CHECK_INT(cluster_step(op, TKS_EVENT_START), TKS_NEED_SEND);
    check_asks(op, question);
    return op;
}

/* The answer to delete_all: `count` were live. */
static const char *deleted(tks_op *op, int count, const char *question) {
    static char text[256];
    const tksp_command *command = &op->commands[0];
    tks_bytes echo = command->argv[2];
    (void)snprintf(text, sizeof text, "*2\r\n$%zu\r\n%.*s\r\n:%d\r\n%s", echo.size, (int)echo.size,
                   echo.data, count, question);
    return text;
}

static void check_short(tks_op *op, tks_need need, int replicas, const char *message) {
    CHECK_INT(need, TKS_FAILED);
    CHECK_STATUS(tks_op_get_error(op)->status, TKS_ERR_NOT_REPLICATED);
    CHECK_TEXT(tks_op_get_error(op)->message, message);
    CHECK_INT(tks_op_get_replicas(op), replicas);
    CHECK_INT(tks_op_get_result(op)->type, TKS_RESULT_COUNT);
    CHECK_INT(tks_op_get_result(op)->integer, 2);
    CHECK_INT(tks_op_get_trust(op), TKS_TRUST_KEEP);
    tks_op_free(op);
}

TEST(replicate_enough) {
    tks_op *op = begin(one, wait_one);
    CHECK_INT(cluster_answer(op, deleted(op, 2, ":1\r\n")), TKS_DONE);
    CHECK_INT(tks_op_get_result(op)->integer, 2);
    tks_op_free(op);
    op = begin(disk, wait_disk);
    CHECK_INT(cluster_answer(op, deleted(op, 2, "*2\r\n:1\r\n:0\r\n")), TKS_DONE);
    tks_op_free(op);
}

TEST(replicate_too_few) {
    tks_op *op = begin(one, wait_one);
    check_short(op, cluster_answer(op, deleted(op, 2, ":0\r\n")), 0,
                "the change was made, but after 0.5 s only 0 of 1 replicas have it: see INFO "
                "replication, or raise wait_timeout");
    op = begin(disk, wait_disk);
    check_short(op, cluster_answer(op, deleted(op, 2, "*2\r\n:0\r\n:0\r\n")), 0,
                "the change was made, but after 1 s it is not on the primary's disk: see INFO "
                "persistence and replication, or raise wait_timeout");
}

TEST(replicate_refused) {
    tks_op *op = begin(disk, wait_disk);
    check_short(
        op, cluster_answer(op, deleted(op, 2, "-ERR unknown command 'WAITAOF'\r\n")), 0,
        "the change was made, but whether it is safe is not known: the server answered: ERR "
        "unknown command 'WAITAOF'");
}

/* Anything but a number of replicas means that none has it. */
TEST(replicate_strange) {
    static const char *const answers[] = {"+OK\r\n", "$-1\r\n", "*0\r\n", "*1\r\n:1\r\n"};
    for (size_t i = 0; i < 4; i++) {
        tks_op *op = begin(one, wait_one);
        CHECK_INT(cluster_answer(op, deleted(op, 2, answers[i])), TKS_FAILED);
        CHECK_STATUS(tks_op_get_error(op)->status, TKS_ERR_NOT_REPLICATED);
        tks_op_free(op);
    }
}

/* What was not executed is not waited for: the answer counts for the batch in which the change was made. */
TEST(replicate_what_was_made) {
    tks_op *op = begin(one, wait_one);
    CHECK_INT(cluster_answer(op, "-NOSCRIPT No matching script\r\n:0\r\n"), TKS_NEED_SEND);
    check_asks(op, wait_one);
    CHECK_INT(cluster_answer(op, deleted(op, 2, ":1\r\n")), TKS_DONE);
    tks_op_free(op);
}

TEST(replicate_reads_do_not_wait) {
    tks_op *op = make(one, false, NULL);
    CHECK_INT(cluster_step(op, TKS_EVENT_START), TKS_NEED_SEND);
    CHECK(!tks_op_get_batch(op)->blocks);
    CHECK(!ends_with(tks_op_get_batch(op)->bytes, wait_one));
    tks_op_free(op);
}

TEST(replicate_more_than_the_store) {
    tks_op *op = make((tks_durability){.timeout_ms = 500}, true, NULL);
    tks_op_set_replicas(op, 1);
    CHECK_INT(cluster_step(op, TKS_EVENT_START), TKS_NEED_SEND);
    check_asks(op, wait_one);
    tks_op_free(op);
    op = make((tks_durability){.replicas = 1, .timeout_ms = 500}, true, NULL);
    tks_op_set_replicas(op, 0);
    CHECK_INT(cluster_step(op, TKS_EVENT_START), TKS_NEED_SEND);
    check_asks(op, wait_one);
    tks_op_free(op);
}

/* On a cluster it goes along to another node, after ASKING, too. */
TEST(replicate_elsewhere) {
    tks_router *router = cluster_known();
    tks_op *op = make(one, true, router);
    char text[64];
    CHECK_INT(cluster_step(op, TKS_EVENT_START), TKS_NEED_SEND);
    (void)snprintf(text, sizeof text, "-ASK %u b:7001\r\n:0\r\n",
                   tksp_slot_of(op->commands[0].route));
    CHECK_INT(cluster_answer(op, text), TKS_NEED_SEND);
    CHECK_INT(tks_op_get_batch(op)->node, 1);
    CHECK_INT(tks_op_get_batch(op)->replies, 3);
    char all[512];
    (void)snprintf(all, sizeof all, "+OK\r\n%s", deleted(op, 2, ":1\r\n"));
    CHECK_INT(cluster_answer(op, all), TKS_DONE);
    tks_op_free(op);
    tks_router_free(router);
}
