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

static tks_status run_prepare(tksp_conn *conn, const tksp_subscription_options *options,
                              tksp_wait *wait, tksp_failure *failure) {
    tks_op *op = NULL;
    if (options->prepare == NULL) {
        return TKS_OK;
    }
    tks_status status = options->prepare(options->context, &op, &failure->error);
    if (status == TKS_OK) {
        status = run_on(conn, op, wait, failure);
    }
    tks_op_free(op);
    return status;
}

static tks_status judge_subscribed(const tks_reply *reply, const char *channels,
                                   tksp_failure *failure) {
    char reason[REASON_SIZE];
    if (tks_reply_is_push(reply, TKS_LITERAL("subscribe"), 3)) {
        return TKS_OK;
    }
    if (tks_reply_get_type(reply) != TKS_REPLY_ERROR) {
        return tks_fail(&failure->error, TKS_ERR_CONNECTION, "unexpected reply to SUBSCRIBE");
    }
    tks_reply_describe_error(reply, reason, sizeof reason);
    bool lacks_rights = tks_reply_is_error(reply, "NOPERM");
    failure->final = true;
    return tks_fail(&failure->error, TKS_ERR_SERVER, "SUBSCRIBE refused: %s%s%s", reason,
                    lacks_rights ? " - this user needs +subscribe, +ping and the channels " : "",
                    lacks_rights ? channels : "");
}

/* The server confirms each channel in turn. SUBSCRIBE is executed atomically, so no message can come in
 * between. */
tks_status tksp_subscribe(tksp_conn *conn, const tksp_subscription_options *options,
                          tks_bytes command, tksp_wait *wait, tksp_failure *failure) {
    tks_bytes rest = {0};
    tks_status status = run_prepare(conn, options, wait, failure);
    if (status != TKS_OK || command.size == 0) {
        return status;
    }
    status = tksp_conn_begin(conn, command, &rest, failure);
    if (status == TKS_OK && rest.size > 0) {
        status = tks_fail(&failure->error, TKS_ERR_CONNECTION,
                          "the server does not read the commands sent to it");
    }
    for (size_t i = 0; status == TKS_OK && i < options->count; i++) {
        tks_reply *reply = NULL;
        bool waited;
        status = tksp_conn_receive(conn, &reply, &waited, wait, failure);
        if (status == TKS_OK) {
            status = judge_subscribed(reply, options->rights, failure);
        }
        tks_reply_free(reply);
    }
    return status;
}
