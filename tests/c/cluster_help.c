/* cluster_help.c - see cluster_help.h. */
#include "cluster_help.h"

#include "test.h"
#include "tokenstore/secret.h"

enum { REPLY_MAX = 1 << 20, REPLIES_MAX = 16 };

static tks_router *router_of(tks_bytes url) {
    tks_target *target = NULL;
    CHECK_STATUS(tks_secret_start(NULL), TKS_OK);
    CHECK_STATUS(tks_target_parse(url, &target, NULL), TKS_OK);
    tks_router *router = tks_router_new(target);
    tks_target_free(target);
    return router;
}

tks_router *cluster_new(void) {
    return router_of(TKS_LITERAL("redis+cluster://a:7000,b:7001"));
}

tks_router *cluster_watched(void) {
    return router_of(TKS_LITERAL("redis+sentinel://a:1,b:2/name"));
}

tks_router *cluster_known(void) {
    tks_router *router = cluster_new();
    CHECK(cluster_refresh(router, 0, CLUSTER_HALVES));
    return router;
}

static tks_reader *read_text(const char *text) {
    tks_reader *reader = NULL;
    CHECK_STATUS(tks_reader_new(REPLY_MAX, &reader, NULL), TKS_OK);
    CHECK_STATUS(tks_reader_feed(reader, text, strlen(text), NULL), TKS_OK);
    return reader;
}

tks_reply *cluster_reply(const char *text) {
    tks_reply *reply = NULL;
    tks_reader *reader = read_text(text);
    CHECK_STATUS(tks_reader_next(reader, &reply, NULL), TKS_OK);
    tks_reader_free(reader);
    return reply;
}

bool cluster_refresh(tks_router *router, int64_t now_ms, const char *text) {
    int nodes[TKS_REFRESH_NODES];
    tks_error err = {TKS_ERR_CONNECTION, "no node answers"};
    bool adopted = false;
    CHECK(tksp_router_begin(router, now_ms, nodes) > 0);
    if (text != NULL) {
        tks_reply *reply = cluster_reply(text);
        err = (tks_error)TKS_ERROR_INIT;
        adopted = tksp_router_adopt(router, nodes[0], reply, &err);
        CHECK(adopted == (err.status == TKS_OK));
        tks_reply_free(reply);
    }
    tksp_router_settle(router, adopted ? NULL : &err);
    return adopted;
}

int64_t cluster_due_in(const tks_router *router, int64_t now_ms) {
    int64_t ms = 0;
    while (ms < 1000000 && !tks_router_is_due(router, now_ms + ms)) ms++;
    return ms;
}

tks_need cluster_answer(tks_op *op, const char *text) {
    tks_reply *replies[REPLIES_MAX] = {NULL};
    size_t count = tks_op_get_batch(op)->replies;
    tks_event event = {.type = TKS_EVENT_REPLIES, .now_ms = 1700000000000, .replies = replies};
    tks_reader *reader = NULL;
    if (!CHECK(count <= REPLIES_MAX)) return TKS_FAILED;
    for (size_t i = 0; i < count; i++) {
        if (reader == NULL || tks_reader_is_idle(reader)) {
            tks_reader_free(reader);
            reader = read_text(text);
        }
        CHECK_STATUS(tks_reader_next(reader, &replies[i], NULL), TKS_OK);
        CHECK(replies[i] != NULL);
    }
    CHECK(tks_reader_is_idle(reader)); /* the text has as many, or a part */
    tks_reader_free(reader);
    tks_need need = tks_op_step(op, &event);
    for (size_t i = 0; i < count; i++) tks_reply_free(replies[i]);
    return need;
}

tks_need cluster_step(tks_op *op, tks_event_type type) {
    const tks_event event = {.type = type, .now_ms = 1700000000000};
    return tks_op_step(op, &event);
}

tks_need cluster_lose(tks_op *op, bool sent) {
    const tks_event event = {.type = TKS_EVENT_LOST, .sent = sent};
    return tks_op_step(op, &event);
}
