/* test_refresh.c - the operation that asks nodes of a cluster for the map. Nodes 0 and 1 serve half of the slots each; see
 * cluster_help.h. */
#include "cluster_help.h"
#include "op_private.h"
#include "test.h"

#define OK_STATE "$18\r\ncluster_state:ok\r\n\r\n"
#define FAILED   "$50\r\ncluster_enabled:1\r\ncluster_state:fail\r\ncluster_...\r\n"
#define SWAPPED  "*2\r\n" CLUSTER_RANGE(0, 8191, "b", 7001) CLUSTER_RANGE(8192, 16383, "a", 7000)

static int64_t now_ms;

/* One that asks node 0 first, then node 1; a while after the last one. */
static tks_op *begin(tks_router *router) {
    tks_router_lost(router, 1);
    tks_op *op = tks_router_refresh(router, now_ms += 100000);
    if (!CHECK(op != NULL)) return NULL;
    tks_op_set_router(op, router);
    CHECK_INT(cluster_step(op, TKS_EVENT_START), TKS_NEED_SEND);
    CHECK_INT(tks_op_get_batch(op)->node, 0);
    return op;
}

static void check_asks(const tks_op *op, tks_need need, int node) {
    static const char want[] =
        "*2\r\n$7\r\nCLUSTER\r\n$4\r\nINFO\r\n*2\r\n$7\r\nCLUSTER\r\n$5\r\nSLOTS\r\n";
    const tks_batch *batch = tks_op_get_batch(op);
    CHECK_INT(need, TKS_NEED_SEND);
    CHECK_INT(batch->node, node);
    CHECK_INT(batch->replies, 2);
    CHECK_INT(batch->safety, TKS_READ);
    CHECK_INT(batch->patience_ms, 1000);
    CHECK_BYTES(batch->bytes, test_bytes(want));
}

/* It has ended, and settled. */
static void check_ends(tks_router *router, tks_op *op, tks_need need, bool adopted) {
    CHECK_INT(need, TKS_DONE);
    CHECK_INT(tks_op_get_result(op)->type, TKS_RESULT_BOOL);
    CHECK_INT(tks_op_get_result(op)->integer, adopted);
    CHECK(!tks_router_is_asking(router));
    CHECK((tksp_router_why(router).status == TKS_OK) == adopted);
    tks_op_free(op);
}

TEST(refresh_adopts_the_first_good_answer) {
    tks_router *router = cluster_known();
    tks_op *op = begin(router);
    check_asks(op, TKS_NEED_SEND, 0);
    CHECK(tks_router_is_asking(router));
    check_ends(router, op, cluster_answer(op, OK_STATE SWAPPED), true);
    CHECK_INT(tks_router_version(router), 2);
    CHECK_INT(tksp_router_primary(router, 0), 1);
    tks_router_free(router);
}

/* A node that sees no majority knows nothing new. */
TEST(refresh_passes_by_a_node_that_is_cut_off) {
    tks_router *router = cluster_known();
    tks_op *op = begin(router);
    check_asks(op, cluster_answer(op, FAILED SWAPPED), 1);
    CHECK_INT(tks_router_version(router), 1);
    check_ends(router, op, cluster_answer(op, FAILED SWAPPED), false);
    CHECK_INT(tks_router_version(router), 1);
    CHECK_CONTAINS(tksp_router_why(router).message, "cluster_state is fail");
    op = begin(router);
    check_asks(op, cluster_answer(op, FAILED SWAPPED), 1);
    check_ends(router, op, cluster_answer(op, OK_STATE SWAPPED), true);
    tks_router_free(router);
}

TEST(refresh_passes_by_a_node_that_knows_less) {
    tks_router *router = cluster_known();
    tks_op *op = begin(router);
    check_asks(op, cluster_answer(op, OK_STATE "*1\r\n" CLUSTER_RANGE(0, 9, "z", 1)), 1);
    check_asks(op, TKS_NEED_SEND, 1);
    check_ends(router, op, cluster_answer(op, OK_STATE "+what?\r\n"), false);
    CHECK_CONTAINS(tksp_router_why(router).message, "unexpected answer to CLUSTER SLOTS");
    tks_router_free(router);
}

TEST(refresh_passes_by_a_node_that_is_lost) {
    tks_router *router = cluster_known();
    tks_op *op = begin(router);
    CHECK_INT(cluster_lose(op, true), TKS_NEED_SLEEP);
    CHECK(tks_op_get_sleep(op) <= 7);
    check_asks(op, cluster_step(op, TKS_EVENT_AWAKE), 1);
    const tks_error why = {TKS_ERR_CONNECTION, "b:7001: connection refused"};
    const tks_event lost = {.type = TKS_EVENT_LOST, .why = &why};
    check_ends(router, op, tks_op_step(op, &lost), false);
    CHECK_TEXT(tksp_router_why(router).message, why.message);
    tks_router_free(router);
}

/* One that rejects the password need not be like the others: it may be about to be removed, or be another's by now. */
TEST(refresh_passes_by_a_node_that_is_lost_for_good) {
    const tks_error why = {TKS_ERR_SERVER, "a:7000: AUTH refused"};
    const tks_event lost = {.type = TKS_EVENT_LOST, .final = true, .why = &why};
    tks_router *router = cluster_known();
    tks_op *op = begin(router);
    CHECK_INT(tks_op_step(op, &lost), TKS_NEED_SLEEP);
    check_asks(op, cluster_step(op, TKS_EVENT_AWAKE), 1);
    check_ends(router, op, cluster_answer(op, OK_STATE SWAPPED), true);
    op = begin(router);
    CHECK_INT(tks_op_step(op, &lost), TKS_NEED_SLEEP);
    check_asks(op, cluster_step(op, TKS_EVENT_AWAKE), 1);
    check_ends(router, op, tks_op_step(op, &lost), false);
    CHECK_STATUS(tksp_router_why(router).status, TKS_ERR_SERVER); /* all are */
    tks_router_free(router);
}

TEST(refresh_says_what_a_node_refuses) {
    static const struct {
        const char *answers;
        tks_status status;
        const char *says;
    } known[] = {
        {"-NOPERM no\r\n-NOPERM this user has no permissions\r\n", TKS_ERR_CONFIGURATION,
         "CLUSTER SLOTS refused: NOPERM this user has no permissions"},
        {"-ERR This instance has cluster support disabled\r\n", TKS_ERR_CONFIGURATION,
         "this server is not a cluster: use redis:// instead of redis+cluster://"},
        {"-ERR unknown command 'CLUSTER'\r\n", TKS_ERR_CONFIGURATION, "refused: ERR unknown"},
        {"-LOADING Redis is loading the dataset\r\n", TKS_ERR_CONNECTION, "refused: LOADING"},
        {"-MOVED 1 c:7002\r\n", TKS_ERR_CONFIGURATION, "refused: MOVED"}, /* no command's slot */
    };
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        tks_router *router = cluster_new();
        tks_op *op = begin(router);
        test_context("%s", known[i].says);
        check_asks(op, cluster_answer(op, known[i].answers), 1);
        check_ends(router, op, cluster_answer(op, known[i].answers), false);
        CHECK_STATUS(tksp_router_why(router).status, known[i].status);
        CHECK_CONTAINS(tksp_router_why(router).message, known[i].says);
        tks_router_free(router);
    }
}

/* INFO is a second opinion. */
TEST(refresh_needs_no_permission_for_info) {
    tks_router *router = cluster_new();
    tks_op *op = begin(router);
    check_ends(router, op, cluster_answer(op, "-NOPERM no\r\n" CLUSTER_HALVES), true);
    tks_router_free(router);
}

TEST(refresh_settles_when_it_is_freed) {
    for (int steps = 0; steps < 4; steps++) {
        tks_router *router = cluster_known();
        tks_op *op = begin(router);
        if (steps > 0) CHECK_INT(cluster_lose(op, true), TKS_NEED_SLEEP);
        if (steps > 1) CHECK_INT(cluster_step(op, TKS_EVENT_AWAKE), TKS_NEED_SEND);
        if (steps > 2) CHECK_INT(cluster_step(op, TKS_EVENT_DEADLINE), TKS_DONE);
        CHECK(tks_router_is_asking(router) == (steps <= 2));
        tks_op_free(op);
        CHECK(!tks_router_is_asking(router));
        CHECK_STATUS(tksp_router_why(router).status, TKS_ERR_CONNECTION);
        CHECK(cluster_due_in(router, now_ms) <= 933);
        tks_router_free(router);
    }
}

/* What it did is done: the next one is not its business. */
TEST(refresh_settles_once) {
    tks_router *router = cluster_known();
    tks_op *first = begin(router);
    CHECK_INT(cluster_answer(first, OK_STATE SWAPPED), TKS_DONE);
    tks_op *second = begin(router);
    tks_op_free(first);
    CHECK(tks_router_is_asking(router));
    tks_op_free(second);
    CHECK(!tks_router_is_asking(router));
    tks_router_free(router);
}

TEST(refresh_holds_its_router) {
    tks_router *router = cluster_known();
    tks_op *op = begin(router);
    tks_router_free(router);
    check_asks(op, cluster_answer(op, FAILED SWAPPED), 1);
    tks_op_free(op);
}

/* The deadline of the call that runs it need not be that of the next. */
TEST(refresh_ends_with_the_deadline) {
    tks_router *router = cluster_known();
    tks_op *op = begin(router);
    tks_need need = cluster_step(op, TKS_EVENT_DEADLINE);
    CHECK(need == TKS_FAILED || need == TKS_DONE);
    tks_op_free(op);
    CHECK(!tks_router_is_asking(router));
    tks_router_free(router);
}
