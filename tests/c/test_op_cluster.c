/* test_op_cluster.c - operations on a cluster: where their commands go, and what redirections, refusals and lost nodes
 * lead to. Nodes 0 and 1 serve half of the slots each; see cluster_help.h. */
#include <stdio.h>

#include "cluster_help.h"
#include "op_private.h"
#include "test.h"
#include "tokenstore/tokens.h"

enum { C = 2, D = 3 }; /* the numbers of c:7002 and d:7003, as they are met */

/* ---- operations ------------------------------------------------------------------------------- */

/* Owners and keys in the first half of the slots, and in the second. */
static const tks_bytes owners[] = {{"ann", 3}, {"bob", 3}};
static const tks_bytes keys[] = {{"bar", 3}, {"foo", 3}};

typedef enum kind { READ, IDEMPOTENT, ONCE, RAW } kind;

static tks_status make_raw(size_t count, const size_t *argc, const tks_bytes *argv, tks_op **out) {
    return tks_raw_new(count, argc, argv, NULL, NULL, out, NULL);
}

/* One command, about a key in that half: count, create, delete_all, or GET. */
static tks_op *make(tks_router *router, kind of, unsigned half) {
    tks_tokens_options options = TKS_TOKENS_OPTIONS_INIT;
    const tks_bytes app = TKS_LITERAL("a"), type = TKS_LITERAL("t"), owner = owners[half];
    const tks_new_token new = {.app = app, .type = type, .owner = owner, .data = {"{}", 2}};
    const tks_bytes words[] = {TKS_LITERAL("GET"), keys[half]};
    const size_t argc = 2;
    tks_tokens *tokens = NULL;
    tks_op *op = NULL;
    CHECK_STATUS(tks_tokens_new(&options, &tokens, NULL), TKS_OK);
    tks_status status = TKS_OK;
    switch (of) {
    case READ: status = tks_tokens_count(tokens, app, type, owner, &op, NULL); break;
    case IDEMPOTENT: status = tks_tokens_create(tokens, &new, &op, NULL); break;
    case ONCE:
        status = tks_tokens_delete_all(tokens, app, type, owner, tks_bytes_of(NULL, 0), &op, NULL);
        break;
    case RAW: status = make_raw(1, &argc, words, &op); break;
    }
    CHECK_STATUS(status, TKS_OK);
    tks_tokens_free(tokens);
    tks_op_set_router(op, router);
    return op;
}

/* The next batch is due, for that node. */
static bool check_sends(const tks_op *op, tks_need need, int node, size_t replies) {
    return CHECK_INT(need, TKS_NEED_SEND) && CHECK_INT(tks_op_get_batch(op)->node, node) &&
           CHECK_INT(tks_op_get_batch(op)->replies, replies);
}

/* An operation whose command is under way to its node. */
static tks_op *begin(tks_router *router, kind of, unsigned half) {
    tks_op *op = make(router, of, half);
    check_sends(op, cluster_step(op, TKS_EVENT_START), (int)half, 1);
    CHECK_INT(tksp_slot_of(op->commands[0].route) >= TKS_SLOTS / 2, half);
    return op;
}

static void wakes(tks_op *op, int node) {
    check_sends(op, cluster_step(op, TKS_EVENT_AWAKE), node, 1);
}

static unsigned slot_of(const tks_op *op) {
    return tksp_slot_of(op->commands[0].route);
}

/* Answers each command with a redirection of its slot to `where`. */
static tks_need redirect(tks_op *op, const char *word, const char *where) {
    char text[200];
    const char *ok = op->commands[0].asking ? "+OK\r\n" : "";
    (void)snprintf(text, sizeof text, "%s-%s %u %s\r\n", ok, word, slot_of(op), where);
    return cluster_answer(op, text);
}

/* Answers a count, and what was asked before it: the check, and 3. */
static tks_need finish_count(tks_op *op) {
    char text[100];
    const char *ok = op->commands[0].asking ? "+OK\r\n" : "";
    (void)snprintf(text, sizeof text, "%s*2\r\n$5\r\n%.5s\r\n:3\r\n", ok,
                   op->commands[0].argv[2].data);
    return cluster_answer(op, text);
}

static void check_counted(tks_op *op) {
    CHECK_INT(finish_count(op), TKS_DONE);
    CHECK_INT(tks_op_get_result(op)->integer, 3);
}

static bool contains(const tks_op *op, const char *part) {
    tks_bytes text = tks_op_get_batch(op)->bytes;
    size_t size = strlen(part);
    for (size_t i = 0; i + size <= text.size; i++) {
        if (memcmp(text.data + i, part, size) == 0) return true;
    }
    return false;
}

/* ---- MOVED ------------------------------------------------------------------------------------ */

TEST(cluster_commands_go_to_the_nodes_of_their_slots) {
    tks_router *router = cluster_known();
    for (kind of = READ; of <= RAW; of++) {
        tks_op_free(begin(router, of, 0));
        tks_op_free(begin(router, of, 1));
    }
    tks_router_free(router);
}

TEST(cluster_moved_is_sent_again_at_once) {
    for (kind of = READ; of <= RAW; of++) {
        tks_router *router = cluster_known();
        tks_op *op = begin(router, of, 0);
        unsigned slot = slot_of(op);
        check_sends(op, redirect(op, "MOVED", "c:7002"), C, 1);
        CHECK(!contains(op, "ASKING"));
        CHECK_INT(tksp_router_primary(router, slot), C);
        CHECK_INT(tksp_router_primary(router, slot - 1), 0);
        CHECK_INT(tks_router_version(router), 2);
        CHECK_INT(tks_op_get_trust(op), TKS_TRUST_KEEP);
        CHECK(cluster_due_in(router, 0) <= 667);
        tks_op_free(op);
        op = make(router, of, 0); /* the next one goes there at once */
        check_sends(op, cluster_step(op, TKS_EVENT_START), C, 1);
        tks_op_free(op);
        tks_router_free(router);
    }
}

TEST(cluster_moved_ends_with_the_answer) {
    tks_router *router = cluster_known();
    tks_op *op = begin(router, READ, 1);
    check_sends(op, redirect(op, "MOVED", "c:7002"), C, 1);
    check_counted(op);
    tks_op_free(op);
    tks_router_free(router);
}

TEST(cluster_moved_without_a_host_is_that_of_the_sender) {
    static const char *const hosts[] = {":7009", "?:7009"};
    const char *host;
    uint16_t port;
    for (int i = 0; i < 2; i++) {
        tks_router *router = cluster_known();
        tks_op *op = begin(router, READ, 1);
        check_sends(op, redirect(op, "MOVED", hosts[i]), C, 1);
        CHECK(tksp_router_find(router, C, &host, &port));
        CHECK_TEXT(host, "b");
        CHECK_INT(port, 7009);
        tks_op_free(op);
        tks_router_free(router);
    }
}

TEST(cluster_moved_to_the_sender_waits_for_a_refresh) {
    static const char *const hosts[] = {"a:7000", ":7000"};
    for (int i = 0; i < 2; i++) {
        tks_router *router = cluster_known();
        tks_op *op = begin(router, READ, 0);
        CHECK_INT(redirect(op, "MOVED", hosts[i]), TKS_NEED_SLEEP);
        CHECK(cluster_due_in(router, 0) <= 134);
        CHECK_INT(tks_router_version(router), 1);
        wakes(op, 0);
        tks_op_free(op);
        tks_router_free(router);
    }
}

/* Five hops at once, then a pause; and the same again. */
TEST(cluster_hops_end_in_a_pause) {
    static const char *const where[] = {"c:7002", "d:7003"};
    tks_router *router = cluster_known();
    tks_op *op = begin(router, ONCE, 0);
    for (int round = 0; round < 3; round++) {
        for (int hop = 0; hop < 5; hop++) {
            check_sends(op, redirect(op, "MOVED", where[hop % 2]), C + hop % 2, 1);
        }
        CHECK_INT(redirect(op, "MOVED", where[1]), TKS_NEED_SLEEP);
        CHECK(tks_op_get_sleep(op) <= 125);
        wakes(op, D);
    }
    tks_op_free(op);
    tks_router_free(router);
}

/* After a failover all slots of a node have moved: that is one hop, not as many as there are commands. */
TEST(cluster_commands_that_move_together_are_one_hop) {
    enum { COUNT = 8 };
    static const char *const where[] = {"c:7002", "d:7003"};
    tks_router *router = cluster_known();
    tks_bytes words[2 * COUNT];
    size_t argc[COUNT];
    tks_op *op = NULL;
    for (size_t i = 0; i < COUNT; i++) {
        argc[i] = 2;
        words[2 * i] = TKS_LITERAL("GET");
        words[2 * i + 1] = keys[0];
    }
    CHECK_STATUS(make_raw(COUNT, argc, words, &op), TKS_OK);
    tks_op_set_router(op, router);
    check_sends(op, cluster_step(op, TKS_EVENT_START), 0, COUNT);
    for (int hop = 0; hop < 5; hop++) {
        check_sends(op, redirect(op, "MOVED", where[hop % 2]), C + hop % 2, COUNT);
    }
    CHECK_INT(redirect(op, "MOVED", where[1]), TKS_NEED_SLEEP);
    tks_op_free(op);
    tks_router_free(router);
}

TEST(cluster_redirections_that_cannot_be_read_wait) {
    static const char *const texts[] = {
        "-MOVED\r\n",           "-MOVED 5\r\n", "-MOVED x c:1\r\n", "-MOVED 5 c\r\n",
        "-MOVED 16384 c:1\r\n", "-ASK\r\n",     "-ASK 5 c:0\r\n"};
    tks_router *router = cluster_known();
    const char *host;
    uint16_t port;
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        tks_op *op = begin(router, ONCE, 0);
        test_context("%s", texts[i]);
        CHECK_INT(cluster_answer(op, texts[i]), TKS_NEED_SLEEP);
        wakes(op, 0);
        tks_op_free(op);
    }
    CHECK_INT(tks_router_version(router), 1);
    CHECK(!tksp_router_find(router, C, &host, &port));
    tks_router_free(router);
}

/* ---- ASK -------------------------------------------------------------------------------------- */

TEST(cluster_ask_asks_once_and_leaves_the_map) {
    for (kind of = READ; of <= RAW; of++) {
        tks_router *router = cluster_known();
        tks_op *op = begin(router, of, 0);
        tks_bytes before = tks_op_get_batch(op)->bytes;
        tks_buf want;
        tks_buf_init(&want, 1 << 20);
        CHECK_STATUS(tks_buf_append_bytes(&want, TKS_LITERAL("*1\r\n$6\r\nASKING\r\n")), TKS_OK);
        CHECK_STATUS(tks_buf_append_bytes(&want, before), TKS_OK);
        check_sends(op, redirect(op, "ASK", "c:7002"), C, 2);
        CHECK_BYTES(tks_op_get_batch(op)->bytes, tks_buf_bytes(&want));
        CHECK_INT(tksp_router_primary(router, slot_of(op)), 0);
        CHECK_INT(tks_router_version(router), 1);
        CHECK(cluster_due_in(router, 0) >= 30000);
        CHECK_INT(cluster_answer(op, "+OK\r\n-LOADING wait\r\n"),
                  of == RAW ? TKS_DONE : TKS_NEED_SLEEP);
        if (of != RAW) {
            wakes(op, 0);
            CHECK_BYTES(tks_op_get_batch(op)->bytes, tks_bytes_of(want.data + 16, want.size - 16));
        }
        tks_buf_clear(&want);
        tks_op_free(op);
        tks_router_free(router);
    }
}

TEST(cluster_ask_ends_with_the_answer) {
    tks_router *router = cluster_known();
    tks_op *op = begin(router, READ, 0);
    check_sends(op, redirect(op, "ASK", "c:7002"), C, 2);
    CHECK(!tks_router_serves(router, C)); /* and yet its answer counts */
    check_counted(op);
    tks_op_free(op);
    tks_router_free(router);
}

TEST(cluster_ask_is_forgotten_with_the_connection) {
    tks_router *router = cluster_known();
    tks_op *op = begin(router, READ, 0);
    check_sends(op, redirect(op, "ASK", "c:7002"), C, 2);
    CHECK_INT(cluster_lose(op, true), TKS_NEED_SLEEP);
    wakes(op, 0);
    CHECK(!contains(op, "ASKING"));
    tks_op_free(op);
    tks_router_free(router);
}

/* The slot arrived, and has moved on. */
TEST(cluster_ask_then_moved_goes_where_moved_says) {
    tks_router *router = cluster_known();
    tks_op *op = begin(router, READ, 0);
    check_sends(op, redirect(op, "ASK", "c:7002"), C, 2);
    check_sends(op, redirect(op, "MOVED", "d:7003"), D, 1);
    CHECK(!contains(op, "ASKING"));
    CHECK_INT(tksp_router_primary(router, slot_of(op)), D);
    check_sends(op, redirect(op, "ASK", "c:7002"), C, 2);
    check_sends(op, redirect(op, "ASK", "d:7003"), D, 2);
    tks_op_free(op);
    tks_router_free(router);
}

/* The script is unknown to the target, too: its text follows, behind ASKING, to the target. */
TEST(cluster_ask_for_a_script_that_is_unknown_there) {
    tks_router *router = cluster_known();
    tks_op *op = begin(router, READ, 0);
    check_sends(op, redirect(op, "ASK", "c:7002"), C, 2);
    CHECK(contains(op, "EVALSHA"));
    check_sends(op, cluster_answer(op, "+OK\r\n-NOSCRIPT no\r\n"), C, 2);
    CHECK(contains(op, "ASKING\r\n") && contains(op, "$4\r\nEVAL\r\n"));
    check_counted(op);
    tks_op_free(op);
    tks_router_free(router);
}

/* ---- refusals --------------------------------------------------------------------------------- */

TEST(cluster_refusals_pause) {
    static const struct {
        const char *text;
        bool refresh, raw; /* wants one; raw commands wait too */
    } known[] = {
        {"-TRYAGAIN Multiple keys\r\n", false, true},
        {"-CLUSTERDOWN The cluster is down\r\n", true, true},
        {"-MASTERDOWN Link with MASTER is down\r\n", true, true},
        {"-LOADING Redis is loading\r\n", true, false},
        {"-READONLY You can't write against a replica.\r\n", true, false},
    };
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        for (kind of = READ; of <= RAW; of++) {
            tks_router *router = cluster_known();
            tks_op *op = begin(router, of, 0);
            bool result = of == RAW && !known[i].raw;
            test_context("%s", known[i].text);
            CHECK_INT(cluster_answer(op, known[i].text), result ? TKS_DONE : TKS_NEED_SLEEP);
            CHECK((cluster_due_in(router, 0) <= 134) == known[i].refresh);
            CHECK((tks_op_get_trust(op) == TKS_TRUST_LEAVE) == (known[i].text[1] == 'R'));
            if (!result) wakes(op, 0);
            tks_op_free(op);
            tks_router_free(router);
        }
    }
}

/* A failover lasts seconds, and ends at any moment: no pause is long, and nothing ends the operation but its deadline. */
TEST(cluster_refusals_are_no_end) {
    tks_router *router = cluster_known();
    tks_op *op = begin(router, ONCE, 0);
    for (int i = 0; i < 100; i++) {
        CHECK_INT(cluster_answer(op, "-CLUSTERDOWN down\r\n"), TKS_NEED_SLEEP);
        CHECK(tks_op_get_sleep(op) <= 125);
        wakes(op, 0);
    }
    CHECK_INT(cluster_answer(op, "-CLUSTERDOWN down\r\n"), TKS_NEED_SLEEP);
    CHECK_INT(cluster_step(op, TKS_EVENT_DEADLINE), TKS_FAILED);
    CHECK_STATUS(tks_op_get_error(op)->status, TKS_ERR_TIMEOUT); /* it was not executed */
    CHECK_CONTAINS(tks_op_get_error(op)->message, "CLUSTERDOWN");
    tks_op_free(op);
    tks_router_free(router);
}

/* ---- losses ----------------------------------------------------------------------------------- */

TEST(cluster_lost_before_it_was_sent_goes_again) {
    for (kind of = READ; of <= RAW; of++) {
        tks_router *router = cluster_known();
        tks_op *op = begin(router, of, 0);
        CHECK_INT(cluster_lose(op, false), TKS_NEED_SLEEP);
        CHECK(cluster_due_in(router, 0) <= 134);
        CHECK(cluster_refresh(router, 1000, "*1\r\n" CLUSTER_RANGE(0, 16383, "b", 7001)));
        wakes(op, 1); /* where the slot is now */
        tks_op_free(op);
        tks_router_free(router);
    }
}

TEST(cluster_lost_after_it_was_sent) {
    for (kind of = READ; of <= RAW; of++) {
        tks_router *router = cluster_known();
        tks_op *op = begin(router, of, 0);
        bool again = of == READ || of == IDEMPOTENT;
        CHECK_INT(cluster_lose(op, true), again ? TKS_NEED_SLEEP : TKS_FAILED);
        CHECK(cluster_due_in(router, 0) <= 134);
        if (again) {
            wakes(op, 0);
        } else {
            CHECK_STATUS(tks_op_get_error(op)->status, TKS_ERR_OUTCOME_UNKNOWN);
        }
        tks_op_free(op);
        tks_router_free(router);
    }
}

TEST(cluster_losses_are_no_end_before_the_deadline) {
    static const tks_status ends[][2] = {{TKS_ERR_TIMEOUT, TKS_ERR_TIMEOUT},
                                         {TKS_ERR_TIMEOUT, TKS_ERR_OUTCOME_UNKNOWN},
                                         {TKS_ERR_TIMEOUT, TKS_ERR_OUTCOME_UNKNOWN}};
    for (kind of = READ; of <= ONCE; of++) {
        for (int sent = 0; sent < 2; sent++) {
            tks_router *router = cluster_known();
            tks_op *op = begin(router, of, 0);
            for (int i = 0; i < 50 && (sent == 0 || of != ONCE); i++) {
                CHECK_INT(cluster_lose(op, sent > 0 && i == 0), TKS_NEED_SLEEP);
                CHECK(tks_op_get_sleep(op) <= 125);
                wakes(op, 0);
            }
            const tks_event late = {.type = TKS_EVENT_DEADLINE, .sent = sent > 0};
            CHECK_INT(tks_op_step(op, &late), TKS_FAILED);
            CHECK_STATUS(tks_op_get_error(op)->status, ends[of][sent]);
            tks_op_free(op);
            tks_router_free(router);
        }
    }
}

TEST(cluster_loss_that_is_final_ends_it) {
    tks_router *router = cluster_known();
    tks_op *op = begin(router, READ, 0);
    const tks_error why = {TKS_ERR_SERVER, "AUTH refused"};
    const tks_event lost = {.type = TKS_EVENT_LOST, .final = true, .why = &why};
    CHECK_INT(tks_op_step(op, &lost), TKS_FAILED);
    CHECK_STATUS(tks_op_get_error(op)->status, TKS_ERR_SERVER);
    tks_op_free(op);
    tks_router_free(router);
}

/* ---- nodes that were replaced ------------------------------------------------------------------ */

/* The command is under way to node 0 when node 1 takes over all slots. */
static tks_op *begin_demoted(tks_router *router, kind of) {
    tks_op *op = begin(router, of, 0);
    CHECK(cluster_refresh(router, 60000, "*1\r\n" CLUSTER_RANGE(0, 16383, "b", 7001)));
    return op;
}

/* What it executed is lost. */
TEST(cluster_answers_of_a_replaced_node_count_as_lost) {
    for (kind of = READ; of <= RAW; of++) {
        tks_router *router = cluster_known();
        tks_op *op = begin_demoted(router, of);
        bool again = of == READ || of == IDEMPOTENT;
        CHECK_INT(cluster_answer(op, ":1\r\n"), again ? TKS_NEED_SLEEP : TKS_FAILED);
        CHECK_INT(tks_op_get_trust(op), again ? TKS_TRUST_LEAVE : TKS_TRUST_CLOSE);
        if (again) {
            wakes(op, 1);
        } else {
            CHECK_STATUS(tks_op_get_error(op)->status, TKS_ERR_OUTCOME_UNKNOWN);
            CHECK_CONTAINS(tks_op_get_error(op)->message, "replaced by another primary");
        }
        tks_op_free(op);
        tks_router_free(router);
    }
}

/* What it refused was not executed. */
TEST(cluster_redirections_of_a_replaced_node_are_followed) {
    tks_router *router = cluster_known();
    tks_op *op = begin_demoted(router, ONCE);
    check_sends(op, redirect(op, "MOVED", "b:7001"), 1, 1);
    tks_op_free(op);
    tks_router_free(router);
}
