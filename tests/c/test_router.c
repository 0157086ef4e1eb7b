/* test_router.c - what a router learns, when it asks again, and what it adopts. */
#include "cluster_help.h"
#include "test.h"

#define WHOLE(host, port) "*1\r\n" CLUSTER_RANGE(0, 16383, host, port)
#define BUT_ONE           "*1\r\n" CLUSTER_RANGE(0, 16382, "z", 7009)

/* `got` is `ms`, ± a third. */
static void check_about(int64_t got, int64_t ms) {
    test_context("%d ms, about %d", (int)got, (int)ms);
    CHECK(got >= ms * 2 / 3 && got <= ms * 4 / 3);
    test_context("%s", "");
}

static int number(tks_router *router, const char *host, uint16_t port) {
    return tksp_router_number(router, 0, test_bytes(host), port);
}

/* ---- life ------------------------------------------------------------------------------------ */

TEST(router_begins_empty_and_is_due) {
    tks_router *router = cluster_new();
    const char *host;
    uint16_t port;
    CHECK_INT(tks_router_version(router), 0);
    CHECK_INT(tksp_router_primary(router, 0), -1);
    CHECK_INT(tksp_router_any(router), -1);
    CHECK(tks_router_is_due(router, 0) && !tks_router_is_asking(router));
    CHECK(tksp_router_find(router, 0, &host, &port));
    CHECK_TEXT(host, "a");
    CHECK_INT(port, 7000);
    CHECK(tksp_router_find(router, 1, &host, &port));
    CHECK_TEXT(host, "b");
    CHECK(!tksp_router_find(router, 2, &host, &port) &&
          !tksp_router_find(router, -1, &host, &port));
    CHECK(!tks_router_serves(router, 0) && !tks_router_serves(router, 2));
    CHECK(tksp_router_clock(router, 0) != NULL && tksp_router_clock(router, 2) == NULL);
    CHECK(tksp_router_clock(router, 0) != tksp_router_clock(router, 1));
    CHECK(tks_router_hold(router) == router);
    tks_router_free(router);
    CHECK(cluster_refresh(router, 0, CLUSTER_HALVES));
    tks_router_free(router);
    tks_router_free(NULL);
}

TEST(router_knows_what_a_refresh_brought) {
    tks_router *router = cluster_known();
    CHECK_INT(tks_router_version(router), 1);
    CHECK_INT(tksp_router_primary(router, 0), 0);
    CHECK_INT(tksp_router_primary(router, 8191), 0);
    CHECK_INT(tksp_router_primary(router, 8192), 1);
    CHECK_INT(tksp_router_primary(router, 16383), 1);
    CHECK(tks_router_serves(router, 0) && tks_router_serves(router, 1));
    CHECK(cluster_refresh(router, 100000, CLUSTER_HALVES));
    CHECK_INT(tks_router_version(router), 1); /* nothing new */
    tks_router_free(router);
}

TEST(router_runs_one_refresh_at_a_time) {
    tks_router *router = cluster_new();
    int nodes[TKS_REFRESH_NODES];
    CHECK_INT(tksp_router_begin(router, 0, nodes), 2);
    CHECK(tks_router_is_asking(router));
    CHECK(!tks_router_is_due(router, 9999));
    tks_router_lost(router, 0);
    tksp_router_moved(router, 5, 1);
    CHECK(!tks_router_is_due(router, 9999));
    CHECK_INT(tksp_router_begin(router, 9999, nodes), 0);
    CHECK(tks_router_refresh(router, 9999) == NULL);
    CHECK(tks_router_is_due(router, 10000)); /* its driver has dropped it */
    tksp_router_settle(router, NULL);
    CHECK(!tks_router_is_asking(router));
    CHECK(tks_router_is_due(router, 1000000));
    tks_op *refresh = tks_router_refresh(router, 1000000);
    CHECK(refresh != NULL);
    CHECK(tks_router_is_asking(router) && tks_router_refresh(router, 1000000) == NULL);
    tks_op_free(refresh);
    CHECK(!tks_router_is_asking(router));
    tks_router_free(router);
}

/* ---- when ------------------------------------------------------------------------------------ */

TEST(router_asks_again_lazily_and_not_in_step_with_others) {
    int64_t first = 0;
    bool differ = false;
    for (int i = 0; i < 10; i++) {
        tks_router *router = cluster_known();
        int64_t due = cluster_due_in(router, 0);
        check_about(due, 45000);
        differ = differ || (i > 0 && due != first);
        first = due;
        tks_router_free(router);
    }
    CHECK(differ);
}

/* A lost node wants a refresh soon, the later the longer refreshes bring nothing new. */
TEST(router_asks_soon_after_a_loss) {
    static const int64_t pauses[] = {100, 700, 1000, 1000, 1000, 1000, 1000, 1000, 1000};
    tks_router *router = cluster_known();
    int64_t now = 0;
    for (size_t i = 0; i < sizeof pauses / sizeof pauses[0]; i++) {
        CHECK(cluster_due_in(router, now) >= 30000);
        tks_router_lost(router, 0);
        int64_t due = cluster_due_in(router, now);
        check_about(due, pauses[i]);
        now += due;
        CHECK(cluster_refresh(router, now, CLUSTER_HALVES));
    }
    tks_router_lost(router, 0);
    now += cluster_due_in(router, now);
    CHECK(cluster_refresh(router, now, WHOLE("b", 7001))); /* news */
    tks_router_lost(router, 0);
    check_about(cluster_due_in(router, now), 100);
    now += 10000;
    CHECK_INT(cluster_due_in(router, now), 0); /* the last one was long ago */
    tks_router_free(router);
}

TEST(router_pauses_while_refreshes_fail) {
    tks_router *router = cluster_new();
    int64_t now = 0;
    static const int64_t pauses[] = {700, 1000, 1000, 1000, 1000, 1000};
    for (size_t i = 0; i < sizeof pauses / sizeof pauses[0]; i++) {
        CHECK(!cluster_refresh(router, now, NULL));
        tks_error why = tksp_router_why(router);
        CHECK_STATUS(why.status, TKS_ERR_CONNECTION);
        CHECK_TEXT(why.message, "no node answers");
        int64_t due = cluster_due_in(router, now);
        check_about(due, pauses[i]);
        now += due;
    }
    CHECK_INT(tks_router_version(router), 0);
    CHECK(cluster_refresh(router, now, CLUSTER_HALVES));
    CHECK_STATUS(tksp_router_why(router).status, TKS_OK);
    CHECK(cluster_due_in(router, now) >= 30000);
    /* One that failed is tried again, although nobody was lost since. */
    CHECK(!cluster_refresh(router, now += 60000, NULL));
    check_about(cluster_due_in(router, now), 700);
    tks_router_free(router);
}

/* A map without a slot is no map: it is not waited for as long as for one that only grows old. */
TEST(router_asks_soon_while_it_knows_nothing) {
    tks_router *router = cluster_new();
    int nodes[TKS_REFRESH_NODES];
    CHECK(tksp_router_begin(router, 0, nodes) > 0);
    tksp_router_settle(router, NULL);
    check_about(cluster_due_in(router, 0), 100);
    tks_router_free(router);
}

/* In a reshard one slot after the other moves, for minutes. */
TEST(router_asks_ever_later_after_moved) {
    static const int64_t pauses[] = {500, 2000, 8000};
    tks_router *router = cluster_known();
    int64_t now = 0;
    unsigned slot = 0;
    for (size_t i = 0; i < sizeof pauses / sizeof pauses[0]; i++) {
        tksp_router_moved(router, slot++, 1);
        int64_t due = cluster_due_in(router, now);
        check_about(due, pauses[i]);
        now += due;
        tksp_router_moved(router, slot++, 1); /* a second one does not put it off */
        CHECK(tks_router_is_due(router, now));
        CHECK(cluster_refresh(router, now, CLUSTER_HALVES));
    }
    for (int i = 0; i < 4; i++) {
        tksp_router_moved(router, slot++, 1);
        int64_t due = cluster_due_in(router, now);
        CHECK(due >= 30000 * 2 / 3 && due <= 60000); /* never later than without a reason */
        now += due;
        CHECK(cluster_refresh(router, now, CLUSTER_HALVES));
    }
    now += cluster_due_in(router, now); /* one without a MOVED before it */
    CHECK(cluster_refresh(router, now, CLUSTER_HALVES));
    tksp_router_moved(router, slot++, 1);
    check_about(cluster_due_in(router, now), 500);
    tks_router_lost(router, 0); /* this is more urgent */
    CHECK(cluster_due_in(router, now) <= 134);
    tks_router_free(router);
}

/* Whatever the reason. */
TEST(router_asks_for_moved_no_sooner_than_for_a_loss) {
    for (int i = 0; i < 30; i++) {
        tks_router *router = cluster_known();
        int64_t now = 0;
        for (int k = 0; k < 4; k++) CHECK(cluster_refresh(router, now += 100000, CLUSTER_HALVES));
        tksp_router_moved(router, 5, 1);
        int64_t moved = cluster_due_in(router, now);
        tks_router_lost(router, 0);
        CHECK(moved >= cluster_due_in(router, now));
        tks_router_free(router);
    }
}

/* ---- MOVED ----------------------------------------------------------------------------------- */

TEST(router_learns_from_moved_at_once) {
    tks_router *router = cluster_known();
    int c = number(router, "c", 7002);
    CHECK_INT(c, 2);
    CHECK(!tks_router_serves(router, c));
    tksp_router_moved(router, 5, c);
    CHECK_INT(tksp_router_primary(router, 5), c);
    CHECK_INT(tksp_router_primary(router, 4), 0);
    CHECK_INT(tksp_router_primary(router, 6), 0);
    CHECK(tks_router_serves(router, c));
    CHECK_INT(tks_router_version(router), 2);
    tksp_router_moved(router, 5, c); /* known */
    CHECK_INT(tks_router_version(router), 2);
    tksp_router_moved(router, 5, 0);
    CHECK(!tks_router_serves(router, c));
    CHECK(tks_router_serves(router, 0));
    tks_router_free(router);
}

TEST(router_hears_no_news_in_what_it_knows) {
    tks_router *router = cluster_known();
    tksp_router_moved(router, 5, 0);
    CHECK(cluster_due_in(router, 0) >= 30000);
    tks_router_free(router);
}

TEST(router_numbers_nodes_for_good) {
    tks_router *router = cluster_new();
    const char *host;
    uint16_t port;
    CHECK_INT(number(router, "a", 7000), 0);
    CHECK_INT(number(router, "b", 7001), 1);
    CHECK_INT(number(router, "b", 7000), 2);
    CHECK_INT(tksp_router_number(router, 1, tks_bytes_of(NULL, 0), 7009), 3);
    CHECK(tksp_router_find(router, 3, &host, &port)); /* without a host: that of the sender */
    CHECK_TEXT(host, "b");
    CHECK_INT(port, 7009);
    CHECK_INT(tksp_router_number(router, 1, TKS_LITERAL("?"), 7009), 3);
    CHECK_INT(tksp_router_number(router, -1, TKS_LITERAL(""), 7009), -1);
    for (int i = 4; i < TKS_NODES_MAX; i++) {
        (void)number(router, "n", (uint16_t)(i + 1));
    }
    CHECK_INT(number(router, "n", TKS_NODES_MAX), TKS_NODES_MAX - 1);
    CHECK_INT(number(router, "n", TKS_NODES_MAX + 1), -1);
    CHECK_INT(number(router, "n", 5), 4);
    tks_router_free(router);
}

/* The node that a refresh asks may not have heard of it yet. */
TEST(router_keeps_a_patch_over_the_next_refresh_alone) {
    tks_router *router = cluster_known();
    tksp_router_moved(router, 5, 1);
    CHECK(cluster_refresh(router, 60000, CLUSTER_HALVES));
    CHECK_INT(tksp_router_primary(router, 5), 1);
    CHECK(cluster_refresh(router, 120000, CLUSTER_HALVES));
    CHECK_INT(tksp_router_primary(router, 5), 0);
    tks_router_free(router);
}

TEST(router_keeps_a_patch_from_during_a_refresh_over_the_next) {
    tks_router *router = cluster_known();
    int nodes[TKS_REFRESH_NODES];
    tks_error err = TKS_ERROR_INIT;
    tks_reply *view = cluster_reply(CLUSTER_HALVES);
    CHECK(tksp_router_begin(router, 60000, nodes) > 0);
    tksp_router_moved(router, 5, 1);
    CHECK(tksp_router_adopt(router, 0, view, &err));
    tksp_router_settle(router, NULL);
    tks_reply_free(view);
    CHECK_INT(tksp_router_primary(router, 5), 1);
    CHECK(cluster_due_in(router, 60000) <= 933); /* the answer may be from before the MOVED */
    CHECK(cluster_refresh(router, 120000, CLUSTER_HALVES));
    CHECK_INT(tksp_router_primary(router, 5), 1);
    CHECK(cluster_refresh(router, 180000, CLUSTER_HALVES));
    CHECK_INT(tksp_router_primary(router, 5), 0);
    tks_router_free(router);
}

TEST(router_renews_a_patch) {
    tks_router *router = cluster_known();
    tksp_router_moved(router, 5, 1);
    CHECK(cluster_refresh(router, 60000, CLUSTER_HALVES));
    tksp_router_moved(router, 5, 1); /* again, and */
    CHECK(cluster_refresh(router, 120000, CLUSTER_HALVES));
    CHECK_INT(tksp_router_primary(router, 5), 1);
    tksp_router_moved(router, 5, number(router, "c", 7002)); /* the last one counts */
    CHECK(cluster_refresh(router, 180000, CLUSTER_HALVES));
    CHECK_INT(tksp_router_primary(router, 5), 2);
    tks_router_free(router);
}

TEST(router_keeps_a_number_of_patches) {
    tks_router *router = cluster_known();
    for (int i = 0; i < 2 * TKS_PATCHES_MAX; i++) tksp_router_moved(router, 0, i % 2); /* one */
    for (unsigned slot = 0; slot <= TKS_PATCHES_MAX; slot++) tksp_router_moved(router, slot, 1);
    CHECK_INT(tksp_router_primary(router, TKS_PATCHES_MAX), 1);
    CHECK(cluster_refresh(router, 60000, CLUSTER_HALVES));
    CHECK_INT(tksp_router_primary(router, TKS_PATCHES_MAX - 1), 1);
    CHECK_INT(tksp_router_primary(router, TKS_PATCHES_MAX), 0); /* this MOVED comes once more */
    tks_router_free(router);
}

/* ---- what is adopted ------------------------------------------------------------------------- */

TEST(router_adopts_no_view_with_less_coverage) {
    tks_router *router = cluster_known();
    CHECK(!cluster_refresh(router, 60000, BUT_ONE));
    CHECK_CONTAINS(tksp_router_why(router).message, "too few of its slots");
    CHECK_INT(tksp_router_primary(router, 0), 0);
    CHECK(!cluster_refresh(router, 120000, "*0\r\n"));
    CHECK(!cluster_refresh(router, 180000, "-ERR unknown command\r\n"));
    CHECK_CONTAINS(tksp_router_why(router).message, "unexpected answer to CLUSTER SLOTS");
    CHECK_INT(tks_router_version(router), 1);
    CHECK(cluster_refresh(router, 240000, WHOLE("z", 7009)));
    CHECK_INT(tks_router_version(router), 2);
    CHECK_INT(tksp_router_primary(router, 0), number(router, "z", 7009));
    CHECK(!tks_router_serves(router, 0) && !tks_router_serves(router, 1));
    tks_router_free(router);
}

/* An empty view says nothing, whatever is known. */
TEST(router_adopts_no_empty_view) {
    tks_router *router = cluster_new();
    for (int i = 0; i < 20; i++) CHECK(!cluster_refresh(router, i * 60000, "*0\r\n"));
    CHECK_INT(tks_router_version(router), 0);
    tks_router_free(router);
}

/* A part of the cluster is gone, if all say so for long. */
TEST(router_believes_less_coverage_in_the_end) {
    tks_router *router = cluster_known();
    int64_t now = 0;
    int refused = 0;
    while (refused < 100 && !cluster_refresh(router, now += 60000, BUT_ONE)) {
        if (++refused == 5) CHECK(cluster_refresh(router, now += 60000, CLUSTER_HALVES));
    }
    CHECK_INT(refused, 5 + 3 * TKS_REFRESH_CLUSTER); /* one that covers all begins the count anew */
    CHECK_INT(tksp_router_primary(router, 16383), -1);
    CHECK_INT(tksp_router_primary(router, 0), number(router, "z", 7009));
    CHECK(cluster_refresh(router, now += 60000, BUT_ONE)); /* it is what is known now */
    tks_router_free(router);
}

TEST(router_learns_from_moved_what_no_view_covered) {
    tks_router *router = cluster_new();
    CHECK(cluster_refresh(router, 0, BUT_ONE));
    tksp_router_moved(router, 16383, 1);
    CHECK_INT(tksp_router_primary(router, 16383), 1);
    CHECK(cluster_refresh(router, 60000, CLUSTER_HALVES));
    CHECK(!cluster_refresh(router, 120000, BUT_ONE));
    tks_router_free(router);
}

/* ---- which nodes are asked ------------------------------------------------------------------- */

#define FIVE                                                                                       \
    "*5\r\n" CLUSTER_RANGE(0, 99, "c", 7000) CLUSTER_RANGE(100, 199, "d", 7000)                    \
        CLUSTER_RANGE(200, 299, "e", 7000) CLUSTER_RANGE(300, 399, "f", 7000)                      \
            CLUSTER_RANGE(400, 16383, "g", 7000)

/* Nodes 0 and 1 are seeds that serve nothing; 2 … 6 serve. */
TEST(router_asks_known_nodes_at_random_and_a_seed) {
    tks_router *router = cluster_new();
    int first[7] = {0}, last[7] = {0};
    int64_t now = 0;
    CHECK(cluster_refresh(router, 0, FIVE));
    for (int i = 0; i < 300; i++) {
        int nodes[TKS_REFRESH_NODES];
        CHECK_INT(tksp_router_begin(router, now += 60000, nodes), TKS_REFRESH_CLUSTER);
        CHECK(nodes[0] >= 2 && nodes[1] >= 2 && nodes[2] <= 1 && nodes[0] != nodes[1]);
        first[nodes[0]]++;
        last[nodes[2]]++;
        tksp_router_settle(router, NULL);
    }
    for (int node = 2; node < 7; node++) CHECK(first[node] > 0);
    CHECK(last[0] > 0 && last[1] > 0);
    tks_router_free(router);
}

TEST(router_asks_the_failed_node_last) {
    tks_router *router = cluster_known();
    int nodes[TKS_REFRESH_NODES];
    int64_t now = 0;
    for (int i = 0; i < 100; i++) {
        int failed = i % 2;
        tks_router_lost(router, failed);
        CHECK_INT(tksp_router_begin(router, now += 60000, nodes), 2);
        CHECK_INT(nodes[0], 1 - failed);
        CHECK_INT(nodes[1], failed);
        tksp_router_settle(router, NULL);
    }
    CHECK(cluster_refresh(router, now += 60000, FIVE));
    tks_router_lost(router, 4);
    for (int i = 0; i < 100; i++) {
        size_t count = tksp_router_begin(router, now += 60000, nodes);
        for (size_t k = 0; k < count; k++) CHECK(nodes[k] != 4);
        tksp_router_settle(router, NULL);
    }
    tks_router_free(router);
}

/* A child process makes its own router, and may tell it of a node of its parent's. */
TEST(router_asks_no_node_that_it_does_not_know) {
    tks_router *router = cluster_known();
    int nodes[TKS_REFRESH_NODES];
    tks_router_lost(router, 9);
    CHECK_INT(tksp_router_begin(router, 60000, nodes), 2);
    CHECK(nodes[0] < 2 && nodes[1] < 2);
    tks_router_free(router);
}

TEST(router_sends_what_has_no_key_to_any_that_serves) {
    tks_router *router = cluster_new();
    int seen[7] = {0};
    CHECK(cluster_refresh(router, 0, FIVE));
    for (int i = 0; i < 300; i++) seen[tksp_router_any(router)]++;
    for (int node = 0; node < 7; node++) CHECK((seen[node] > 0) == (node >= 2));
    tks_router_free(router);
}

/* ---- those who listen ------------------------------------------------------------------------ */

static size_t list(const tks_router *router, bool replicas, tks_member *out) {
    return tks_router_list(router, replicas, out, 8);
}

TEST(router_lists_primaries_and_tells_other_slots_of_theirs) {
    tks_member before[8], after[8];
    tks_router *router = cluster_new();
    CHECK_INT(list(router, true, before), 0);
    CHECK_INT(tks_router_renewed_ms(router), 0);
    CHECK(cluster_refresh(router, 100000, CLUSTER_HALVES));
    CHECK_INT(tks_router_renewed_ms(router), 100000);
    CHECK_INT(list(router, false, before), 2);
    CHECK_INT(before[0].node, 0);
    CHECK_INT(before[1].node, 1);
    CHECK_INT(tks_router_list(router, false, after, 1), 1);
    CHECK(!cluster_refresh(router, 200000, NULL));
    CHECK_INT(tks_router_renewed_ms(router), 100000);
    CHECK(cluster_refresh(router, 300000, CLUSTER_HALVES));
    CHECK_INT(list(router, false, after), 2);
    CHECK(after[0].slots == before[0].slots && after[1].slots == before[1].slots);
    tksp_router_moved(router, 8191, 1); /* one slot */
    CHECK_INT(list(router, false, after), 2);
    CHECK(after[0].slots != before[0].slots && after[1].slots != before[1].slots);
    tksp_router_moved(router, 8191, 0);
    CHECK_INT(list(router, false, after), 2);
    CHECK(after[0].slots == before[0].slots && after[1].slots == before[1].slots);
    tks_router_free(router);
    router = cluster_known();
    CHECK(cluster_refresh(router, 400000, WHOLE("c", 7002)));
    CHECK_INT(list(router, false, after), 1);
    CHECK_INT(after[0].node, number(router, "c", 7002));
    tks_router_free(router);
}

#define WITH_REPLICA(host)                                                                         \
    "*1\r\n*4\r\n:0\r\n:16383\r\n*3\r\n$1\r\na\r\n:7000\r\n$1\r\ni\r\n"                            \
    "*3\r\n$1\r\n" host "\r\n:7009\r\n$1\r\nr\r\n"

TEST(router_lists_replicas_of_the_last_refresh_to_those_who_want_them) {
    tks_member members[8];
    tks_router *router = cluster_new();
    CHECK(cluster_refresh(router, 100000, WITH_REPLICA("r")));
    CHECK_INT(list(router, true, members), 1); /* nobody has wanted them */
    tks_router_want_replicas(router);
    CHECK(cluster_refresh(router, 200000, WITH_REPLICA("r")));
    CHECK_INT(list(router, false, members), 1);
    CHECK_INT(list(router, true, members), 2);
    CHECK(!members[0].replica && members[1].replica);
    CHECK_INT(members[1].node, number(router, "r", 7009));
    CHECK(!cluster_refresh(router, 300000, "*1\r\n:1\r\n")); /* no answer */
    CHECK_INT(list(router, true, members), 2);
    CHECK(cluster_refresh(router, 400000, WITH_REPLICA("s"))); /* r has gone */
    CHECK_INT(list(router, true, members), 2);
    CHECK_INT(members[1].node, number(router, "s", 7009));
    CHECK(cluster_refresh(router, 500000, WHOLE("s", 7009))); /* promoted */
    CHECK_INT(list(router, true, members), 1);
    CHECK(!members[0].replica && members[0].node == number(router, "s", 7009));
    tks_router_free(router);
}

TEST(router_is_renewed_for_those_who_listen) {
    tks_router *router = cluster_known(); /* at 0 */
    tks_router_renew(router, 900, 1000);
    CHECK(!tks_router_is_due(router, 900));
    tks_router_renew(router, 1100, 1000);
    CHECK(tks_router_is_due(router, 1100));
    int nodes[TKS_REFRESH_NODES];
    CHECK(tksp_router_begin(router, 1100, nodes) > 0);
    CHECK_INT(tksp_router_patience_ms(router, 0), 250); /* it keeps nobody waiting */
    tks_router_renew(router, 5000, 1000);
    CHECK(!tks_router_is_due(router, 5000)); /* it runs */
    tksp_router_settle(router, NULL);
    tks_router_free(router);
}
