/* op_describe.c - see op_describe.h. */
#include "op_describe.h"

#include <stdio.h>

void tksp_op_describe_error(const tks_reply *reply, char *out, size_t size) {
    char text[TKS_ERROR_SIZE - 40];
    tks_resp_describe_error(tks_resp_innermost_error(tks_reply_get_bytes(reply)), text,
                            sizeof text);
    (void)snprintf(out, size, "the server answered: %s", text);
}

/* True if a cluster refuses these keys because of their slots. Source: redis.io, "Redis cluster
 * specification"; the last error is the one of scripts. */
static bool is_about_slots(const tks_reply *error) {
    tks_bytes text = tks_reply_get_bytes(error);
    static const char script[] = "non local key in a cluster node";
    static const char *const words[] = {"CROSSSLOT", "MOVED", "ASK"};
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        if (tks_reply_is_error(error, words[i])) return true;
    }
    for (size_t i = 0; i + sizeof script - 1 <= text.size; i++) {
        if (memcmp(text.data + i, script, sizeof script - 1) == 0) return true;
    }
    return false;
}

void tksp_op_describe_final(const tks_op *op, const tks_reply *error, char *out, size_t size) {
    const char *advice = op->kind->advice;
    if (is_about_slots(error)) {
        advice = op->kind->cluster_advice != NULL
                     ? op->kind->cluster_advice
                     : "this is a Redis Cluster node, which this version does not support: use a "
                       "server without cluster mode";
    }
    tksp_op_describe_error(error, out, size);
    if (advice == NULL) return;
    size_t length = strlen(out);
    (void)snprintf(out + length, size - length, " - %s", advice);
}

void tksp_op_describe_oversized(const tks_op *op, const char *what, char *out, size_t size) {
    bool changed = op->safety != TKS_READ;
    const char *more = changed ? "the command was executed" : op->kind->smaller;
    (void)snprintf(out, size, "%.300s%s%.200s", what, more != NULL ? " - " : "",
                   more != NULL ? more : "");
}
