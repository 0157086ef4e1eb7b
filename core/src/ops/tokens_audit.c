/* tokens_audit.c - what audited operations on tokens are about. */
#include "tokens_private.h"

static void name(const tks_op *base, tksp_audit_names *out) {
    const tksp_tokens_op *op = (const tksp_tokens_op *)base;
    bool unbinds =
        op->turn != NULL && (op->turn->step == TKSP_UNDO || op->turn->step == TKSP_FORGET);
    *out = (tksp_audit_names){.prefix = op->config.prefix,
                              .app = op->app,
                              .type = op->type,
                              .owner = op->size > 0 ? op->slots[0].owner : tks_bytes_of(NULL, 0),
                              .sessions = tks_bytes_equal(op->type, TKS_LITERAL("session")),
                              .undone = unbinds || base->failure != TKS_OK};
}

/* A generated token proves by its form that it was one. It is named by its field, under which it was created or made by a
 * rotation. Whoever ends a token that is none any more does not use it. */
static tks_bytes missed(const tks_op *base) {
    const tksp_tokens_op *op = (const tksp_tokens_op *)base;
    const tks_bytes none = {NULL, 0};
    const tksp_place *place = op->turn != NULL ? &op->turn->old : &op->slots[0].place;
    if (op->size == 0 || op->size != op->width || !op->slots[0].generated) return none;
    if (op->slots[0].reused) return none;
    if (base->kind == &tksp_delete_kind.base) return none;
    bool found =
        base->result.type == TKS_RESULT_BOOL ? base->result.integer != 0 : op->tokens[0].found;
    return found ? none : tks_bytes_of(place->field, TKS_FIELD_SIZE);
}

const tksp_audit_kind tksp_tokens_audit = {name, missed};
