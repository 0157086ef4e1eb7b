/* declare.c - see declare.h. */
#include "declare.h"

#include <stdlib.h>

#include "tokenstore/secret.h"

enum {
    AT_ONCE = 4, /* without a pause: a chain of names is not longer, and races are rare */
    DOUBLINGS_MAX = 7
};

static bool wants_keys(const tks_reply *reply, tks_bytes echo) {
    if (tks_reply_get_type(reply) != TKS_REPLY_ARRAY || tks_reply_get_size(reply) < 3) return false;
    const tks_reply *first = tks_reply_get_item(reply, 0), *code = tks_reply_get_item(reply, 1);
    return tks_reply_get_type(first) == TKS_REPLY_STRING &&
           tks_bytes_equal(tks_reply_get_bytes(first), echo) &&
           tks_reply_get_type(code) == TKS_REPLY_INTEGER &&
           tks_reply_get_integer(code) == TKSP_KEYS_WANTED;
}

/* The words of `command` with the names behind its keys. NULL: out of memory. */
static tks_bytes *add_names(tksp_arena *arena, const tksp_command *command, const tks_reply *names,
                            size_t count) {
    size_t keys = tksp_count_keys(command->argv);
    tks_bytes *words = tksp_arena_alloc(arena, (command->argc + count) * sizeof *words);
    if (words == NULL) return NULL;
    memcpy(words, command->argv, (keys + 1) * sizeof *words);
    words[0] = tksp_arena_int(arena, (int64_t)(keys + count));
    for (size_t i = 0; i < count; i++) {
        words[keys + 1 + i] =
            tksp_arena_dup(arena, tks_reply_get_bytes(tks_reply_get_item(names, i + 2)));
    }
    memcpy(words + keys + 1 + count, command->argv + keys + 1,
           (command->argc - keys - 1) * sizeof *words);
    return arena->status == TKS_OK ? words : NULL;
}

/* For the message of a timeout. */
static void note_reason(tks_op *op) {
    static const char reason[] = "others changed the same keys all the time";
    if (op->reason != NULL) return;
    op->reason = malloc(sizeof reason);
    if (op->reason != NULL) memcpy(op->reason, reason, sizeof reason);
}

tks_status tksp_declare(tks_op *op, tks_bytes echo, tks_safety safety, unsigned *times,
                        bool *again) {
    const tksp_command command = op->commands[0];
    *again = wants_keys(command.reply, echo);
    if (!*again) return TKS_OK;
    size_t count = tks_reply_get_size(command.reply) - 2;
    for (size_t i = 0; i < count; i++) {
        if (tks_reply_get_type(tks_reply_get_item(command.reply, i + 2)) != TKS_REPLY_STRING) {
            return tksp_op_fail_foreign(op);
        }
    }
    tks_bytes *words = add_names(&op->arena, &command, command.reply, count);
    tksp_op_clear_commands(op);
    if (words == NULL) return TKS_ERR_MEMORY;
    op->safety = safety;
    if (++*times > AT_ONCE) {
        unsigned doublings = *times - AT_ONCE;
        op->pause_ms =
            1 + tks_random_below(1U << (doublings < DOUBLINGS_MAX ? doublings : DOUBLINGS_MAX));
        note_reason(op);
    }
    return tksp_op_add(op, command.script, words, command.argc + count, command.route);
}
