/* test_raw_nodes.c - raw commands for every primary of a cluster, and for one by its name. Nodes 0 and 1, a:7000 and b:7001, serve half
 * of the slots each; see cluster_help.h. */
#include "cluster_help.h"
#include "op_private.h"
#include "server.h"
#include "test.h"

/* The first half of the slots at c:7002 instead. */
#define C_TOOK_OVER "*2\r\n" CLUSTER_RANGE(0, 8191, "c", 7002) CLUSTER_RANGE(8192, 16383, "b", 7001)

static tks_op *each(tks_router *router, const char *command, const char *subcommand) {
    const tks_bytes words[] = {test_bytes(command), test_bytes(subcommand)};
    tks_op *op = NULL;
    CHECK_STATUS(tks_raw_each_new(subcommand[0] != '\0' ? 2 : 1, words, &op, NULL), TKS_OK);
    if (router != NULL) tks_op_set_router(op, router);
    return op;
}

/* Begins it, and its parts: one for each node. */
static void begin(tks_op *op, tks_op **parts) {
    tks_op **all = NULL;
    CHECK_INT(cluster_step(op, TKS_EVENT_START), TKS_NEED_PARTS);
    CHECK_INT(tks_op_get_parts(op, &all), 2);
    for (int i = 0; i < 2; i++) {
        parts[i] = all[i];
        CHECK_INT(cluster_step(parts[i], TKS_EVENT_START), TKS_NEED_SEND);
        CHECK_INT(tks_op_get_batch(parts[i])->node, i);
    }
}

static void check_node(const tks_op *op, size_t i, const char *name, int64_t reply) {
    const tks_result *result = tks_op_get_result(op);
    CHECK_INT(result->type, TKS_RESULT_NODES);
    if (!CHECK(i < result->size)) return;
    CHECK_BYTES(result->nodes[i].node, test_bytes(name));
    CHECK_INT(tks_reply_get_integer(result->nodes[i].reply), reply);
}

TEST(each_primary_answers) {
    tks_router *router = cluster_known();
    tks_op *op = each(router, "DBSIZE", ""), *parts[2];
    begin(op, parts);
    CHECK_INT(cluster_answer(parts[1], ":2\r\n"), TKS_DONE);
    CHECK_INT(cluster_answer(parts[0], ":1\r\n"), TKS_DONE);
    CHECK_INT(cluster_step(op, TKS_EVENT_PARTS), TKS_DONE);
    CHECK_INT(tks_op_get_result(op)->size, 2);
    check_node(op, 0, "a:7000", 1);
    check_node(op, 1, "b:7001", 2);
    tks_op_free(op);
    tks_router_free(router);
}

/* A read, and a change that may be made twice, go to the replica that takes over. Others were sent once. */
TEST(each_primary_that_is_replaced) {
    static const char *const commands[][2] = {{"DBSIZE", ""},
                                              {"CONFIG", "SET"},
                                              {"FLUSHALL", ""},
                                              {"config", "rewrite"}};
    for (int i = 0; i < 4; i++) {
        tks_router *router = cluster_known();
        tks_op *op = each(router, commands[i][0], commands[i][1]), *parts[2];
        begin(op, parts);
        CHECK_INT(cluster_answer(parts[1], ":2\r\n"), TKS_DONE);
        CHECK_INT(cluster_lose(parts[0], true), i < 2 ? TKS_NEED_SLEEP : TKS_FAILED);
        CHECK(cluster_refresh(router, 1000, C_TOOK_OVER));
        if (i < 2) {
            CHECK_INT(cluster_step(parts[0], TKS_EVENT_AWAKE), TKS_NEED_SEND);
            CHECK_INT(tks_op_get_batch(parts[0])->node, 2);
            CHECK_INT(cluster_answer(parts[0], ":3\r\n"), TKS_DONE);
            CHECK_INT(cluster_step(op, TKS_EVENT_PARTS), TKS_DONE);
            check_node(op, 0, "b:7001", 2);
            check_node(op, 1, "c:7002", 3);
        } else {
            CHECK_INT(cluster_step(op, TKS_EVENT_PARTS), TKS_FAILED);
            CHECK_STATUS(tks_op_get_error(op)->status, TKS_ERR_OUTCOME_UNKNOWN);
        }
        tks_op_free(op);
        tks_router_free(router);
    }
}

/* One that has been replaced by the time all have answered does not count, and the new one is asked. */
TEST(each_primary_of_a_new_map) {
    tks_router *router = cluster_known();
    tks_op *op = each(router, "DBSIZE", ""), *parts[2];
    begin(op, parts);
    CHECK_INT(cluster_answer(parts[0], ":1\r\n"), TKS_DONE);
    CHECK_INT(cluster_answer(parts[1], ":2\r\n"), TKS_DONE);
    CHECK(cluster_refresh(router, 100000, C_TOOK_OVER));
    CHECK_INT(cluster_step(op, TKS_EVENT_PARTS), TKS_NEED_SEND);
    CHECK_INT(tks_op_get_batch(op)->node, 2);
    CHECK_INT(cluster_answer(op, ":3\r\n"), TKS_DONE);
    CHECK_INT(tks_op_get_result(op)->size, 2);
    check_node(op, 0, "b:7001", 2);
    check_node(op, 1, "c:7002", 3);
    tks_op_free(op);
    tks_router_free(router);
}

/* The answers of primaries that change with each of them are never taken for all. */
TEST(each_primary_of_a_map_that_never_settles) {
    tks_router *router = cluster_known();
    tks_op *op = each(router, "FLUSHALL", "");
    tks_need need = cluster_step(op, TKS_EVENT_START);
    op->undivided = true;
    for (int i = 0; i < 50 && need != TKS_FAILED; i++) {
        tks_op **parts = NULL;
        size_t count = tks_op_get_parts(op, &parts);
        for (size_t at = 0; need == TKS_NEED_PARTS && at < count; at++) {
            CHECK_INT(cluster_step(parts[at], TKS_EVENT_START), TKS_NEED_SEND);
            CHECK_INT(cluster_answer(parts[at], ":1\r\n"), TKS_DONE);
        }
        int node = tksp_router_number(router, -1, TKS_LITERAL("n"), (uint16_t)(i + 1));
        for (unsigned slot = 0; slot < 8192; slot++) tksp_router_moved(router, slot, node);
        need = need == TKS_NEED_PARTS ? cluster_step(op, TKS_EVENT_PARTS)
                                      : cluster_answer(op, ":1\r\n");
    }
    CHECK_INT(need, TKS_FAILED);
    CHECK_STATUS(tks_op_get_error(op)->status, TKS_ERR_CONNECTION);
    CHECK_CONTAINS(tks_op_get_error(op)->message, "keep changing");
    tks_op_free(op);
    tks_router_free(router);
}

TEST(each_primary_names_itself_in_errors) {
    static const struct {
        const char *answer, *message;
    } cases[] = {
        {"-ERR unknown command 'x', with args beginning with: 'secret'\r\n",
         "b:7001: the server answered: ERR unknown command"},
        {"-MOVED 1 c:7002\r\n", "b:7001: the server answered: MOVED"},
        {"-ASK 1 c:7002\r\n", "b:7001: the server answered: ASK"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        tks_router *router = cluster_known();
        tks_op *op = each(router, "DBSIZE", ""), *parts[2];
        begin(op, parts);
        CHECK_INT(cluster_answer(parts[0], ":1\r\n"), TKS_DONE);
        CHECK_INT(cluster_answer(parts[1], cases[i].answer), TKS_DONE);
        CHECK_INT(cluster_step(op, TKS_EVENT_PARTS), TKS_FAILED);
        CHECK_STATUS(tks_op_get_error(op)->status, TKS_ERR_SERVER);
        CHECK_CONTAINS(tks_op_get_error(op)->message, cases[i].message);
        CHECK(strstr(tks_op_get_error(op)->message, "secret") == NULL);
        tks_op_free(op);
        tks_router_free(router);
    }
}

/* What a node cannot do yet was not done. */
TEST(each_primary_that_is_not_ready) {
    tks_router *router = cluster_known();
    tks_op *op = each(router, "FLUSHALL", ""), *parts[2];
    begin(op, parts);
    CHECK_INT(cluster_answer(parts[0], "-LOADING wait\r\n"), TKS_NEED_SLEEP);
    CHECK_INT(cluster_step(parts[0], TKS_EVENT_AWAKE), TKS_NEED_SEND);
    CHECK_INT(tks_op_get_batch(parts[0])->node, 0);
    tks_op_free(op);
    tks_router_free(router);
}

/* A map must be there first. */
TEST(each_primary_of_an_unknown_cluster) {
    tks_router *router = cluster_new();
    tks_op *op = each(router, "FLUSHALL", ""), *parts[2];
    CHECK_INT(cluster_step(op, TKS_EVENT_START), TKS_NEED_SLEEP);
    CHECK(cluster_refresh(router, 0, CLUSTER_HALVES));
    CHECK_INT(cluster_step(op, TKS_EVENT_AWAKE), TKS_NEED_SEND);
    CHECK_INT(tks_op_get_batch(op)->safety, TKS_READ);
    CHECK_INT(cluster_lose(op, true), TKS_NEED_SLEEP); /* it was PING */
    CHECK_INT(cluster_step(op, TKS_EVENT_AWAKE), TKS_NEED_SEND);
    CHECK_INT(cluster_answer(op, "-NOPERM no PING\r\n"), TKS_NEED_PARTS);
    tks_op **all = NULL;
    CHECK_INT(tks_op_get_parts(op, &all), 2);
    for (int i = 0; i < 2; i++) {
        parts[i] = all[i];
        CHECK_INT(cluster_step(parts[i], TKS_EVENT_START), TKS_NEED_SEND);
        CHECK_INT(tks_op_get_batch(parts[i])->safety, TKS_ONCE);
        CHECK_INT(cluster_answer(parts[i], ":7\r\n"), TKS_DONE);
    }
    CHECK_INT(cluster_step(op, TKS_EVENT_PARTS), TKS_DONE);
    CHECK_INT(tks_op_get_result(op)->size, 2);
    tks_op_free(op);
    tks_router_free(router);
}

TEST(each_primary_of_one_server) {
    tks_server *server = tks_server_new();
    CHECK_STATUS(tksp_server_set_name(server, TKS_LITERAL("host:1")), TKS_OK);
    tks_op *op = each(NULL, "DBSIZE", "");
    tks_op_set_server(op, server);
    CHECK_INT(cluster_step(op, TKS_EVENT_START), TKS_NEED_SEND);
    CHECK_INT(cluster_answer(op, ":5\r\n"), TKS_DONE);
    check_node(op, 0, "host:1", 5);
    tks_op_free(op);
    tks_server_free(server);
}

TEST(each_primary_that_sentinels_name) {
    tks_router *router = cluster_watched();
    tksp_router_set_primary(router, tksp_router_number(router, -1, TKS_LITERAL("c"), 3), 1);
    tks_op *op = each(router, "DBSIZE", "");
    CHECK_INT(cluster_step(op, TKS_EVENT_START), TKS_NEED_SEND);
    CHECK_INT(cluster_answer(op, ":5\r\n"), TKS_DONE);
    check_node(op, 0, "c:3", 5);
    tks_op_free(op);
    tks_router_free(router);
}

/* ---- one node ---- */

static tks_op *at_node(tks_router *router, const char *node) {
    const tks_bytes words[] = {TKS_LITERAL("GET"), TKS_LITERAL("foo"), TKS_LITERAL("INCR"),
                               TKS_LITERAL("bar")};
    const size_t argc[] = {2, 2};
    const tks_bytes name = test_bytes(node);
    tks_op *op = NULL;
    CHECK_STATUS(tks_raw_new(2, argc, words, NULL, &name, &op, NULL), TKS_OK);
    tks_op_set_router(op, router);
    return op;
}

TEST(node_by_its_name) {
    tks_router *router = cluster_known();
    tks_op *op = at_node(router, "a:7000");
    CHECK_INT(cluster_step(op, TKS_EVENT_START), TKS_NEED_SEND);
    CHECK_INT(tks_op_get_batch(op)->node, 0);
    CHECK_INT(tks_op_get_batch(op)->replies, 2);
    CHECK_INT(tks_op_get_batch(op)->safety, TKS_ONCE);
    CHECK_INT(cluster_answer(op, "-MOVED 12182 b:7001\r\n+OK\r\n"), TKS_DONE);
    const tks_result *result = tks_op_get_result(op);
    CHECK_BYTES(tks_reply_get_bytes(result->replies[0]), TKS_LITERAL("MOVED 12182 b:7001"));
    CHECK_BYTES(tks_reply_get_bytes(result->replies[1]), TKS_LITERAL("OK"));
    tks_op_free(op);
    tks_router_free(router);
}

TEST(node_that_there_is_not) {
    static const char *const names[] = {"a:7001", "a", "b:70010", "c:1"};
    for (int i = 0; i < 4; i++) {
        tks_router *router = cluster_known();
        tks_op *op = at_node(router, names[i]);
        CHECK_INT(cluster_step(op, TKS_EVENT_START), TKS_FAILED);
        CHECK_STATUS(tks_op_get_error(op)->status, TKS_ERR_CONFIGURATION);
        CHECK_CONTAINS(tks_op_get_error(op)->message, "there is a:7000, b:7001");
        tks_op_free(op);
        tks_router_free(router);
    }
}

TEST(node_of_an_unknown_cluster) {
    tks_router *router = cluster_new();
    tks_op *op = at_node(router, "b:7001");
    CHECK_INT(cluster_step(op, TKS_EVENT_START), TKS_NEED_SLEEP);
    CHECK(cluster_refresh(router, 0, CLUSTER_HALVES));
    CHECK_INT(cluster_step(op, TKS_EVENT_AWAKE), TKS_NEED_SEND);
    CHECK_INT(tks_op_get_batch(op)->safety, TKS_READ);
    CHECK_INT(cluster_answer(op, "+PONG\r\n"), TKS_NEED_SEND);
    CHECK_INT(tks_op_get_batch(op)->node, 1);
    CHECK_INT(cluster_lose(op, true), TKS_FAILED);
    CHECK_STATUS(tks_op_get_error(op)->status, TKS_ERR_OUTCOME_UNKNOWN);
    tks_op_free(op);
    tks_router_free(router);
}

/* It could not be reached, and a replica has taken over: there is nothing to wait for. */
TEST(node_that_was_replaced) {
    tks_router *router = cluster_known();
    tks_op *op = at_node(router, "a:7000");
    CHECK_INT(cluster_step(op, TKS_EVENT_START), TKS_NEED_SEND);
    CHECK_INT(cluster_lose(op, false), TKS_NEED_SLEEP);
    CHECK_INT(cluster_step(op, TKS_EVENT_AWAKE), TKS_NEED_SEND);
    CHECK_INT(cluster_lose(op, false), TKS_NEED_SLEEP);
    CHECK(cluster_refresh(router, 1000, C_TOOK_OVER));
    CHECK_INT(cluster_step(op, TKS_EVENT_AWAKE), TKS_FAILED);
    CHECK_STATUS(tks_op_get_error(op)->status, TKS_ERR_CONNECTION);
    CHECK_CONTAINS(tks_op_get_error(op)->message, "no primary any more");
    tks_op_free(op);
    tks_router_free(router);
}
