/* ping.c - does the server answer? */
#include "meter.h"
#include "op_private.h"

static tks_status finish(tks_op *op, int64_t now_ms) {
    const tks_reply *reply = op->commands[0].reply;
    tks_reply_type type = tks_reply_get_type(reply);
    (void)now_ms;
    /* An error is here only where it may be: the user has no right to PING. */
    if (type != TKS_REPLY_ERROR && type != TKS_REPLY_STATUS && type != TKS_REPLY_STRING) {
        return tksp_op_fail_foreign(op);
    }
    op->result.type = TKS_RESULT_BOOL;
    op->result.integer = 1;
    return TKS_OK;
}

static const tksp_op_kind ping_kind = {.finish = finish};

tks_status tks_ping_new(tks_op **out, tks_error *err) {
    static const tks_bytes words[] = {{"PING", 4}};
    tks_op *op = tksp_op_new(sizeof *op, &ping_kind, TKS_READ);
    *out = NULL;
    if (op == NULL) return tks_fail_memory(err);
    if (tksp_op_add(op, NULL, words, 1, tks_bytes_of(NULL, 0)) != TKS_OK) { /* any server */
        tks_op_free(op);
        return tks_fail_memory(err);
    }
    op->commands[0].may_be_forbidden = true;
    tksp_op_name(op, &tksp_plain_rows[TKSP_PING]);
    *out = op;
    return TKS_OK;
}
