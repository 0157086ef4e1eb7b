/* op_describe.c - see op_describe.h. */
#include "op_describe.h"

#include <stdio.h>
#include <string.h>

#include "router.h"

void tksp_op_describe_error(const tks_reply *reply, char *out, size_t size) {
    char text[TKS_ERROR_SIZE - 40];
    tks_resp_describe_error(tks_resp_innermost_error(tks_reply_get_bytes(reply)), text,
                            sizeof text);
    (void)snprintf(out, size, "the server answered: %s", text);
}

/* True if a cluster refuses these keys because of their slots. Source: redis.io, "Redis cluster specification". */
static bool is_about_slots(const tks_reply *error) {
    static const char *const words[] = {"CROSSSLOT", "MOVED", "ASK"};
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        if (tks_reply_is_error(error, words[i])) return true;
    }
    return false;
}

void tksp_op_name_node(const tks_op *op, const tks_reply *reply, char *out, size_t size) {
    tks_buf text;
    int node = -1;
    for (size_t i = 0; i < op->count; i++) {
        if (op->commands[i].reply == reply) node = op->commands[i].from;
    }
    if (!op->kind->names_node || op->router == NULL || node < 0) return;
    tks_buf_init(&text, size - 1);
    tksp_router_write_name(op->router, node, &text);
    tks_buf_append(&text, ": ", 2);
    size_t room = size - 1 - text.size, length = strlen(out);
    if (tks_buf_append(&text, out, length < room ? length : room) == TKS_OK) {
        memcpy(out, text.data, text.size);
        out[text.size] = '\0';
    }
    tks_buf_clear(&text);
}

void tksp_op_describe_final(const tks_op *op, const tks_reply *error, char *out, size_t size) {
    const char *advice = op->kind->advice;
    if (is_about_slots(error)) {
        advice = op->router == NULL || !tksp_router_is_cluster(op->router)
                     ? "this server is a node of a cluster: use a redis+cluster:// URL, "
                       "such as redis+cluster://host:port"
                     : op->kind->cluster_advice;
    }
    if (tks_reply_is_error(error, "NOREPLICAS")) {
        advice = "nothing was written: the server's min-replicas-to-write asks for more";
    }
    tksp_op_describe_error(error, out, size);
    size_t length = strlen(out);
    if (advice != NULL) (void)snprintf(out + length, size - length, " - %s", advice);
    tksp_op_name_node(op, error, out, size);
}

void tksp_op_describe_oversized(const tks_op *op, const char *what, char *out, size_t size) {
    bool changed = op->safety != TKS_READ;
    const char *more = changed ? "the command was executed" : op->kind->smaller;
    (void)snprintf(out, size, "%.300s%s%.200s", what, more != NULL ? " - " : "",
                   more != NULL ? more : "");
}

/* True if this user may not use the command, or if it does not exist (rename-command). */
static bool is_forbidden(const tks_reply *error) {
    static const char unknown[] = "ERR unknown command";
    tks_bytes text = tks_reply_get_bytes(error);
    return tks_reply_is_error(error, "NOPERM") ||
           (text.size >= sizeof unknown - 1 && memcmp(text.data, unknown, sizeof unknown - 1) == 0);
}

const tks_reply *tksp_op_first_error(const tks_op *op) {
    for (size_t i = 0; i < op->count; i++) {
        const tksp_command *command = &op->commands[i];
        if (command->raw || tks_reply_get_type(command->reply) != TKS_REPLY_ERROR) continue;
        if (command->any_type && tks_reply_is_error(command->reply, "WRONGTYPE")) continue;
        if (command->may_cross && tks_reply_is_error(command->reply, "CROSSSLOT")) continue;
        if (command->may_be_forbidden && is_forbidden(command->reply)) continue;
        return command->reply;
    }
    return NULL;
}

const tks_reply *tksp_op_first_oversized(const tks_op *op) {
    for (size_t i = 0; i < op->count; i++) {
        const tksp_command *command = &op->commands[i];
        if (!command->raw && tks_reply_get_type(command->reply) == TKS_REPLY_OVERSIZED) {
            return command->reply;
        }
    }
    return NULL;
}
