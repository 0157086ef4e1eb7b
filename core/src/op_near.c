/* op_near.c - see op_near.h. */
#include "op_near.h"

/* The keys of a script stand behind their number. */
static void drop_keys(tks_near *near, const tksp_command *command) {
    size_t count = 0;
    for (size_t i = 0; i < command->argv[0].size; i++) {
        count = count * 10 + (size_t)(command->argv[0].data[i] - '0');
    }
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
