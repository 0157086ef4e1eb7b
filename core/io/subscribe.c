/* subscribe.c - see subscribe.h. */
#include "subscribe.h"

enum { REASON_SIZE = 200 };

/* Runs the operation of `prepare` on this connection: its settings must apply to the server that this
 * connection listens to. */
static tks_status run_on(tksp_conn *conn, tks_op *op, tksp_wait *wait, tksp_failure *failure) {
    tks_event event = {.type = TKS_EVENT_START, .now_ms = tksp_wall_ms()};
    tks_need need = tks_op_step(op, &event);
    tks_status status = TKS_OK;
    while (status == TKS_OK && need == TKS_NEED_SEND) {
        const tks_batch *batch = tks_op_get_batch(op);
        tks_reply *reply = NULL; /* the operation sends one command at a time */
        status = tksp_conn_exchange(conn, batch->bytes, 1, &reply, INT64_MAX, wait, failure);
        if (status == TKS_OK) {
            event =
                (tks_event){.type = TKS_EVENT_REPLIES, .now_ms = tksp_wall_ms(), .replies = &reply};
            need = tks_op_step(op, &event);
        }
        tks_reply_free(reply);
    }
    if (status != TKS_OK || need == TKS_DONE) {
        return status;
    }
    if (need != TKS_FAILED) {
        return tks_fail(&failure->error, TKS_ERR_CONNECTION, "the server is not ready yet");
    }
    const tks_error *why = tks_op_get_error(op);
    failure->final = why->status == TKS_ERR_SERVER;
    return tks_fail(&failure->error, why->status, "%s", why->message);
}

static tks_status run_prepare(tksp_conn *conn, tksp_prepare prepare, tksp_wait *wait,
                              tksp_failure *failure) {
    tks_op *op = NULL;
    if (prepare == NULL) {
        return TKS_OK;
    }
    tks_status status = prepare(&op, &failure->error);
    if (status == TKS_OK) {
        status = run_on(conn, op, wait, failure);
    }
    tks_op_free(op);
    return status;
}

bool tksp_is_push(const tks_reply *reply, tks_bytes name, size_t size) {
    return tks_reply_get_type(reply) == TKS_REPLY_ARRAY && tks_reply_get_size(reply) == size &&
           tks_reply_get_type(tks_reply_get_item(reply, 0)) == TKS_REPLY_STRING &&
           tks_bytes_equal(tks_reply_get_bytes(tks_reply_get_item(reply, 0)), name);
}

static tks_status judge_subscribed(const tks_reply *reply, tksp_failure *failure) {
    char reason[REASON_SIZE];
    if (tksp_is_push(reply, TKS_LITERAL("subscribe"), 3)) {
        return TKS_OK;
    }
    if (tks_reply_get_type(reply) != TKS_REPLY_ERROR) {
        return tks_fail(&failure->error, TKS_ERR_CONNECTION, "unexpected reply to SUBSCRIBE");
    }
    tks_reply_describe_error(reply, reason, sizeof reason);
    failure->final = true;
    return tks_fail(&failure->error, TKS_ERR_SERVER, "SUBSCRIBE refused: %s%s", reason,
                    tks_reply_is_error(reply, "NOPERM")
                        ? " - this user needs +subscribe, +ping and the channels &__keyevent@*"
                        : "");
}

/* The server confirms each channel in turn. SUBSCRIBE is executed atomically, so no message can come in
 * between. */
tks_status tksp_subscribe(tksp_conn *conn, tksp_prepare prepare, tks_bytes command, size_t channels,
                          tksp_wait *wait, tksp_failure *failure) {
    tks_bytes rest = {0};
    tks_status status = run_prepare(conn, prepare, wait, failure);
    if (status == TKS_OK) {
        status = tksp_conn_begin(conn, command, &rest, failure);
    }
    if (status == TKS_OK && rest.size > 0) {
        status = tks_fail(&failure->error, TKS_ERR_CONNECTION,
                          "the server does not read the commands sent to it");
    }
    for (size_t i = 0; status == TKS_OK && i < channels; i++) {
        tks_reply *reply = NULL;
        bool waited;
        status = tksp_conn_receive(conn, &reply, &waited, wait, failure);
        if (status == TKS_OK) {
            status = judge_subscribed(reply, failure);
        }
        tks_reply_free(reply);
    }
    return status;
}
