/* jwt_sessions_size.c - get_info("DBSIZE"): the keys of the server, or of all primaries of a cluster. */
#include "jwt_sessions_private.h"
#include "scan.h"

typedef struct size_op {
    tks_op op;
    tksp_walk walk;
    unsigned rounds; /* of the walk, when the keys began to be counted */
    int64_t size;
} size_op;

static tks_status finish(tks_op *op, int64_t now_ms) {
    static const tks_bytes words[] = {{"DBSIZE", 6}};
    size_op *self = (size_op *)op;
    (void)now_ms;
    if (self->walk.stage == TKSP_WALK_ON && op->count > 0) {
        const tks_reply *reply = op->commands[0].reply;
        if (tks_reply_get_type(reply) != TKS_REPLY_INTEGER) return tksp_op_fail_foreign(op);
        self->size += tks_reply_get_integer(reply);
    }
    tksp_op_clear_commands(op);
    op->result.type = TKS_RESULT_COUNT;
    if (!tksp_walk_on(&self->walk, op)) {
        op->result.integer = self->size;
        return TKS_OK;
    }
    if (op->count > 0) return TKS_OK; /* it asks for the map */
    if (self->rounds != self->walk.rounds) self->size = 0;
    self->rounds = self->walk.rounds;
    tks_status status = tksp_op_add(op, NULL, words, 1, TKS_LITERAL(""));
    if (status == TKS_OK) op->commands[0].node = self->walk.node;
    return status;
}

static const tksp_op_kind size_kind = {.finish = finish};

tks_status tksp_rjwt_size(tks_op **out, tks_error *err) {
    size_op *self = (size_op *)tksp_op_new(sizeof *self, &size_kind, TKS_READ);
    *out = NULL;
    if (self == NULL) return tks_fail_memory(err);
    *out = &self->op;
    return TKS_OK;
}
