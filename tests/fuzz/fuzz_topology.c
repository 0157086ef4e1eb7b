/* fuzz_topology.c - a cluster or Sentinels that answer anything: what a router knows stays in step with itself, and
 * operations end. Input: one byte, then the bytes of the nodes. The byte modulo 3 is 0: each reply is an answer to
 * CLUSTER SLOTS, or, if it is an error, the text of a redirection. 1: they answer an operation on a cluster, which the
 * byte selects, and the refreshes that it leads to. 2: the same with Sentinels, which are asked first. At the end of the
 * bytes, connections are lost. */
#include "fuzz.h"
#include "op_private.h"
#include "router.h"
#include "tokenstore/secret.h"
#include "tokenstore/tokens.h"

enum { REPLY_MAX = 1 << 16, REPLIES_MAX = 16, STEPS_MAX = 60, OPERATIONS = 4 };

static const char halves[] =
    "*2\r\n*3\r\n:0\r\n:8191\r\n*2\r\n$1\r\na\r\n:7000\r\n"
    "*3\r\n:8192\r\n:16383\r\n*2\r\n$1\r\nb\r\n:7001\r\n";

/* ---- what a router knows ----------------------------------------------------------------------- */

static void require_view(const tksp_view *view, const tksp_nodes *nodes) {
    size_t count = 0;
    for (unsigned slot = 0; slot < TKS_SLOTS; slot++) {
        if (view->of[slot] == 0) continue;
        REQUIRE(tksp_nodes_find(nodes, view->of[slot] - 1) != NULL);
        count++;
    }
    REQUIRE(view->coverage == count);
}

static void require_router(const tks_router *router) {
    static int slots[TKS_NODES_MAX];
    const char *host;
    uint16_t port;
    memset(slots, 0, sizeof slots);
    for (unsigned slot = 0; slot < TKS_SLOTS; slot++) {
        int node = tksp_router_primary(router, slot);
        REQUIRE(node == -1 || tksp_router_find(router, node, &host, &port));
        if (node >= 0) slots[node]++;
    }
    for (int node = 0; tksp_router_find(router, node, &host, &port); node++) {
        REQUIRE(tks_router_serves(router, node) == (slots[node] > 0));
        REQUIRE(port > 0 && *host != '\0' && strlen(host) <= TKS_HOST_MAX);
    }
    int any = tksp_router_any(router);
    REQUIRE(any < 0 || slots[any] > 0);
}

static tks_router *new_router(tks_bytes url) {
    tks_target *target = NULL;
    REQUIRE(tks_secret_start(NULL) == TKS_OK);
    REQUIRE(tks_target_parse(url, &target, NULL) == TKS_OK);
    tks_router *router = tks_router_new(target);
    tks_target_free(target);
    REQUIRE(router != NULL);
    return router;
}

/* A refresh that brings this answer. */
static void refresh(tks_router *router, const tks_reply *reply, int64_t now_ms) {
    int nodes[TKS_REFRESH_NODES];
    const char *host;
    uint16_t port;
    tks_error err = TKS_ERROR_INIT;
    uint64_t before = tks_router_version(router);
    size_t count = tksp_router_begin(router, now_ms, nodes);
    REQUIRE(count > 0 && !tks_router_is_due(router, now_ms));
    for (size_t i = 0; i < count; i++) REQUIRE(tksp_router_find(router, nodes[i], &host, &port));
    bool adopted = tksp_router_adopt(router, nodes[0], reply, &err);
    REQUIRE(adopted == (err.status == TKS_OK));
    REQUIRE(adopted || tks_router_version(router) == before);
    tksp_router_settle(router, adopted ? NULL : &err);
}

static void redirect(tks_router *router, tks_bytes text) {
    unsigned slot;
    tks_bytes host;
    uint16_t port;
    const char *space = memchr(text.data, ' ', text.size);
    if (space == NULL) return;
    size_t word = (size_t)(space + 1 - text.data);
    text = tks_bytes_of(text.data + word, text.size - word);
    if (!tksp_redirection_read(text, &slot, &host, &port)) return;
    REQUIRE(slot < TKS_SLOTS && port > 0 && host.size <= TKS_HOST_MAX);
    REQUIRE(host.data >= text.data && host.data + host.size < text.data + text.size);
    int node = tksp_router_number(router, 0, host, port);
    if (node < 0) return;
    REQUIRE(tksp_router_number(router, 0, host, port) == node);
    tksp_router_moved(router, slot, node);
    REQUIRE(tksp_router_primary(router, slot) == node);
}

static void tell(tks_router *router, const char *text, size_t size) {
    static tksp_view view;
    static tksp_nodes nodes;
    tks_reader *reader = NULL;
    tks_reply *reply = NULL;
    int64_t now_ms = 0;
    REQUIRE(tks_reader_new(REPLY_MAX, &reader, NULL) == TKS_OK);
    tks_status status = tks_reader_feed(reader, text, size, NULL);
    REQUIRE(tksp_nodes_number(&nodes, TKS_LITERAL("seed"), 1) == 0);
    atomic_store(&nodes.with_replicas, true);
    while (status == TKS_OK && tks_reader_next(reader, &reply, NULL) == TKS_OK && reply != NULL) {
        if (tks_reply_get_type(reply) == TKS_REPLY_ERROR) {
            redirect(router, tks_reply_get_bytes(reply));
        } else {
            status = tksp_view_read(reply, 0, &nodes, &view, NULL);
            REQUIRE(status == TKS_OK || status == TKS_ERR_CONNECTION || status == TKS_ERR_MEMORY);
            status = TKS_OK;
            require_view(&view, &nodes);
            refresh(router, reply, now_ms += 100000);
        }
        tks_reply_free(reply);
        reply = NULL;
    }
    tksp_nodes_clear(&nodes);
    tks_reader_free(reader);
}

/* ---- operations -------------------------------------------------------------------------------- */

static tks_op *make(unsigned choice) {
    const tks_bytes app = {"a", 1}, type = {"t", 1}, ann = {"ann", 3}, bob = {"bob", 3};
    const tks_new_token new[] = {{.app = app, .type = type, .owner = ann, .data = {"{}", 2}},
                                 {.app = app, .type = type, .owner = bob, .data = {"{}", 2}}};
    const tks_bytes customs[] = {{"x", 1}, {"y", 1}, {"z", 1}};
    const tks_bytes words[] = {{"GET", 3}, {"foo", 3},  {"MULTI", 5}, {"INCR", 4},
                               {"bar", 3}, {"EXEC", 4}, {"WAIT", 4},  {"1", 1},
                               {"9", 1},   {"GET", 3},  {"bar", 3}};
    const size_t argc[] = {2, 1, 2, 1, 3, 2};
    tks_tokens_options options = TKS_TOKENS_OPTIONS_INIT;
    tks_tokens *tokens = NULL;
    tks_op *op = NULL;
    tks_status status = tks_tokens_new(&options, &tokens, NULL);
    REQUIRE(status == TKS_OK);
    switch (choice % OPERATIONS) {
    case 0: status = tks_raw_new(6, argc, words, NULL, NULL, &op, NULL); break;
    case 1: status = tks_tokens_get_many(tokens, app, type, 3, customs, &op, NULL); break;
    case 2: status = tks_tokens_create_many(tokens, 2, new, &op, NULL); break;
    default: status = tks_tokens_delete_all(tokens, app, type, bob, customs[0], &op, NULL); break;
    }
    REQUIRE(status == TKS_OK);
    tks_tokens_free(tokens);
    return op;
}

/* Handles a batch: with the next replies, or as lost. */
static tks_need answer(tks_op *op, const tks_router *router, tks_bytes *text) {
    const tks_batch *batch = tks_op_get_batch(op);
    tks_reply *replies[REPLIES_MAX] = {NULL};
    tks_event event = {.type = TKS_EVENT_REPLIES, .now_ms = 1700000000000, .replies = replies};
    tks_reader *reader = NULL;
    tks_status status = tks_reader_new(REPLY_MAX, &reader, NULL);
    const char *host;
    uint16_t port;
    size_t count = 0;
    REQUIRE(batch->replies > 0 && batch->replies <= REPLIES_MAX && batch->bytes.size > 0);
    REQUIRE(tksp_router_find(router, batch->node, &host, &port));
    /* Byte by byte, so that the remaining bytes are left for the next batch. */
    while (text->size > 0 && count < batch->replies && status == TKS_OK) {
        status = tks_reader_feed(reader, text->data, 1, NULL);
        *text = tks_bytes_of(text->data + 1, text->size - 1);
        if (status == TKS_OK) status = tks_reader_next(reader, &replies[count], NULL);
        if (replies[count] != NULL) count++;
    }
    if (count < batch->replies) event.type = TKS_EVENT_LOST;
    event.sent = event.type == TKS_EVENT_LOST && text->size % 2 == 0;
    tks_reader_free(reader);
    if (event.type == TKS_EVENT_LOST) event.replies = NULL;
    tks_need need = tks_op_step(op, &event);
    for (size_t i = 0; i < REPLIES_MAX; i++) tks_reply_free(replies[i]);
    return need;
}

static void run(tks_op *op, tks_router *router, tks_bytes *text, int64_t *now_ms);

/* To the end; parts one after the other. */
static void run_steps(tks_op *op, tks_router *router, tks_bytes *text, int64_t *now_ms) {
    tks_event event = {.type = TKS_EVENT_START, .now_ms = 1700000000000};
    int steps = 0;
    tks_need need = tks_op_step(op, &event);
    while (need != TKS_DONE && need != TKS_FAILED) {
        if (need == TKS_NEED_SEND) {
            need = answer(op, router, text);
            continue;
        }
        if (need == TKS_NEED_PARTS) {
            tks_op **parts;
            size_t count = tks_op_get_parts(op, &parts);
            REQUIRE(count > 1);
            for (size_t i = 0; i < count; i++) run_steps(parts[i], router, text, now_ms);
            event.type = TKS_EVENT_PARTS;
            need = tks_op_step(op, &event);
            continue;
        }
        REQUIRE(need == TKS_NEED_SLEEP && tks_op_get_sleep(op) <= 125);
        tks_op *refresh = tks_router_refresh(router, *now_ms += tks_op_get_sleep(op));
        if (refresh != NULL) run(refresh, router, text, now_ms);
        event.type = ++steps > STEPS_MAX ? TKS_EVENT_DEADLINE : TKS_EVENT_AWAKE;
        need = tks_op_step(op, &event);
    }
    REQUIRE(need == TKS_DONE || tks_op_get_error(op)->message[0] != '\0');
}

static void run(tks_op *op, tks_router *router, tks_bytes *text, int64_t *now_ms) {
    tks_op_set_router(op, router);
    run_steps(op, router, text, now_ms);
    tks_op_free(op);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size == 0) return 0;
    bool sentinels = data[0] % 3 == 2;
    tks_router *router = new_router(sentinels ? TKS_LITERAL("redis+sentinel://a:1,b:1/mymaster/0")
                                              : TKS_LITERAL("redis+cluster://a:7000,b:7001"));
    tks_bytes text = fuzz_bytes(data + 1, size - 1);
    if (data[0] % 3 == 0) {
        tell(router, text.data, text.size);
    } else {
        int64_t now_ms = 0;
        if (!sentinels) tell(router, halves, sizeof halves - 1);
        run(make(data[0] / 3u), router, &text, &now_ms);
        REQUIRE(!tks_router_is_asking(router));
    }
    require_router(router);
    tks_router_free(router);
    return 0;
}
