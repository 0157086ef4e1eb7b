/* session_exists.c - is there a session? By PTTL, which the minimal ACL (docs/reference/acl.md) allows, and EXISTS it does not. */
#include "op_private.h"
#include "tokenstore/session_event.h"

static tks_status finish(tks_op *op, int64_t now_ms) {
    enum { NONE = -2 };
    const tks_reply *reply = op->commands[0].reply;
    (void)now_ms;
    if (tks_reply_get_type(reply) != TKS_REPLY_INTEGER) return tksp_op_fail_foreign(op);
    op->result.type = TKS_RESULT_BOOL;
    op->result.integer = tks_reply_get_integer(reply) != NONE;
    return TKS_OK;
}

static const tksp_op_kind exists_kind = {.finish = finish};

tks_status tks_session_exists_new(tks_bytes rjwt, tks_op **out, tks_error *err) {
    *out = NULL;
    tks_op *op = tksp_op_new(sizeof *op, &exists_kind, TKS_READ);
    if (op == NULL) return tks_fail_memory(err);
    tks_bytes *words = tksp_arena_alloc(&op->arena, 2 * sizeof *words);
    tks_status status = words != NULL ? TKS_OK : TKS_ERR_MEMORY;
    if (status == TKS_OK) {
        words[0] = TKS_LITERAL("PTTL");
        words[1] = tksp_arena_dup(&op->arena, rjwt);
        status = op->arena.status;
    }
    if (status == TKS_OK) status = tksp_op_add(op, NULL, words, 2, words[1]);
    if (status != TKS_OK) {
        tks_op_free(op);
        return tks_fail_memory(err);
    }
    *out = op;
    return TKS_OK;
}
