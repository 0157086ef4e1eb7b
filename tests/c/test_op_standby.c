/* test_op_standby.c - a primary that is gone, and its replica, which is tried in turn. See cluster_help.h. */
#include <stdio.h>

#include "cluster_help.h"
#include "op_private.h"
#include "router.h"
#include "slot.h"
#include "test.h"
#include "tokenstore/tokens.h"

enum { REPLICA = 2 }; /* the number of r:7005 */

#define WITH_REPLICA                                                                               \
    "*1\r\n*4\r\n:0\r\n:16383\r\n*2\r\n$1\r\na\r\n:7000\r\n*2\r\n$1\r\nr\r\n:7005\r\n"

static tks_router *with_replica(void) {
    tks_router *router = cluster_new();
    CHECK(cluster_refresh(router, 0, WITH_REPLICA));
    return router;
}

/* A count, perhaps with TIME behind it, as reads have on old servers. It is under way. */
static tks_op *begin(tks_router *router, bool with_time) {
    static const tks_bytes time[] = {{"TIME", 4}};
    const tks_tokens_options options = TKS_TOKENS_OPTIONS_INIT;
    tks_tokens *tokens = NULL;
    tks_op *op = NULL;
    CHECK_STATUS(tks_tokens_new(&options, &tokens, NULL), TKS_OK);
    CHECK_STATUS(
        tks_tokens_count(tokens, TKS_LITERAL("a"), TKS_LITERAL("t"), TKS_LITERAL("ann"), &op, NULL),
        TKS_OK);
    tks_tokens_free(tokens);
    tks_op_set_router(op, router);
    CHECK_INT(cluster_step(op, TKS_EVENT_START), TKS_NEED_SEND);
    if (with_time) {
        CHECK_STATUS(tksp_op_add(op, NULL, time, 1, op->commands[0].route), TKS_OK);
        op->commands[1].sent = true;
    }
    return op;
}

static void check_sends(const tks_op *op, tks_need need, int node) {
    CHECK_INT(need, TKS_NEED_SEND);
    CHECK_INT(tks_op_get_batch(op)->node, node);
}

/* After a loss in doubt, or a second one, the replica is tried: it points back, until it has taken over. */
TEST(standby_is_tried_in_turn) {
    tks_router *router = with_replica();
    tks_op *op = begin(router, false);
    unsigned slot = tksp_slot_of(op->commands[0].route);
    char moved[64];
    (void)snprintf(moved, sizeof moved, "-MOVED %u a:7000\r\n", slot);
    CHECK_INT(cluster_lose(op, false), TKS_NEED_SLEEP);
    check_sends(op, cluster_step(op, TKS_EVENT_AWAKE), 0);
    CHECK_INT(cluster_lose(op, true), TKS_NEED_SLEEP);
    for (int i = 0; i < 3; i++) {
        check_sends(op, cluster_step(op, TKS_EVENT_AWAKE), REPLICA);
        check_sends(op, cluster_answer(op, moved), 0);
        CHECK_INT(cluster_lose(op, false), TKS_NEED_SLEEP);
        CHECK_INT(tksp_router_primary(router, slot), 0);
    }
    check_sends(op, cluster_step(op, TKS_EVENT_AWAKE), REPLICA);
    CHECK_INT(cluster_lose(op, false), TKS_NEED_SLEEP); /* it is gone, too */
    check_sends(op, cluster_step(op, TKS_EVENT_AWAKE), 0);
    CHECK_INT(cluster_lose(op, false), TKS_NEED_SLEEP);
    check_sends(op, cluster_step(op, TKS_EVENT_AWAKE), REPLICA);
    CHECK_INT(cluster_answer(op, ":0\r\n"), TKS_FAILED); /* no answer to count, but an answer */
    CHECK_INT(tksp_router_primary(router, slot), REPLICA);
    CHECK_INT(tksp_router_primary(router, slot == 0 ? 1 : 0), REPLICA); /* all that it served */
    tks_op_free(op);
    tks_router_free(router);
}

/* Any node executes TIME: its answer says nothing of a takeover, nor that the node that was lost is back. */
TEST(standby_that_tells_the_time_has_not_taken_over) {
    tks_router *router = with_replica();
    tks_op *op = begin(router, true);
    unsigned slot = tksp_slot_of(op->commands[0].route), times = 0;
    CHECK_INT(cluster_lose(op, true), TKS_NEED_SLEEP);
    check_sends(op, cluster_step(op, TKS_EVENT_AWAKE), REPLICA);
    char text[512];
    size_t size = 0;
    for (size_t i = 0; i < op->count; i++) {
        bool time = op->commands[i].argc == 1;
        times += time;
        int more = time ? snprintf(text + size, sizeof text - size, "*2\r\n$1\r\n1\r\n$1\r\n2\r\n")
                        : snprintf(text + size, sizeof text - size, "-MOVED %u a:7000\r\n", slot);
        size += (size_t)more;
    }
    CHECK_INT(times, 1);
    check_sends(op, cluster_answer(op, text), 0);
    CHECK_INT(tksp_router_primary(router, slot), 0);
    CHECK_INT(tksp_router_primary(router, slot == 0 ? 1 : 0), 0);
    CHECK_INT(op->losses, 1);
    tks_op_free(op);
    tks_router_free(router);
}

/* Of a raw command it is not known whether a replica would point back. */
TEST(standby_gets_no_raw_commands) {
    const tks_bytes words[] = {TKS_LITERAL("DBSIZE")}, key = TKS_LITERAL("bar");
    const size_t argc = 1;
    tks_router *router = with_replica();
    tks_op *op = NULL;
    CHECK_STATUS(tks_raw_new(1, &argc, words, &key, NULL, &op, NULL), TKS_OK);
    tks_op_set_router(op, router);
    check_sends(op, cluster_step(op, TKS_EVENT_START), 0);
    for (int i = 0; i < 3; i++) {
        CHECK_INT(cluster_lose(op, false), TKS_NEED_SLEEP);
        check_sends(op, cluster_step(op, TKS_EVENT_AWAKE), 0);
    }
    tks_op_free(op);
    tks_router_free(router);
}

/* One that is not known as the replica of the node that served takes over what it answered about, and no more. */
TEST(standby_of_another_node) {
    tks_router *router = with_replica();
    tksp_router_take_over(router, 7, 1);
    CHECK_INT(tksp_router_primary(router, 7), 1);
    CHECK_INT(tksp_router_primary(router, 8), 0);
    tks_router_free(router);
    router = cluster_new(); /* no slot is known */
    tksp_router_take_over(router, 7, 1);
    CHECK_INT(tksp_router_primary(router, 7), 1);
    CHECK_INT(tksp_router_primary(router, 8), -1);
    tks_router_free(router);
}
