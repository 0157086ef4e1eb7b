/* conn_greet.c - see greeting.h. */
#include "conn_greet.h"

#include "tokenstore/greeting.h"

static size_t count_replies(tks_reply *const *replies, size_t most) {
    size_t count = 0;
    while (count < most && replies[count] != NULL) {
        count++;
    }
    return count;
}

tks_status tksp_greet(tksp_conn *conn, const tks_target *target, tks_credentials *credentials,
                      tksp_wait *wait, tksp_failure *failure) {
    tks_greeting g;
    tks_reply *replies[TKS_GREETING_MAX] = {NULL};
    tks_status status = tks_greeting_init(&g, target, credentials, &failure->error);
    if (status != TKS_OK) {
        goto cleanup;
    }
    tksp_failure broken = TKSP_FAILURE_INIT;
    status =
        tksp_conn_exchange(conn, tks_buf_bytes(&g.out), g.count, replies, INT64_MAX, wait, &broken);
    /* A server at its client limit replies once and hangs up: its reply says more than the hang-up. */
    tks_status verdict =
        tks_greeting_judge(&g, target, credentials, replies, count_replies(replies, g.count),
                           &failure->final, &failure->error);
    if (verdict != TKS_OK) {
        status = verdict;
    } else if (status != TKS_OK) {
        bool hung_up =
            status == TKS_ERR_CONNECTION && !broken.heard && (target->tls || !broken.final);
        failure->final = broken.final;
        tks_fail(&failure->error, status, "%s%s", broken.error.message,
                 hung_up ? tks_greeting_get_hint(target) : "");
    }

cleanup:
    for (size_t i = 0; i < TKS_GREETING_MAX; i++) {
        tks_reply_free(replies[i]);
    }
    tks_greeting_clear(&g);
    return status;
}
