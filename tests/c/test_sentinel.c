/* test_sentinel.c - the primary that Sentinels name: asking them, losing it, and operations on it. Sentinels are the nodes 0, 1
 * and 2; primaries get the numbers from 3 on. */
#include <stdio.h>

#include "cluster_help.h"
#include "op_private.h"
#include "test.h"
#include "tokenstore/secret.h"
#include "tokenstore/tokens.h"

enum { P = 3, Q = 4 }; /* p:6379 and q:6379, as they are met */

static tks_router *new_router(void) {
    tks_target *target = NULL;
    CHECK_STATUS(tks_secret_start(NULL), TKS_OK);
    CHECK_STATUS(
        tks_target_parse(TKS_LITERAL("redis+sentinel://a:1,b:1,c:1/mymaster/0"), &target, NULL),
        TKS_OK);
    tks_router *router = tks_router_new(target);
    tks_target_free(target);
    return router;
}

static int64_t now_ms;

static tks_op *begin(tks_router *router) {
    tks_op *op = tks_router_refresh(router, now_ms += 100000);
    if (!CHECK(op != NULL)) return NULL;
    tks_op_set_router(op, router);
    CHECK_INT(cluster_step(op, TKS_EVENT_START), TKS_NEED_SEND);
    return op;
}

/* A Sentinel's answer; "": its connection is lost. */
static tks_need answer(tks_op *op, const char *host, const char *epoch) {
    char text[300];
    if (*host == '\0') {
        tks_need need = cluster_lose(op, true);
        return need == TKS_NEED_SLEEP ? cluster_step(op, TKS_EVENT_AWAKE) : need;
    }
    (void)snprintf(text, sizeof text,
                   "*8\r\n$4\r\nname\r\n$8\r\nmymaster\r\n$2\r\nip\r\n$1\r\n%s\r\n$4\r\nport\r\n"
                   "$4\r\n6379\r\n$12\r\nconfig-epoch\r\n$%zu\r\n%s\r\n",
                   host, strlen(epoch), epoch);
    return cluster_answer(op, text);
}

/* A refresh in which all three answer. */
static void refresh(tks_router *router, const char *const hosts[3], const char *const epochs[3]) {
    bool asked[3] = {false};
    tks_op *op = begin(router);
    for (int i = 0; i < 3; i++) {
        int node = tks_op_get_batch(op)->node;
        if (!CHECK(node >= 0 && node < 3)) break;
        CHECK(!asked[node]); /* each once, from any on */
        asked[node] = true;
        CHECK_INT(answer(op, hosts[i], epochs[i]), i < 2 ? TKS_NEED_SEND : TKS_DONE);
    }
    tks_op_free(op);
    CHECK(!tks_router_is_asking(router));
}

static void name(tks_router *router, const char *host, const char *epoch) {
    const char *const hosts[] = {host, host, host}, *const epochs[] = {epoch, epoch, epoch};
    refresh(router, hosts, epochs);
}

TEST(sentinel_is_asked_by_name) {
    static const char want[] = "*3\r\n$8\r\nSENTINEL\r\n$6\r\nMASTER\r\n$8\r\nmymaster\r\n";
    tks_router *router = new_router();
    CHECK(!tksp_router_is_cluster(router));
    tks_op *op = begin(router);
    CHECK_BYTES(tks_op_get_batch(op)->bytes, test_bytes(want));
    CHECK_INT(tks_op_get_batch(op)->patience_ms, 1000);
    tks_op_free(op);
    tks_router_free(router);
}

/* Two replicas, r and s; s is down. */
#define REPLICA(host, flags)                                                                       \
    "*6\r\n$2\r\nip\r\n$1\r\n" host "\r\n$4\r\nport\r\n$4\r\n6379\r\n$5\r\nflags\r\n" flags "\r\n"
#define PRIMARY                                                                                    \
    "*6\r\n$2\r\nip\r\n$1\r\np\r\n$4\r\nport\r\n$4\r\n6379\r\n$12\r\nconfig-epoch\r\n$1\r\n1\r\n"

TEST(sentinel_names_replicas_to_those_who_want_them) {
    static const char *const answers[] = {"*2\r\n" REPLICA("r", "$5\r\nslave")
                                              REPLICA("s", "$12\r\nslave,s_down"),
                                          "-NOPERM no\r\n", "*1\r\n:1\r\n", "*0\r\n"};
    tks_member members[4];
    tks_router *router = new_router();
    tks_router_want_replicas(router);
    for (size_t i = 0; i < sizeof answers / sizeof answers[0]; i++) {
        tks_op *op = begin(router);
        for (int asked = 0; asked < 3; asked++) {
            char text[500];
            (void)snprintf(text, sizeof text, "%s%s", PRIMARY, answers[i]);
            CHECK_INT(tks_op_get_batch(op)->replies, 2);
            CHECK_INT(cluster_answer(op, text), asked < 2 ? TKS_NEED_SEND : TKS_DONE);
        }
        tks_op_free(op);
        CHECK_INT(tks_router_list(router, false, members, 4), 1);
        CHECK_INT(tks_router_list(router, true, members, 4), i == 0 ? 2 : 1);
        CHECK(!members[0].replica && (i > 0 || members[1].replica));
    }
    tks_router_free(router);
}

/* A Sentinel that was cut off still names the old one. */
TEST(sentinel_of_the_newest_epoch_counts) {
    static const struct {
        const char *hosts[3], *epochs[3];
        int want;
    } cases[] = {
        {{"p", "p", "p"}, {"1", "1", "1"}, P},  {{"p", "q", "q"}, {"1", "2", "2"}, Q},
        {{"q", "p", "p"}, {"2", "1", "1"}, P},  {{"p", "", ""}, {"1", "", ""}, P},
        {{"", "", "p"}, {"", "", "1"}, P},      {{"", "p", ""}, {"", "x", ""}, P},
        {{"p", "q", "p"}, {"9", "10", "9"}, Q}, /* numbers, not texts */
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const char *host;
        uint16_t port;
        tks_router *router = new_router();
        test_context("case %zu", i);
        refresh(router, cases[i].hosts, cases[i].epochs);
        CHECK(tksp_router_find(router, tksp_router_primary(router, 0), &host, &port));
        bool first = i != 2; /* there q is met first */
        CHECK_TEXT(host, cases[i].want == P && first ? "p" : "q");
        CHECK_INT(tksp_router_primary(router, 16383), tksp_router_primary(router, 0));
        CHECK_STATUS(tksp_router_why(router).status, TKS_OK);
        tks_router_free(router);
    }
}

TEST(sentinel_answers_that_say_nothing) {
    static const struct {
        const char *text;
        tks_status status;
        const char *says;
    } known[] = {
        {"-ERR No such master with that name\r\n", TKS_ERR_CONFIGURATION, "No such master"},
        {"-ERR unknown command 'SENTINEL'\r\n", TKS_ERR_CONFIGURATION, "use redis://"},
        {"-NOPERM no\r\n", TKS_ERR_CONFIGURATION, "NOPERM"},
        {"-LOADING wait\r\n", TKS_ERR_CONNECTION, "LOADING"},
        {"+OK\r\n", TKS_ERR_CONNECTION, "unexpected answer"},
        {"*0\r\n", TKS_ERR_CONNECTION, "unexpected answer"},
        {"*1\r\n$2\r\nip\r\n", TKS_ERR_CONNECTION, "unexpected answer"},
        {"*4\r\n$2\r\nip\r\n$1\r\np\r\n$4\r\nport\r\n$1\r\n0\r\n", TKS_ERR_CONNECTION,
         "unexpected"},
        {"*4\r\n$2\r\nip\r\n$1\r\np\r\n$4\r\nport\r\n$5\r\n65536\r\n", TKS_ERR_CONNECTION,
         "unexpected"},
        {"*4\r\n$2\r\nip\r\n$1\r\np\r\n$4\r\nport\r\n$2\r\n-1\r\n", TKS_ERR_CONNECTION,
         "unexpected"},
        {"*4\r\n$2\r\nip\r\n$1\r\np\r\n$4\r\nport\r\n$2\r\n6x\r\n", TKS_ERR_CONNECTION,
         "unexpected"},
        {"*4\r\n$2\r\nip\r\n$0\r\n\r\n$4\r\nport\r\n$1\r\n1\r\n", TKS_ERR_CONNECTION, "unexpected"},
        {"*4\r\n$2\r\nip\r\n:1\r\n$4\r\nport\r\n$1\r\n1\r\n", TKS_ERR_CONNECTION, "unexpected"},
    };
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        tks_router *router = new_router();
        tks_op *op = begin(router);
        test_context("%s", known[i].text);
        CHECK_INT(cluster_answer(op, known[i].text), TKS_NEED_SEND);
        CHECK_INT(cluster_answer(op, known[i].text), TKS_NEED_SEND);
        CHECK_INT(cluster_answer(op, known[i].text), TKS_DONE);
        CHECK_INT(tks_op_get_result(op)->integer, 0);
        CHECK_STATUS(tksp_router_why(router).status, known[i].status);
        CHECK_CONTAINS(tksp_router_why(router).message, known[i].says);
        CHECK_INT(tksp_router_primary(router, 0), -1);
        tks_op_free(op);
        tks_router_free(router);
    }
}

/* Not always the same first, or all clients would ask that one. */
TEST(sentinel_that_is_asked_first_is_any) {
    tks_router *router = new_router();
    int first[3] = {0};
    for (int i = 0; i < 100; i++) {
        tks_op *op = begin(router);
        first[tks_op_get_batch(op)->node]++;
        tks_op_free(op);
    }
    for (int i = 0; i < 3; i++) CHECK(first[i] > 0);
    tks_router_free(router);
}

TEST(sentinel_is_asked_again_in_time) {
    tks_router *router = new_router();
    tks_op_free(begin(router));
    CHECK_STATUS(tksp_router_why(router).status, TKS_ERR_CONNECTION);
    name(router, "p", "1");
    CHECK_STATUS(tksp_router_why(router).status, TKS_OK);
    int64_t due = cluster_due_in(router, now_ms);
    CHECK(due >= 132 && due <= 267);
    tks_router_free(router);
}

static int mute = -1; /* the one that was silent when it was asked last */

/* How many are asked; the last one is lost if `silent`. */
static int ask_all(tks_router *router, uint32_t patience_ms, bool silent, int *last) {
    tks_op *op = begin(router);
    int asked = 0;
    for (tks_need need = TKS_NEED_SEND; need == TKS_NEED_SEND && asked < 4; asked++) {
        bool was_silent = patience_ms == 250 && tks_op_get_batch(op)->node == mute;
        CHECK_INT(tks_op_get_batch(op)->patience_ms, was_silent ? 50 : patience_ms);
        *last = tks_op_get_batch(op)->node;
        need = answer(op, silent && asked == 2 ? "" : "p", "1");
        if (*last == mute) mute = -1;
        if (silent && asked == 2) mute = *last;
    }
    tks_op_free(op);
    return asked;
}

/* An operation waits for a renewal: nobody should wait every second for a Sentinel that is silent. */
TEST(sentinel_that_was_silent_is_left_out_of_renewals) {
    int silent = -1, last = -1;
    tks_router *router = new_router();
    name(router, "p", "1");
    CHECK_INT(ask_all(router, 250, true, &silent), 3);
    CHECK(cluster_due_in(router, now_ms) >= 66);
    for (int spared = 1; spared <= TKS_REFRESH_SPARED;
         spared = spared == 31 ? TKS_REFRESH_SPARED : 2 * spared + 1) {
        test_context("%d", spared);
        for (int i = 0; i < spared; i++) CHECK_INT(ask_all(router, 250, false, &last), 2);
        if (spared < TKS_REFRESH_SPARED) CHECK_INT(ask_all(router, 250, true, &last), 3);
        CHECK(spared == TKS_REFRESH_SPARED || last == silent);
    }
    tks_router_lost(router, P); /* now all count; that one is asked last */
    CHECK_INT(ask_all(router, 1000, false, &last), 3);
    CHECK_INT(last, silent);
    CHECK_INT(ask_all(router, 250, false, &last), 3);
    CHECK_INT(ask_all(router, 250, true, &last),
              3); /* one that was slow once is asked soon again */
    CHECK_INT(ask_all(router, 250, false, &last), 2);
    CHECK_INT(ask_all(router, 250, false, &last), 3);
    tks_router_free(router);
}

/* The one that made the failover is silent, and has not told the others yet: they name the old primary. */
TEST(sentinel_of_an_older_epoch_is_not_believed_for_some_time) {
    const char *const before[] = {"p", "p", "p"}, *const after[] = {"q", "p", "p"};
    const char *const newer[] = {"2", "1", "1"}, *const older[] = {"1", "1", "1"};
    tks_router *router = new_router();
    refresh(router, before, older);
    int p = tksp_router_primary(router, 0);
    refresh(router, after, newer);
    int q = tksp_router_primary(router, 0);
    CHECK(q != p);
    now_ms += TKS_EPOCH_KEPT_MS - 1000 - 100000; /* what refresh adds */
    refresh(router, before, older);
    CHECK_INT(tksp_router_primary(router, 0), q);
    CHECK_STATUS(tksp_router_why(router).status, TKS_ERR_CONNECTION);
    now_ms += 1000 - 100000; /* if it is gone for good, they count */
    tks_router_lost(router, q);
    refresh(router, before, older);
    CHECK_INT(tksp_router_primary(router, 0), p);
    refresh(router, after, older);
    CHECK_STATUS(tksp_router_why(router).status, TKS_OK);
    tks_router_free(router);
}

/* ---- operations --------------------------------------------------------------------------------- */

static tks_op *delete_all(tks_router *router) {
    tks_tokens_options options = TKS_TOKENS_OPTIONS_INIT;
    tks_tokens *tokens = NULL;
    tks_op *op = NULL;
    CHECK_STATUS(tks_tokens_new(&options, &tokens, NULL), TKS_OK);
    CHECK_STATUS(tks_tokens_delete_all(tokens, TKS_LITERAL("a"), TKS_LITERAL("t"),
                                       TKS_LITERAL("bob"), tks_bytes_of(NULL, 0), &op, NULL),
                 TKS_OK);
    tks_tokens_free(tokens);
    tks_op_set_router(op, router);
    return op;
}

static tks_op *begin_delete(tks_router *router) {
    tks_op *op = delete_all(router);
    CHECK_INT(cluster_step(op, TKS_EVENT_START), TKS_NEED_SEND);
    CHECK_INT(tks_op_get_batch(op)->node, P);
    return op;
}

/* It may have been replaced, and come back empty: no write goes there before the Sentinels were asked. */
TEST(sentinel_primary_that_is_lost_is_not_known) {
    tks_router *router = new_router();
    name(router, "p", "1");
    tks_op *op = begin_delete(router);
    CHECK_INT(cluster_lose(op, false), TKS_NEED_SLEEP);
    CHECK_INT(tksp_router_primary(router, 0), -1);
    CHECK(!tks_router_serves(router, P));
    CHECK(cluster_due_in(router, now_ms) <= 134);
    for (int i = 0; i < 20; i++) CHECK_INT(cluster_step(op, TKS_EVENT_AWAKE), TKS_NEED_SLEEP);
    name(router, "q", "2");
    CHECK_INT(cluster_step(op, TKS_EVENT_AWAKE), TKS_NEED_SEND);
    CHECK_INT(tks_op_get_batch(op)->node, Q);
    tks_op_free(op);
    tks_router_free(router);
}

/* Of a Sentinel, or of one that was the primary once, it says nothing. */
TEST(sentinel_that_is_lost_leaves_the_primary) {
    tks_router *router = new_router();
    name(router, "p", "1");
    name(router, "q", "2");
    tks_router_lost(router, 0);
    tks_router_lost(router, P);
    CHECK_INT(tksp_router_primary(router, 0), Q);
    tks_router_free(router);
}

TEST(sentinel_primary_that_refuses) {
    static const char *const texts[] = {"-READONLY You can't write\r\n", "-LOADING wait\r\n",
                                        "-MASTERDOWN down\r\n"};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        tks_router *router = new_router();
        name(router, "p", "1");
        tks_op *op = begin_delete(router);
        CHECK_INT(cluster_answer(op, texts[i]), TKS_NEED_SLEEP);
        CHECK_INT(tksp_router_primary(router, 0), -1);
        CHECK_INT(cluster_step(op, TKS_EVENT_AWAKE), TKS_NEED_SLEEP);
        tks_op_free(op);
        tks_router_free(router);
    }
}

/* What the old primary did after another one was named is lost. */
TEST(sentinel_answers_of_a_replaced_primary_count_as_lost) {
    tks_router *router = new_router();
    name(router, "p", "1");
    tks_op *op = begin_delete(router);
    name(router, "q", "2");
    CHECK_INT(cluster_answer(op, ":1\r\n"), TKS_FAILED);
    CHECK_STATUS(tks_op_get_error(op)->status, TKS_ERR_OUTCOME_UNKNOWN);
    CHECK_INT(tksp_router_primary(router, 0), Q);
    tks_op_free(op);
    tks_router_free(router);
}

/* MOVED is no word of a server that Sentinels watch. */
TEST(sentinel_follows_no_redirection) {
    tks_router *router = new_router();
    name(router, "p", "1");
    tks_op *op = begin_delete(router);
    CHECK_INT(cluster_answer(op, "-MOVED 1 x:1\r\n"), TKS_FAILED);
    CHECK_STATUS(tks_op_get_error(op)->status, TKS_ERR_SERVER);
    CHECK_INT(tksp_router_primary(router, 1), P);
    tks_op_free(op);
    tks_router_free(router);
}
