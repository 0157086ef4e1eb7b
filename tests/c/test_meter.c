/* test_meter.c - what operations cost: measured when a meter runs, and its sums. */
#include <string.h>

#include "cluster_help.h"
#include "op_private.h"
#include "test.h"
#include "tokenstore/meter.h"
#include "tokenstore/tokens.h"

/* A clock that goes on by a millisecond each time it is read. */
static int64_t tick_us;
static int64_t tick(void) {
    return tick_us += 1000;
}

static tks_meter *started(void) {
    tks_meter *meter = tks_meter_new();
    CHECK_STATUS(tks_meter_start(meter, tick), TKS_OK);
    return meter;
}

static const tks_operation *row_of(const char *name) {
    size_t i = 0;
    while (strcmp(tks_sessions_type.operations[i].name, name) != 0) i++;
    return &tks_sessions_type.operations[i];
}

/* get of a session, or count of an owner. */
static tks_op *make(const char *name) {
    const tks_operation *row = row_of(name);
    tks_arg args[TKS_PARAM_MAX] = {{{{NULL, 0}}}};
    tks_tokens_options options = TKS_TOKENS_OPTIONS_INIT;
    void *store = NULL;
    tks_op *op = NULL;
    CHECK_STATUS(tks_sessions_type.make(&options, &store, NULL), TKS_OK);
    args[0].text = TKS_LITERAL("web");
    args[1].text = TKS_LITERAL("session");
    args[2].text = TKS_LITERAL("no-such-token");
    CHECK_STATUS(tks_operation_make(row, store, args, &op, NULL), TKS_OK);
    tks_sessions_type.free(store);
    return op;
}

static bool read_of(const tks_meter *meter, const char *store, const char *name,
                    tks_meter_sums *out) {
    for (size_t i = 0; i < tks_meter_size(); i++) {
        if (!tks_meter_read(meter, i, out)) continue;
        if (strcmp(out->store, store) == 0 && strcmp(out->name, name) == 0) return true;
    }
    return false;
}

TEST(meter_that_was_not_started_measures_nothing) {
    tks_meter *meter = tks_meter_new();
    tks_op *op = make("get");
    tks_meter_sums sums;
    tks_op_set_meter(op, meter);
    CHECK(!op->measuring.on);
    CHECK_INT(cluster_step(op, TKS_EVENT_START), TKS_NEED_SEND);
    CHECK_INT(cluster_answer(op, "$-1\r\n"), TKS_DONE);
    CHECK(tks_op_get_measure(op) == NULL);
    CHECK(!read_of(meter, "Sessions", "get", &sums));
    tks_op_free(op);
    tks_meter_free(meter);
}

TEST(meter_measures_an_operation) {
    tks_meter *meter = started();
    tks_op *op = make("get");
    tks_op_set_meter(op, meter);
    CHECK_INT(cluster_step(op, TKS_EVENT_START), TKS_NEED_SEND);
    size_t sent = tks_op_get_batch(op)->bytes.size;
    CHECK(tks_op_get_measure(op) == NULL);
    CHECK_INT(cluster_answer(op, "$-1\r\n"), TKS_DONE);
    const tks_measure *m = tks_op_get_measure(op);
    if (CHECK(m != NULL)) {
        CHECK_TEXT(m->store, "Sessions");
        CHECK_TEXT(m->name, "get");
        CHECK_STATUS(m->status, TKS_OK);
        CHECK(m->missed && !m->near);
        CHECK_INT(m->tries, 1);
        CHECK_INT(m->trips, 1);
        CHECK_INT(m->took_us, 1000);
        CHECK_INT(m->sent, sent);
        CHECK_INT(m->received, 0);
    }
    tks_op_free(op);
    tks_meter_sums sums;
    CHECK(read_of(meter, "Sessions", "get", &sums));
    CHECK_INT(sums.outcomes[TKS_OK], 0);
    CHECK_INT(sums.outcomes[TKS_STATUS_COUNT], 1);
    CHECK_TEXT(tks_meter_outcome(TKS_STATUS_COUNT), "not_found");
    CHECK_INT(sums.durations[3], 1); /* 1000 us is not above its bound */
    CHECK_INT(sums.took_us, 1000);
    CHECK_INT(sums.sent, sent);
    CHECK(!read_of(meter, "RedisTokens", "get", &sums));
    tks_meter_free(meter);
}

TEST(meter_counts_tries_trips_and_bytes) {
    tks_meter *meter = started();
    tks_op *op = make("count");
    tks_op_set_meter(op, meter);
    CHECK_INT(cluster_step(op, TKS_EVENT_START), TKS_NEED_SEND);
    CHECK_INT(cluster_answer(op, "-LOADING wait\r\n"), TKS_NEED_SLEEP);
    CHECK_INT(cluster_step(op, TKS_EVENT_AWAKE), TKS_NEED_SEND);
    CHECK_INT(cluster_answer(op, "-NOSCRIPT none\r\n"), TKS_NEED_SEND); /* no new try */
    CHECK_INT(cluster_answer(op, "-ERR no\r\n"), TKS_FAILED);
    const tks_measure *m = tks_op_get_measure(op);
    CHECK_STATUS(m->status, TKS_ERR_SERVER);
    CHECK(!m->missed);
    CHECK_INT(m->tries, 2);
    CHECK_INT(m->trips, 3);
    CHECK_INT(m->received, strlen("LOADING wait") + strlen("NOSCRIPT none") + strlen("ERR no"));
    CHECK_INT(cluster_step(op, TKS_EVENT_AWAKE), TKS_FAILED); /* is counted once */
    tks_op_free(op);
    tks_meter_sums sums;
    CHECK(read_of(meter, "Sessions", "count", &sums));
    CHECK_INT(sums.outcomes[TKS_ERR_SERVER], 1);
    CHECK_INT(sums.outcomes[TKS_ERR_INTERRUPTED], 0);
    CHECK_INT(sums.tries, 2);
    tks_meter_free(meter);
}

TEST(meter_counts_what_was_given_up) {
    tks_meter *meter = started();
    tks_meter_sums sums;
    tks_op *op = make("get");
    tks_op_set_meter(op, meter);
    tks_op_free(op); /* never begun */
    CHECK(!read_of(meter, "Sessions", "get", &sums));
    op = make("get");
    tks_op_set_meter(op, meter);
    CHECK_INT(cluster_step(op, TKS_EVENT_START), TKS_NEED_SEND);
    tks_op_free(op);
    CHECK(read_of(meter, "Sessions", "get", &sums));
    CHECK_INT(sums.outcomes[TKS_ERR_INTERRUPTED], 1);
    tks_meter_free(meter);
}

TEST(meter_adds_the_parts_to_the_whole) {
    tks_meter *meter = started();
    tks_router *router = cluster_known();
    const tks_bytes words[] = {TKS_LITERAL("GET"), TKS_LITERAL("foo"), TKS_LITERAL("GET"),
                               TKS_LITERAL("bar")};
    const size_t argc[] = {2, 2};
    tks_op *op = NULL, **parts = NULL;
    uint64_t sent = 0;
    CHECK_STATUS(tks_raw_new(2, argc, words, NULL, NULL, &op, NULL), TKS_OK);
    tks_op_set_meter(op, meter);
    tks_op_set_router(op, router);
    CHECK_INT(cluster_step(op, TKS_EVENT_START), TKS_NEED_PARTS);
    CHECK_INT(tks_op_get_parts(op, &parts), 2);
    for (size_t i = 0; i < 2; i++) {
        CHECK_INT(cluster_step(parts[i], TKS_EVENT_START), TKS_NEED_SEND);
        sent += tks_op_get_batch(parts[i])->bytes.size;
        CHECK_INT(cluster_answer(parts[i], "$3\r\nabc\r\n"), TKS_DONE);
    }
    CHECK_INT(cluster_step(op, TKS_EVENT_PARTS), TKS_DONE);
    const tks_measure *m = tks_op_get_measure(op);
    CHECK_TEXT(m->store, "Client");
    CHECK_TEXT(m->name, "pipeline");
    CHECK_INT(m->trips, 2);
    CHECK_INT(m->tries, 1);
    CHECK_INT(m->sent, sent);
    CHECK_INT(m->received, 6);
    tks_op_free(op);
    tks_meter_sums sums;
    size_t ended = 0;
    for (size_t i = 0; i < tks_meter_size(); i++) ended += tks_meter_read(meter, i, &sums);
    CHECK_INT(ended, 1); /* a part is no operation of its own */
    tks_router_free(router);
    tks_meter_free(meter);
}

TEST(meter_leaves_out_what_the_library_does_by_itself) {
    tks_meter *meter = started();
    tks_router *router = cluster_new();
    tks_op *op = tks_router_refresh(router, 0);
    tks_op_set_meter(op, meter);
    CHECK(!op->measuring.on);
    tks_op_free(op);
    tks_router_free(router);
    tks_meter_free(meter);
}

TEST(meter_outlives_its_client_while_an_operation_needs_it) {
    tks_meter *meter = started();
    tks_op *op = make("get");
    tks_op_set_meter(op, meter);
    tks_meter_free(meter);
    CHECK_INT(cluster_step(op, TKS_EVENT_START), TKS_NEED_SEND);
    CHECK_INT(cluster_answer(op, "$-1\r\n"), TKS_DONE);
    tks_op_free(op);
}

TEST(meter_bounds_go_up_and_the_last_bucket_takes_the_rest) {
    for (size_t i = 1; i <= TKS_METER_BUCKETS; i++) {
        CHECK(tks_meter_bound(i) > tks_meter_bound(i - 1));
    }
    tks_meter *meter = started();
    tks_op *op = make("get");
    tks_op_set_meter(op, meter);
    CHECK_INT(cluster_step(op, TKS_EVENT_START), TKS_NEED_SEND);
    tick_us += tks_meter_bound(TKS_METER_BUCKETS - 1);
    CHECK_INT(cluster_answer(op, "$-1\r\n"), TKS_DONE);
    tks_op_free(op);
    tks_meter_sums sums;
    CHECK(read_of(meter, "Sessions", "get", &sums));
    CHECK_INT(sums.durations[TKS_METER_BUCKETS], 1);
    tks_meter_free(meter);
}
