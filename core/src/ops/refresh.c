/* refresh.c - see refresh.h. */
#include "refresh.h"

static const tksp_asker *asker_of(const tksp_refresh *self) {
    return tksp_router_is_cluster(self->router) ? &tksp_ask_cluster : &tksp_ask_sentinel;
}

static tks_status ask(tksp_refresh *self) {
    tks_op *op = &self->base;
    tksp_op_clear_commands(op);
    op->batch.patience_ms = tksp_router_patience_ms(self->router, self->nodes[self->at]);
    tks_status status = asker_of(self)->ask(self);
    for (size_t i = 0; i < op->count; i++) {
        op->commands[i].node = self->nodes[self->at];
        op->commands[i].raw = true;
    }
    return status;
}

static void settle(tksp_refresh *self) {
    if (self->settled) return;
    self->settled = true;
    if (!self->adopted && self->why.status == TKS_OK) {
        tks_fail(&self->why, TKS_ERR_CONNECTION, "nothing was asked");
    }
    tksp_router_settle(self->router, self->adopted ? NULL : &self->why);
}

/* True: another node is being asked. Else the operation has its result. */
static bool go_on(tksp_refresh *self) {
    const tksp_asker *asker = asker_of(self);
    if (++self->at < self->count && ask(self) == TKS_OK) return true;
    if (asker->conclude != NULL) asker->conclude(self);
    return false;
}

static void end(tksp_refresh *self) {
    settle(self);
    self->base.result.type = TKS_RESULT_BOOL;
    self->base.result.integer = self->adopted;
}

static tks_status finish(tks_op *op, int64_t now_ms) {
    tksp_refresh *self = (tksp_refresh *)op;
    (void)now_ms;
    self->why = (tks_error)TKS_ERROR_INIT;
    tksp_router_heard(self->router, self->nodes[self->at], true);
    if (!asker_of(self)->take(self) && go_on(self)) return TKS_OK;
    end(self);
    return TKS_OK;
}

/* The node does not answer. */
static bool spare(tks_op *op, const char *why) {
    tksp_refresh *self = (tksp_refresh *)op;
    self->why = (tks_error)TKS_ERROR_INIT;
    tksp_router_heard(self->router, self->nodes[self->at], false);
    tks_fail(&self->why, op->final_loss != TKS_OK ? op->final_loss : TKS_ERR_CONNECTION, "%s", why);
    if (go_on(self)) {
        op->final_loss = TKS_OK; /* not of this one */
        return false;
    }
    end(self);
    return true;
}

static void clear(tks_op *op) {
    tksp_refresh *self = (tksp_refresh *)op;
    settle(self);
    tks_router_free(self->router);
}

static const tksp_op_kind refresh_kind = {.finish = finish, .spare = spare, .clear = clear};

tks_op *tksp_refresh_new(tks_router *router, const int *nodes, size_t count) {
    tksp_refresh *self = (tksp_refresh *)tksp_op_new(sizeof *self, &refresh_kind, TKS_READ);
    if (self == NULL) {
        const tks_error why = {TKS_ERR_MEMORY, "out of memory"};
        tksp_router_settle(router, &why);
        return NULL;
    }
    self->router = tks_router_hold(router);
    memcpy(self->nodes, nodes, count * sizeof *nodes);
    self->count = count;
    self->primary = -1;
    if (ask(self) == TKS_OK) return &self->base;
    tks_op_free(&self->base);
    return NULL;
}

bool tksp_contains(tks_bytes text, const char *word) {
    size_t size = strlen(word);
    for (size_t i = 0; i + size <= text.size; i++) {
        if (memcmp(text.data + i, word, size) == 0) return true;
    }
    return false;
}
