/* op_near.c - see op_near.h. */
#include "op_near.h"

#include <stdlib.h>

#include "near_table.h"

/* The keys of a script stand behind their number. */
static void drop_keys(tks_near *near, const tksp_command *command) {
    size_t count = tksp_count_keys(command->argv);
    for (size_t i = 1; i <= count && i < command->argc; i++) {
        tksp_near_drop(near, command->argv[i]);
    }
}

void tksp_op_drop_near(tks_op *op) {
    for (size_t i = 0; i < op->count; i++) {
        const tksp_command *command = &op->commands[i];
        if (!command->sent) continue;
        if (command->script != NULL) {
            drop_keys(op->near, command);
        } else if (op->safety != TKS_READ && command->route.size > 0) {
            tksp_near_drop(op->near, command->route);
        }
    }
}

/* ---- views ---- */

tks_near *tks_op_get_near(const tks_op *op) {
    return op->near;
}

bool tks_op_is_viewable(const tks_op *op) {
    return op->state == TKS_OP_DONE && op->viewable != NULL;
}

bool tks_op_leave_view(tks_op *op, const tks_near_question *question, void *value) {
    if (!tks_op_is_viewable(op)) return false;
    tksp_near_view *view = malloc(sizeof *view);
    if (view == NULL) return false;
    *view =
        (tksp_near_view){.question = *question, .until_ms = op->viewable_until_ms, .value = value};
    if (tksp_near_leave_view(op->near, op->viewable, view)) return true;
    free(view);
    return false;
}
