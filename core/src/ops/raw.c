/* raw.c - commands sent unchanged: execute and pipeline. */
#include "op_private.h"
#include "raw_refused.h"

typedef struct raw_op {
    tks_op base;
    const tks_reply **replies;
} raw_op;

static tks_status finish(tks_op *op, int64_t now_ms) {
    raw_op *self = (raw_op *)op;
    (void)now_ms;
    for (size_t i = 0; i < op->count; i++) {
        const tksp_command *command = &op->commands[i];
        self->replies[i] = command->reply;
        /* The user may be allowed MULTI but not EXEC: then the next command would be queued. */
        if (tks_reply_is_error(command->reply, "NOPERM") && op->trust == TKS_TRUST_KEEP &&
            tksp_raw_ends_multi(command->argc, command->argv)) {
            op->trust = TKS_TRUST_CLOSE;
        }
    }
    op->result.type = TKS_RESULT_REPLIES;
    op->result.size = op->count;
    op->result.replies = self->replies;
    return TKS_OK;
}

static const tksp_op_kind raw_kind = {.finish = finish};

static tks_status add(tks_op *op, size_t argc, const tks_bytes *argv) {
    tks_bytes *copy = tksp_arena_alloc(&op->arena, argc * sizeof *copy);
    if (copy == NULL) return TKS_ERR_MEMORY;
    for (size_t i = 0; i < argc; i++) copy[i] = tksp_arena_dup(&op->arena, argv[i]);
    if (op->arena.status != TKS_OK) return TKS_ERR_MEMORY;
    /* The positions of an unknown command's keys are unknown; most commands have the first one
     * here. */
    tks_status status = tksp_op_add(op, NULL, copy, argc, argc > 1 ? copy[1] : copy[0]);
    if (status == TKS_OK) op->commands[op->count - 1].raw = true;
    return status;
}

tks_status tks_raw_new(size_t count, const size_t *argc, const tks_bytes *argv, tks_op **out,
                       tks_error *err) {
    *out = NULL;
    if (count == 0) return tks_fail(err, TKS_ERR_DATA, "no command was given");
    for (size_t i = 0; i < count; i++) {
        if (argc[i] == 0) {
            return tks_fail(err, TKS_ERR_DATA, "command %zu is empty: give at least its name",
                            i + 1);
        }
    }
    tks_status status = tksp_raw_check(count, argc, argv, err);
    if (status != TKS_OK) return status;
    raw_op *self = (raw_op *)tksp_op_new(sizeof *self, &raw_kind, TKS_ONCE);
    if (self == NULL) return tks_fail_memory(err);
    self->replies = tksp_arena_alloc(&self->base.arena, count * sizeof *self->replies);
    status = self->base.arena.status;
    for (size_t i = 0; status == TKS_OK && i < count; i++) {
        status = add(&self->base, argc[i], argv);
        argv += argc[i];
    }
    if (status != TKS_OK) {
        tks_op_free(&self->base);
        return status == TKS_ERR_MEMORY ? tks_fail_memory(err) : status;
    }
    *out = &self->base;
    return TKS_OK;
}
