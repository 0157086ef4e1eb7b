/* test_op_ties.c - raw commands that belong together, on a cluster: transactions, and WAIT. Nodes 0 and 1 serve half of the
 * slots each; see cluster_help.h. The answers are those of Redis 7.0. */
#include <stdio.h>

#include "cluster_help.h"
#include "op_private.h"
#include "test.h"

#define ABORT "-EXECABORT Transaction discarded because of previous errors.\r\n"

/* One command a line, its words separated by spaces. */
static tks_op *begin(tks_router *router, const char *text) {
    tks_bytes argv[32];
    size_t argc[8] = {0}, count = 0, words = 0;
    tks_op *op = NULL;
    for (const char *at = text; *at != '\0'; count++) {
        const char *end = strchr(at, '\n');
        while (at < end) {
            size_t size = strcspn(at, " \n");
            argv[words++] = tks_bytes_of(at, size);
            argc[count]++;
            at += size + (at[size] == ' ');
        }
        at = end + 1;
    }
    CHECK_STATUS(tks_raw_new(count, argc, argv, NULL, NULL, &op, NULL), TKS_OK);
    tks_op_set_router(op, router);
    op->undivided = true; /* test_op_parts.c has the parts */
    CHECK_INT(cluster_step(op, TKS_EVENT_START), TKS_NEED_SEND);
    return op;
}

/* The batch is for that node, and these commands: their names. */
static void check_sends(const tks_op *op, tks_need need, int node, const char *names) {
    const tks_batch *batch = tks_op_get_batch(op);
    char got[200] = "";
    size_t size = 0, count = 0;
    CHECK_INT(need, TKS_NEED_SEND);
    CHECK_INT(batch->node, node);
    for (size_t i = 0; i + 1 < batch->bytes.size; i++) {
        if (batch->bytes.data[i] != '*') continue;
        const char *name = strchr(batch->bytes.data + i, '\n');
        name = strchr(name + 1, '\n') + 1;
        size_t length = strcspn(name, "\r");
        memcpy(got + size, name, length);
        got[size += length] = ' ';
        size++;
        count++;
    }
    got[size - 1] = '\0';
    CHECK_TEXT(got, names);
    CHECK_INT(batch->replies, count);
}

static void check_reply(const tks_op *op, size_t i, const char *text) {
    CHECK_BYTES(tks_reply_get_bytes(tks_op_get_result(op)->replies[i]), test_bytes(text));
}

#define TRANSACTION "MULTI\nSET foo 1\nINCR {foo}n\nEXEC\n"

/* What was queued is discarded, whichever command was refused: all of it goes again. */
TEST(ties_of_a_transaction_that_moved) {
    static const char *const answers[] = {
        "+OK\r\n-MOVED 12182 c:7002\r\n-MOVED 12182 c:7002\r\n" ABORT,
        "+OK\r\n+QUEUED\r\n-MOVED 12182 c:7002\r\n" ABORT,
        "+OK\r\n+QUEUED\r\n+QUEUED\r\n-MOVED 12182 c:7002\r\n",
    };
    for (size_t i = 0; i < sizeof answers / sizeof answers[0]; i++) {
        tks_router *router = cluster_known();
        tks_op *op = begin(router, "GET foo\n" TRANSACTION "GET foo\n");
        char text[300];
        test_context("answers %zu", i);
        check_sends(op, TKS_NEED_SEND, 1, "GET MULTI SET INCR EXEC GET");
        (void)snprintf(text, sizeof text, "+a\r\n%s+b\r\n", answers[i]);
        check_sends(op, cluster_answer(op, text), 2, "MULTI SET INCR EXEC");
        CHECK_INT(cluster_answer(op, "+OK\r\n+QUEUED\r\n+QUEUED\r\n*2\r\n+OK\r\n:1\r\n"), TKS_DONE);
        check_reply(op, 0, "a");
        check_reply(op, 1, "OK");
        check_reply(op, 2, "QUEUED");
        check_reply(op, 3, "QUEUED");
        CHECK_INT(tks_reply_get_type(tks_op_get_result(op)->replies[4]), TKS_REPLY_ARRAY);
        check_reply(op, 5, "b");
        tks_op_free(op);
        tks_router_free(router);
    }
}

/* ASKING before MULTI holds until EXEC; between them it would be queued. */
TEST(ties_of_a_transaction_that_is_asked_for) {
    tks_router *router = cluster_known();
    tks_op *op = begin(router, TRANSACTION);
    check_sends(op, cluster_answer(op, "+OK\r\n+QUEUED\r\n-ASK 12182 c:7002\r\n" ABORT), 2,
                "ASKING MULTI SET INCR EXEC");
    CHECK(!tks_router_serves(router, 2)); /* and yet its answers count */
    CHECK_INT(cluster_answer(op, "+OK\r\n+OK\r\n+QUEUED\r\n+QUEUED\r\n*2\r\n+OK\r\n:1\r\n"),
              TKS_DONE);
    CHECK_INT(tks_reply_get_type(tks_op_get_result(op)->replies[3]), TKS_REPLY_ARRAY);
    tks_op_free(op);
    tks_router_free(router);
}

TEST(ties_of_a_transaction_that_waits) {
    tks_router *router = cluster_known();
    tks_op *op = begin(router, TRANSACTION);
    CHECK_INT(cluster_answer(op, "+OK\r\n-TRYAGAIN\r\n+QUEUED\r\n" ABORT), TKS_NEED_SLEEP);
    check_sends(op, cluster_step(op, TKS_EVENT_AWAKE), 1, "MULTI SET INCR EXEC");
    check_sends(op, cluster_answer(op, "+OK\r\n-ASK 12182 c:7002\r\n+QUEUED\r\n" ABORT), 2,
                "ASKING MULTI SET INCR EXEC");
    CHECK_INT(cluster_answer(op, "+OK\r\n+OK\r\n+QUEUED\r\n+QUEUED\r\n-TRYAGAIN\r\n"),
              TKS_NEED_SLEEP);
    check_sends(op, cluster_step(op, TKS_EVENT_AWAKE), 1, "MULTI SET INCR EXEC");
    tks_op_free(op);
    tks_router_free(router);
}

/* A transaction that fails by itself is not repeated. */
TEST(ties_of_a_transaction_that_fails) {
    tks_router *router = cluster_known();
    tks_op *op = begin(router, TRANSACTION);
    CHECK_INT(cluster_answer(op, "+OK\r\n-ERR wrong\r\n+QUEUED\r\n" ABORT), TKS_DONE);
    check_reply(op, 1, "ERR wrong");
    tks_op_free(op);
    tks_router_free(router);
}

TEST(ties_of_two_transactions) {
    tks_router *router = cluster_known();
    tks_op *op = begin(router, TRANSACTION "MULTI\nSET bar 1\nEXEC\n");
    check_sends(op, TKS_NEED_SEND, 1, "MULTI SET INCR EXEC");
    check_sends(op, cluster_answer(op, "+OK\r\n+QUEUED\r\n-ASK 12182 c:7002\r\n" ABORT), 2,
                "ASKING MULTI SET INCR EXEC");
    check_sends(op, cluster_answer(op, "+OK\r\n+OK\r\n+QUEUED\r\n+QUEUED\r\n*0\r\n"), 0,
                "MULTI SET EXEC");
    check_sends(op, cluster_answer(op, "+OK\r\n-MOVED 5061 c:7002\r\n" ABORT), 2, "MULTI SET EXEC");
    CHECK_INT(cluster_answer(op, "+OK\r\n+QUEUED\r\n*0\r\n"), TKS_DONE);
    tks_op_free(op);
    tks_router_free(router);
}

/* WAIT is about the writes of its own connection. */
TEST(ties_of_wait) {
    tks_router *router = cluster_known();
    tks_op *op = begin(router, "SET {foo}1 x\nSET foo 1\nWAIT 1 100\nWAITAOF 1 0 100\nGET foo\n");
    check_sends(op, TKS_NEED_SEND, 1, "SET SET WAIT WAITAOF GET");
    check_sends(op, cluster_answer(op, "+a\r\n-MOVED 12182 c:7002\r\n:1\r\n*0\r\n+b\r\n"), 2,
                "SET WAIT WAITAOF");
    CHECK_INT(cluster_answer(op, "+OK\r\n:0\r\n*0\r\n"), TKS_DONE);
    CHECK_INT(tks_reply_get_integer(tks_op_get_result(op)->replies[2]), 0);
    check_reply(op, 4, "b");
    tks_op_free(op);

    op = begin(router, TRANSACTION "WAIT 1 100\n");
    check_sends(op, TKS_NEED_SEND, 2, "MULTI SET INCR EXEC WAIT");
    check_sends(op, cluster_answer(op, "+OK\r\n-ASK 12182 d:7003\r\n+QUEUED\r\n" ABORT ":1\r\n"), 3,
                "ASKING MULTI SET INCR EXEC WAIT");
    CHECK_INT(cluster_answer(op, "+OK\r\n+OK\r\n+QUEUED\r\n+QUEUED\r\n*0\r\n:0\r\n"), TKS_DONE);
    tks_op_free(op);

    op = begin(router, "SET foo 1\nWAIT 1 100\n"); /* the write is not repeated for it */
    CHECK_INT(cluster_answer(op, "+OK\r\n-CLUSTERDOWN down\r\n"), TKS_NEED_SLEEP);
    check_sends(op, cluster_step(op, TKS_EVENT_AWAKE), 2, "WAIT");
    tks_op_free(op);

    op = begin(router, "WAIT 0 100\nSET foo 1\n"); /* about nothing here */
    check_sends(op, cluster_answer(op, ":0\r\n-MOVED 12182 b:7001\r\n"), 1, "SET");
    tks_op_free(op);
    tks_router_free(router);
}

/* A slot may move between two looks at the map. */
TEST(ties_hold_while_the_map_changes) {
    static const char *const texts[] = {TRANSACTION, "SET foo 1\nWAIT 1 100\n"};
    static const char *const names[] = {"MULTI SET INCR EXEC", "SET WAIT"};
    for (int i = 0; i < 2; i++) {
        tks_router *router = cluster_known();
        tks_op *op = begin(router, texts[i]);
        CHECK_INT(cluster_lose(op, false), TKS_NEED_SLEEP);
        op->commands[1].slot = 0; /* as if it had moved in between */
        check_sends(op, cluster_step(op, TKS_EVENT_AWAKE), 1, names[i]);
        tks_op_free(op);
        tks_router_free(router);
    }
}
