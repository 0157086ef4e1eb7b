/* alloc_router.c - a cluster's router, its refresh, and an operation that is redirected, with every allocation failing in turn. */
#include "alloc.h"
#include "cluster_help.h"
#include "op_private.h"
#include "test.h"
#include "tokenstore/tokens.h"

enum { ALLOCATIONS_MAX = 1000 };

#define NOW_MS INT64_C(1700000000000)

/* Runs `job` with its first allocation failing, then its second, …, until none fails. */
static void starve(void (*job)(void), int least) {
    long n = 0;
    job(); /* what is allocated once for ever, is now */
    do {
        long before = alloc_live();
        alloc_fail_at(++n);
        test_context("allocation %ld fails", n);
        job();
        CHECK_INT(alloc_live() - before, 0);
    } while (alloc_failed() && n < ALLOCATIONS_MAX);
    alloc_fail_at(0);
    CHECK(n > least && n < ALLOCATIONS_MAX);
}

/* A step with replies that were parsed before, so that only the operation's own allocations fail. */
static tks_need take(tks_op *op, size_t count, const char *const *texts) {
    tks_reply *replies[4] = {NULL};
    tks_event event = {.type = TKS_EVENT_REPLIES, .now_ms = NOW_MS, .replies = replies};
    alloc_leave();
    for (size_t i = 0; i < count; i++) replies[i] = cluster_reply(texts[i]);
    CHECK_INT(tks_op_get_batch(op)->replies, count);
    alloc_enter();
    tks_need need = tks_op_step(op, &event);
    alloc_leave();
    for (size_t i = 0; i < count; i++) tks_reply_free(replies[i]);
    alloc_enter();
    return need;
}

/* ---- the router ------------------------------------------------------------------------------ */

static const char halves[] = CLUSTER_HALVES, news[] = "*1\r\n" CLUSTER_RANGE(0, 16383, "c", 7002);

static void live(void) {
    tks_target *target = NULL;
    tks_reply *reply = cluster_reply(news);
    tks_error err = TKS_ERROR_INIT;
    int nodes[TKS_REFRESH_NODES];
    CHECK_STATUS(tks_target_parse(TKS_LITERAL("redis+cluster://a:7000,b:7001"), &target, NULL),
                 TKS_OK);
    alloc_enter();
    tks_router *router = tks_router_new(target);
    alloc_leave();
    if (router == NULL) {
        CHECK(alloc_failed());
    } else {
        CHECK(tksp_router_begin(router, 0, nodes) > 0);
        alloc_enter();
        bool adopted = tksp_router_adopt(router, nodes[0], reply, &err);
        int d = tksp_router_number(router, 0, TKS_LITERAL("d"), 7003);
        alloc_leave();
        tksp_router_settle(router, adopted ? NULL : &err);
        CHECK_STATUS(err.status, adopted ? TKS_OK : TKS_ERR_MEMORY);
        CHECK_INT(tksp_router_primary(router, 9), adopted ? 2 : -1);
        CHECK((adopted && d >= 0) == !alloc_failed());
        /* What failed may be tried again. */
        CHECK_INT(tksp_router_number(router, 0, TKS_LITERAL("d"), 7003), d >= 0 ? d : 2 + adopted);
    }
    tks_router_free(router);
    tks_target_free(target);
    tks_reply_free(reply);
}

TEST(alloc_router) {
    starve(live, 12);
}

/* ---- Sentinels, and the targets of nodes ------------------------------------------------------ */

static void name_primary(void) {
    static const char *const answer[] = {
        "*4\r\n$2\r\nip\r\n$1\r\np\r\n$4\r\nport\r\n$4\r\n6379\r\n"};
    const tks_event start = {.type = TKS_EVENT_START, .now_ms = NOW_MS};
    tks_target *url = NULL;
    CHECK_STATUS(tks_target_parse(TKS_LITERAL("rediss+sentinel://u:p@a/m?ca=/c&server_name=s"
                                              "&client_name=me&sentinel_password=x"),
                                  &url, NULL),
                 TKS_OK);
    alloc_enter();
    tks_router *router = tks_router_new(url);
    tks_op *op = router != NULL ? tks_router_refresh(router, 0) : NULL;
    if (op != NULL) {
        tks_op_set_router(op, router);
        tks_need need = tks_op_step(op, &start);
        if (need == TKS_NEED_SEND) need = take(op, 1, answer);
        CHECK(need == TKS_DONE || alloc_failed());
    }
    tks_op_free(op);
    tks_target *sentinel = router != NULL ? tks_router_target(router, url, 0) : NULL;
    tks_target *primary = router != NULL ? tks_router_target(router, url, 1) : NULL;
    alloc_leave();
    CHECK((sentinel != NULL && primary != NULL) == !alloc_failed());
    CHECK(router == NULL || !tks_router_is_asking(router));
    if (primary != NULL) CHECK_INT(tksp_router_primary(router, 9), 1);
    tks_target_free(sentinel);
    tks_target_free(primary);
    tks_router_free(router);
    tks_target_free(url);
}

TEST(alloc_router_of_sentinels) {
    starve(name_primary, 20);
}

/* ---- its refresh ----------------------------------------------------------------------------- */

static void refresh(void) {
    static const char *const answers[2][2] = {{"$18\r\ncluster_state:ok\r\n\r\n", halves},
                                              {"$18\r\ncluster_state:ok\r\n\r\n", news}};
    const char *const few[] = {answers[0][0], "*0\r\n"};
    tks_router *router = cluster_new();
    tks_event event = {.type = TKS_EVENT_START, .now_ms = NOW_MS};
    alloc_enter();
    tks_op *op = tks_router_refresh(router, 0);
    if (op != NULL) {
        tks_op_set_router(op, router);
        tks_need need = tks_op_step(op, &event);
        if (need == TKS_NEED_SEND) need = take(op, 2, few);        /* this node knows nothing */
        if (need == TKS_NEED_SEND) need = take(op, 2, answers[1]); /* this one does */
        alloc_leave();
        CHECK(need == TKS_DONE || (need == TKS_FAILED && alloc_failed()));
        tks_op_free(op);
    }
    alloc_leave();
    CHECK(!tks_router_is_asking(router)); /* it has settled, whatever failed */
    tks_error why = tksp_router_why(router);
    CHECK((why.status == TKS_OK) == (tksp_router_primary(router, 0) >= 0));
    if (!alloc_failed()) CHECK_INT(tksp_router_primary(router, 0), 2);
    if (why.status != TKS_OK) CHECK(cluster_due_in(router, 0) <= 933);
    tks_router_free(router);
}

TEST(alloc_router_refresh) {
    starve(refresh, 8);
}

/* ---- an operation that is redirected --------------------------------------------------------- */

static tks_op *new_count(void) {
    tks_tokens_options options = TKS_TOKENS_OPTIONS_INIT;
    tks_tokens *tokens = NULL;
    tks_op *op = NULL;
    CHECK_STATUS(tks_tokens_new(&options, &tokens, NULL), TKS_OK);
    CHECK_STATUS(
        tks_tokens_count(tokens, TKS_LITERAL("a"), TKS_LITERAL("t"), TKS_LITERAL("bob"), &op, NULL),
        TKS_OK);
    tks_tokens_free(tokens);
    return op;
}

/* Waits for the map, is moved, asked, refused, lost. A redirection to a node that there is no memory for is as a refusal. */
static void be_redirected(void) {
    static const char *const moved[] = {"-MOVED 9745 c:7002\r\n"};
    static const char *const ask[] = {"-ASK 9745 d:7003\r\n"};
    static const char *const unknown[] = {"+OK\r\n", "-NOSCRIPT no\r\n"};
    static const char *const down[] = {"-CLUSTERDOWN down\r\n"};
    static const char *const answer[] = {"*2\r\n$5\r\nxxxxx\r\n:3\r\n"};
    const tks_event start = {.type = TKS_EVENT_START, .now_ms = NOW_MS},
                    awake = {.type = TKS_EVENT_AWAKE, .now_ms = NOW_MS};
    const tks_event lost = {.type = TKS_EVENT_LOST, .now_ms = NOW_MS, .sent = true};
    tks_router *router = cluster_new();
    tks_op *op = new_count();
    bool lost_once = false;
    tks_op_set_router(op, router);
    alloc_enter();
    tks_need need = tks_op_step(op, &start);
    alloc_leave();
    CHECK_INT(need, alloc_failed() && need == TKS_FAILED ? TKS_FAILED : TKS_NEED_SLEEP);
    CHECK(cluster_refresh(router, 0, halves));
    alloc_enter();
    for (int step = 0; need == TKS_NEED_SEND || need == TKS_NEED_SLEEP; step++) {
        if (need == TKS_NEED_SLEEP) {
            need = tks_op_step(op, &awake);
        } else if (op->commands[0].asking) {
            need = take(op, 2, unknown);
            if (need == TKS_NEED_SEND) need = tks_op_step(op, &lost);
            lost_once = true;
        } else if (tks_op_get_batch(op)->node == 1) {
            need = take(op, 1, moved);
        } else if (!lost_once) {
            need = take(op, 1, step % 2 == 0 ? ask : down);
        } else {
            need = take(op, 1, answer);
        }
        if (step > 50) break;
    }
    alloc_leave();
    CHECK_INT(need, TKS_FAILED); /* by "xxxxx", if by nothing else */
    tks_status status = tks_op_get_error(op)->status;
    CHECK(status == TKS_ERR_CONNECTION || (status == TKS_ERR_MEMORY && alloc_failed()));
    tks_op_free(op);
    tks_router_free(router);
}

TEST(alloc_router_redirections) {
    starve(be_redirected, 8);
}

/* ---- a command for every primary, and one for a node by its name ------------------------------- */

/* Begins with PING, as the map may be unknown; its parts answer, and a node is new then. */
static void ask_each(void) {
    static const char *const answer[] = {":1\r\n"};
    const tks_event start = {.type = TKS_EVENT_START, .now_ms = NOW_MS},
                    parted = {.type = TKS_EVENT_PARTS, .now_ms = NOW_MS};
    const tks_bytes word = TKS_LITERAL("DBSIZE");
    tks_router *router = cluster_known();
    tks_op *op = NULL, **parts = NULL;
    tks_error err = TKS_ERROR_INIT;
    alloc_enter();
    tks_status status = tks_raw_each_new(1, &word, &op, &err);
    if (op != NULL) {
        tks_op_set_router(op, router);
        tks_need need = tks_op_step(op, &start);
        size_t count = need == TKS_NEED_PARTS ? tks_op_get_parts(op, &parts) : 0;
        for (size_t i = 0; i < count; i++) {
            if (tks_op_step(parts[i], &start) == TKS_NEED_SEND) (void)take(parts[i], 1, answer);
        }
        if (need == TKS_NEED_PARTS) need = tks_op_step(op, &parted);
        alloc_leave();
        status = tks_op_get_error(op)->status;
        CHECK(need == TKS_DONE ? tks_op_get_result(op)->size == 2 : need == TKS_FAILED);
    }
    alloc_leave();
    CHECK_STATUS(status, status == TKS_OK ? TKS_OK : TKS_ERR_MEMORY);
    CHECK((status == TKS_OK) == !alloc_failed());
    tks_op_free(op);
    tks_router_free(router);
}

TEST(alloc_each_primary) {
    starve(ask_each, 6);
}

static void ask_one(void) {
    static const char *const answer[] = {":1\r\n"};
    const tks_event start = {.type = TKS_EVENT_START, .now_ms = NOW_MS};
    const tks_bytes word = TKS_LITERAL("DBSIZE"), node = TKS_LITERAL("b:7001");
    const size_t argc = 1;
    tks_router *router = cluster_known();
    tks_op *op = NULL;
    alloc_enter();
    tks_status status = tks_raw_new(1, &argc, &word, NULL, &node, &op, NULL);
    if (op != NULL) {
        tks_op_set_router(op, router);
        if (tks_op_step(op, &start) == TKS_NEED_SEND) (void)take(op, 1, answer);
        status = tks_op_get_error(op)->status;
    }
    alloc_leave();
    CHECK_STATUS(status, status == TKS_OK ? TKS_OK : TKS_ERR_MEMORY);
    CHECK((status == TKS_OK) == !alloc_failed());
    tks_op_free(op);
    tks_router_free(router);
}

TEST(alloc_node_by_its_name) {
    starve(ask_one, 4);
}
