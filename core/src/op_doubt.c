/* op_doubt.c - see op_doubt.h. */
#include "op_doubt.h"

#include "op_route.h"

enum {
    LATE_MS =
        250 /* a node is replaced a second after it fell silent, or later; and few answers take as long */
};

/* By the wall clock: if it is set meanwhile, an answer is doubted in vain, or not doubted once. */
void tksp_op_note_answer(tks_op *op, const tks_event *event) {
    bool late = event->now_ms - op->sent_ms > LATE_MS;
    op->sent_ms = event->now_ms;
    if (op->router == NULL || op->undoing || !late) return;
    if (!tksp_op_was_executed(op, event->replies)) return;
    op->doubted = op->batch.node;
    op->doubt_round = tksp_router_doubt(op->router, op->doubted);
    op->unanswered = op->unanswered || op->safety != TKS_READ;
}

tksp_doubt tksp_op_settle_doubt(tks_op *op) {
    if (op->doubt_round == 0) return TKSP_SURE;
    if (!tksp_router_agreed_since(op->router, op->doubt_round)) return TKSP_ASKING;
    op->doubt_round = 0;
    if (tks_router_serves(op->router, op->doubted)) return TKSP_SURE;
    bool replaced = false;
    for (size_t i = 0; i < op->count; i++) {
        tksp_command *command = &op->commands[i];
        command->sent = command->from == op->doubted;
        if (!command->sent) continue;
        replaced = true;
        tks_reply_free(command->reply);
        command->reply = NULL;
    }
    op->batch.node = op->doubted;
    return replaced ? TKSP_REPLACED : TKSP_SURE;
}
