/* test_op.c - what an operation without an answer says: whether it may have happened. */
#include "test.h"
#include "tokenstore/op.h"
#include "tokenstore/tokens.h"

static tks_op *make(tks_status (*of)(const tks_tokens *, tks_op **, tks_error *)) {
    tks_tokens_options options = TKS_TOKENS_OPTIONS_INIT;
    tks_tokens *tokens = NULL;
    tks_op *op = NULL;
    CHECK_STATUS(tks_tokens_new(&options, &tokens, NULL), TKS_OK);
    CHECK_STATUS(of(tokens, &op, NULL), TKS_OK);
    tks_tokens_free(tokens);
    return op;
}

static tks_status get(const tks_tokens *t, tks_op **out, tks_error *err) {
    return tks_tokens_get(t, TKS_LITERAL("a"), TKS_LITERAL("t"), TKS_LITERAL("x"), 0, false, out,
                          err);
}

static tks_status rotate(const tks_tokens *t, tks_op **out, tks_error *err) {
    return tks_tokens_rotate(t, TKS_LITERAL("a"), TKS_LITERAL("t"), TKS_LITERAL("x"), 0, out, err);
}

static tks_status delete_one(const tks_tokens *t, tks_op **out, tks_error *err) {
    return tks_tokens_delete(t, TKS_LITERAL("a"), TKS_LITERAL("t"), TKS_LITERAL("x"), out, err);
}

/* Loses every connection, the first `sent` times after something was sent, until the end. */
static tks_status lose_all(tks_op *op, int sent) {
    tks_event event = {.type = TKS_EVENT_START};
    tks_need need = TKS_NEED_SEND;
    for (int steps = 0; steps < 100; steps++) {
        need = tks_op_step(op, &event);
        if (need == TKS_NEED_SEND)
            event = (tks_event){.type = TKS_EVENT_LOST, .sent = sent-- > 0};
        else if (need == TKS_NEED_SLEEP)
            event = (tks_event){.type = TKS_EVENT_AWAKE};
        else
            break;
    }
    CHECK_INT(need, TKS_FAILED);
    tks_status status = tks_op_get_error(op)->status;
    tks_op_free(op);
    return status;
}

TEST(op_lost_reads_never_are_in_doubt) {
    CHECK_STATUS(lose_all(make(get), 9), TKS_ERR_CONNECTION);
}

TEST(op_lost_before_it_was_sent_is_not_in_doubt) {
    CHECK_STATUS(lose_all(make(rotate), 0), TKS_ERR_CONNECTION);
    CHECK_STATUS(lose_all(make(delete_one), 0), TKS_ERR_CONNECTION);
}

TEST(op_lost_after_it_was_sent_is_in_doubt) {
    CHECK_STATUS(lose_all(make(delete_one), 1), TKS_ERR_OUTCOME_UNKNOWN);
    CHECK_STATUS(lose_all(make(rotate), 9), TKS_ERR_OUTCOME_UNKNOWN);
}

TEST(op_lost_once_sent_stays_in_doubt_though_later_tries_never_left) {
    CHECK_STATUS(lose_all(make(rotate), 1), TKS_ERR_OUTCOME_UNKNOWN);
}

/* The deadline comes while the answer is waited for. */
static tks_status run_late(tks_op *op, bool sent) {
    tks_event start = {.type = TKS_EVENT_START};
    tks_event late = {.type = TKS_EVENT_DEADLINE, .sent = sent};
    CHECK_INT(tks_op_step(op, &start), TKS_NEED_SEND);
    CHECK_INT(tks_op_step(op, &late), TKS_FAILED);
    tks_status status = tks_op_get_error(op)->status;
    tks_op_free(op);
    return status;
}

TEST(op_late_answers_leave_changes_in_doubt) {
    CHECK_STATUS(run_late(make(get), true), TKS_ERR_TIMEOUT);
    CHECK_STATUS(run_late(make(rotate), false), TKS_ERR_TIMEOUT);
    CHECK_STATUS(run_late(make(rotate), true), TKS_ERR_OUTCOME_UNKNOWN);
    CHECK_STATUS(run_late(make(delete_one), true), TKS_ERR_OUTCOME_UNKNOWN);
}
