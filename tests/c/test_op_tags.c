/* test_op_tags.c - operations of Tokenstore, which are about several keys, on a cluster: they need a hash tag in their keys. */
#include "cluster_help.h"
#include "op_private.h"
#include "test.h"
#include "tokenstore/node_tokens.h"
#include "tokenstore/secret.h"

static tks_op *delete_it(tks_router *router, const char *prefix) {
    const tks_node_tokens_options options = {.prefix = test_bytes(prefix)};
    const tks_bytes id = TKS_LITERAL("01234567-89ab-4def-8123-456789abcdef");
    tks_node_tokens *store = NULL;
    tks_op *op = NULL;
    CHECK_STATUS(tks_node_tokens_new(&options, &store, NULL), TKS_OK);
    CHECK_STATUS(tks_node_tokens_delete(store, id, &op, NULL), TKS_OK);
    tks_node_tokens_free(store);
    tks_op_set_router(op, router);
    return op;
}

TEST(tags_that_are_missing_are_named_before_anything_is_sent) {
    static const char *const prefixes[] = {"token", "{}token", "{token", "token}"};
    for (size_t i = 0; i < sizeof prefixes / sizeof prefixes[0]; i++) {
        tks_router *router = cluster_known();
        tks_op *op = delete_it(router, prefixes[i]);
        test_context("%s", prefixes[i]);
        CHECK_INT(cluster_step(op, TKS_EVENT_START), TKS_FAILED);
        CHECK_STATUS(tks_op_get_error(op)->status, TKS_ERR_CONFIGURATION);
        CHECK_CONTAINS(tks_op_get_error(op)->message, "\"{token}\"");
        tks_op_free(op);
        tks_router_free(router);
    }
}

TEST(tags_lead_all_keys_to_one_node) {
    tks_router *router = cluster_known();
    tks_op *op = delete_it(router, "{foo}");
    CHECK_INT(cluster_step(op, TKS_EVENT_START), TKS_NEED_SEND);
    CHECK_INT(tks_op_get_batch(op)->node, 1);
    CHECK_INT(tksp_slot_of(op->commands[0].route), 12182);
    tks_op_free(op);
    tks_router_free(router);
}

/* While a slot moves, the server itself says where a script's keys are, all of which it knows. */
TEST(tags_lead_to_where_a_slot_moves) {
    tks_router *router = cluster_known();
    tks_op *op = delete_it(router, "{foo}");
    CHECK_INT(cluster_step(op, TKS_EVENT_START), TKS_NEED_SEND);
    CHECK_INT(cluster_answer(op, "-ASK 12182 c:7002\r\n"), TKS_NEED_SEND);
    CHECK_INT(tks_op_get_batch(op)->node, 2);
    CHECK_INT(tks_op_get_batch(op)->replies, 2);
    CHECK_INT(cluster_answer(op, "+OK\r\n-TRYAGAIN\r\n"),
              TKS_NEED_SLEEP); /* some are here, some there */
    CHECK_INT(cluster_step(op, TKS_EVENT_AWAKE), TKS_NEED_SEND);
    CHECK_INT(tks_op_get_batch(op)->node, 1);
    CHECK_INT(cluster_answer(op, "-MOVED 12182 c:7002\r\n"), TKS_NEED_SEND);
    CHECK_INT(tks_op_get_batch(op)->node, 2);
    tks_op_free(op);
    tks_router_free(router);
}

/* The one primary has all slots. */
TEST(tags_are_not_needed_with_sentinels) {
    tks_target *target = NULL;
    CHECK_STATUS(tks_secret_start(NULL), TKS_OK);
    CHECK_STATUS(tks_target_parse(TKS_LITERAL("redis+sentinel://a:1/mymaster/0"), &target, NULL),
                 TKS_OK);
    tks_router *router = tks_router_new(target);
    tks_target_free(target);
    tksp_router_set_primary(router, tksp_router_number(router, -1, TKS_LITERAL("p"), 6379), 1);
    tks_op *op = delete_it(router, "token");
    CHECK_INT(cluster_step(op, TKS_EVENT_START), TKS_NEED_SEND);
    CHECK_INT(tks_op_get_batch(op)->node, 1);
    tks_op_free(op);
    tks_router_free(router);
}
