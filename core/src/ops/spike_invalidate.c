/* spike_invalidate.c - removes a token from Redis that its audience rejected. */
#include "op_private.h"
#include "spike_private.h"

static tks_status finish(tks_op *op, int64_t now_ms) {
    (void)now_ms;
    const tks_reply *reply = op->commands[0].reply;
    op->result.type = TKS_RESULT_BOOL;
    op->result.integer =
        tks_reply_get_type(reply) == TKS_REPLY_INTEGER && tks_reply_get_integer(reply) == 1;
    return TKS_OK;
}

static const tksp_op_kind kind = {.finish = finish};

tks_status tks_spike_invalidate(tks_spike *spike, tks_bytes request, tks_bytes token, tks_op **out,
                                tks_error *err) {
    *out = NULL;
    tks_op *op = tksp_op_new(sizeof *op, &kind, TKS_IDEMPOTENT);
    if (op == NULL) return tks_fail_memory(err);
    tksp_spike_asked asked;
    tksp_spike_place place;
    tks_status status = tksp_spike_asked_init(spike, request, &op->arena, &asked, err);
    if (status != TKS_OK) {
        tks_op_free(op);
        return status;
    }
    status = tksp_spike_place_init(spike, &asked, &op->arena, &place);
    tks_bytes *words = tksp_arena_alloc(&op->arena, 7 * sizeof *words);
    if (status == TKS_OK && words != NULL) {
        words[0] = TKS_LITERAL("3");
        words[1] = tksp_arena_dup(&op->arena, place.hash);
        words[2] = place.own;
        words[3] = place.failed;
        words[4] = tksp_arena_dup(&op->arena, token);
        words[5] = place.audience;
        words[6] = place.field;
        status = tksp_op_add(op, &tksp_script_spike_forget, words, 7, words[1]);
    }
    if (status != TKS_OK || op->arena.status != TKS_OK) {
        tks_op_free(op);
        return tks_fail_memory(err);
    }
    *out = op;
    return TKS_OK;
}
