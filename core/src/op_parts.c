/* op_parts.c - see op_parts.h. */
#include "op_parts.h"

#include <stdlib.h>

#include "op_measure.h"
#include "op_replicate.h"
#include "op_route.h"

static tks_status finish(tks_op *op, int64_t now_ms) {
    (void)now_ms;
    op->result.type = TKS_RESULT_BOOL;
    return TKS_OK;
}

static const tksp_op_kind part_kind = {.finish = finish};

/* Does command `i` go where it must, or with the one before it? */
static bool is_free(const tks_op *op, size_t i) {
    const tksp_command *command = &op->commands[i];
    bool tied = command->tie != TKSP_FREE && command[-1].reply == NULL;
    return command->reply == NULL && !tied && tksp_op_has_place(command);
}

bool tksp_op_is_spread(tks_op *op) {
    int first = -1;
    if (op->undivided || op->router == NULL || !tksp_router_is_cluster(op->router)) return false;
    for (size_t i = 0; i < op->count; i++) {
        if (!is_free(op, i)) continue;
        int node = tksp_op_node_of(op, &op->commands[i]);
        if (node < 0) return false;
        if (first >= 0 && node != first) return true;
        first = node;
    }
    return false;
}

/* Which part each node has, plus one, by the nodes' numbers; those without a key go with the first part. */
static void count_parts(tks_op *op, unsigned *parts) {
    unsigned count = 0;
    for (size_t i = 0; i < op->count; i++) {
        if (is_free(op, i)) parts[tksp_op_node_of(op, &op->commands[i])] = 1;
    }
    for (int node = 0; node < TKS_NODES_MAX; node++) {
        if (parts[node] > 0) parts[node] = ++count;
    }
    op->part_count = count;
}

static tks_status add_part(tks_op *op, size_t at) {
    tks_op *part = tksp_op_new(sizeof *part, &part_kind, op->safety);
    if (part == NULL) return TKS_ERR_MEMORY;
    op->parts[at] = part;
    part->undivided = part->is_part = true;
    part->durability = op->durability;
    tksp_op_measure_part(op, part);
    if (op->server != NULL) tks_op_set_server(part, op->server);
    tks_op_set_router(part, op->router);
    if (op->near != NULL) tks_op_set_near(part, op->near);
    for (size_t i = 0; i < op->count; i++) {
        const tksp_command *command = &op->commands[i];
        if (command->part != at + 1) continue;
        if (tksp_op_add(part, NULL, NULL, 0, command->route) != TKS_OK) return TKS_ERR_MEMORY;
        tksp_command *added = &part->commands[part->count - 1];
        *added = *command;
        added->part = 0;
        if (part->count == 1) added->tie = TKSP_FREE; /* the one before it has its answer */
    }
    return TKS_OK;
}

tks_status tksp_op_split(tks_op *op) {
    unsigned *parts = calloc(TKS_NODES_MAX, sizeof *parts);
    if (parts == NULL) return TKS_ERR_MEMORY;
    count_parts(op, parts);
    for (size_t i = 0; i < op->count; i++) {
        tksp_command *command = &op->commands[i];
        command->part = 0;
        if (command->reply != NULL) continue;
        bool tied = command->tie != TKSP_FREE && command[-1].reply == NULL;
        command->part = is_free(op, i) ? parts[tksp_op_node_of(op, command)]
                        : tied         ? command[-1].part
                                       : 1;
    }
    free(parts);
    op->parts = calloc(op->part_count, sizeof *op->parts);
    tks_status status = op->parts != NULL ? TKS_OK : TKS_ERR_MEMORY;
    for (size_t at = 0; status == TKS_OK && at < op->part_count; at++) status = add_part(op, at);
    if (status != TKS_OK) tksp_op_drop_parts(op);
    return status;
}

/* The replies of one part, in the order of its commands. */
static void take_part(tks_op *op, size_t at) {
    tks_op *part = op->parts[at];
    size_t next = 0;
    for (size_t i = 0; i < op->count; i++) {
        tksp_command *command = &op->commands[i];
        if (command->part != at + 1) continue;
        command->part = 0;
        command->from = part->commands[next].from;
        command->reply = tksp_op_take_reply(part, next++);
    }
}

bool tksp_op_join(tks_op *op, tks_error *why, bool *done) {
    why->status = TKS_OK;
    *done = false;
    for (size_t at = 0; at < op->part_count; at++) {
        tks_op *part = op->parts[at];
        bool good = part->state == TKS_OP_DONE;
        tks_notes_move(&part->notes, &op->notes);
        tksp_replicate_join(op, part);
        *done = *done || good;
        if (good) {
            take_part(op, at);
        } else if (why->status == TKS_OK || part->failure == TKS_ERR_OUTCOME_UNKNOWN) {
            *why = *tks_op_get_error(part);
        }
    }
    tksp_op_drop_parts(op);
    return why->status == TKS_OK;
}

void tksp_op_drop_parts(tks_op *op) {
    for (size_t at = 0; op->parts != NULL && at < op->part_count; at++) tks_op_free(op->parts[at]);
    free(op->parts);
    op->parts = NULL;
    op->part_count = 0;
}
