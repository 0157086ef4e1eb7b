/* op_build.c - makes and frees operations, and what they are made of: commands, and why they failed. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "audit.h"
#include "op_measure.h"
#include "op_parts.h"

enum {
    BATCH_MAX = 1 << 30, /* bytes in one batch */
    NOTES_MAX = 16 * 1024,
    INLINE_ARGS = 16
};

tks_op *tksp_op_new(size_t size, const tksp_op_kind *kind, tks_safety safety) {
    tks_op *op = malloc(size);
    if (op == NULL) return NULL;
    memset(op, 0, size); /* malloc uses glibc's fast lists, calloc does not */
    op->kind = kind;
    op->safety = safety;
    op->batch.node = -1;
    tks_buf_init(&op->out, BATCH_MAX);
    tks_notes_init(&op->notes, NOTES_MAX);
    return op;
}

void tks_op_set_server(tks_op *op, tks_server *server) {
    tks_server_free(op->server);
    op->server = tks_server_hold(server);
}

void tks_op_set_router(tks_op *op, tks_router *router) {
    tks_router_free(op->router);
    op->router = tks_router_hold(router);
}

void tks_op_set_near(tks_op *op, tks_near *near) {
    tks_near_free(op->near);
    op->near = tks_near_hold(near);
}

void tks_op_set_fresh(tks_op *op) {
    op->fresh = true;
}

tks_status tksp_op_add(tks_op *op, const tksp_script *script, const tks_bytes *argv, size_t argc,
                       tks_bytes route) {
    if (op->count == op->capacity) {
        size_t capacity = op->capacity == 0 ? 2 : op->capacity * 2;
        tksp_command *commands = realloc(op->commands, capacity * sizeof *commands);
        if (commands == NULL) return TKS_ERR_MEMORY;
        op->commands = commands;
        op->capacity = capacity;
    }
    op->commands[op->count++] = (tksp_command){.script = script,
                                               .argv = argv,
                                               .argc = argc,
                                               .route = route,
                                               .slot = -1,
                                               .node = -1,
                                               .from = -1};
    return op->audit != NULL ? tksp_audit_wrap(op, &op->commands[op->count - 1]) : TKS_OK;
}

size_t tksp_count_keys(const tks_bytes *argv) {
    size_t count = 0;
    for (size_t i = 0; i < argv[0].size; i++) count = count * 10 + (size_t)(argv[0].data[i] - '0');
    return count;
}

tks_status tksp_op_format(tks_buf *out, const tksp_command *command) {
    tks_bytes inline_argv[INLINE_ARGS];
    tks_bytes *argv = inline_argv;
    if (command->script == NULL) return tks_resp_format(out, command->argc, command->argv);

    if (command->argc + 2 > INLINE_ARGS) {
        argv = calloc(command->argc + 2, sizeof *argv);
        if (argv == NULL) return TKS_ERR_MEMORY;
    }
    if (command->by_text) {
        argv[0] = TKS_LITERAL("EVAL");
        argv[1] = tks_bytes_of(command->script->text, command->script->size);
    } else {
        argv[0] = TKS_LITERAL("EVALSHA");
        argv[1] = tks_bytes_of(command->script->sha1, 40);
    }
    memcpy(argv + 2, command->argv, command->argc * sizeof *argv);
    tks_status status = tks_resp_format(out, command->argc + 2, argv);
    if (argv != inline_argv) free(argv);
    return status;
}

void tksp_op_clear_commands(tks_op *op) {
    for (size_t i = 0; i < op->count; i++) tks_reply_free(op->commands[i].reply);
    op->count = 0;
}

tks_reply *tksp_op_take_reply(tks_op *op, size_t i) {
    tks_reply *reply = op->commands[i].reply;
    op->commands[i].reply = NULL;
    return reply;
}

bool tksp_op_found_nothing(const tks_op *op, size_t i) {
    tks_reply_type type = tks_reply_get_type(op->commands[i].reply);
    return type == TKS_REPLY_NIL ||
           type == TKS_REPLY_ERROR; /* the only error that passes is WRONGTYPE */
}

tks_status tksp_op_fail_foreign(tks_op *op) {
    if (op->safety == TKS_READ) {
        return tksp_op_fail(op, TKS_ERR_CONNECTION,
                            "received a reply to another request: the connection was closed");
    }
    return tksp_op_fail(op, TKS_ERR_OUTCOME_UNKNOWN,
                        "received a reply to another request, so this one may or may not have "
                        "happened: the connection was closed");
}

tks_status tksp_op_fail(tks_op *op, tks_status status, const char *format, ...) {
    if (op->failure != TKS_OK) return status;
    op->error = malloc(sizeof *op->error);
    op->failure = op->error != NULL ? status : TKS_ERR_MEMORY;
    if (op->error != NULL) {
        va_list args;
        va_start(args, format);
        (void)vsnprintf(op->error->message, sizeof op->error->message, format, args);
        va_end(args);
        op->error->status = status;
    }
    return op->failure;
}

tks_error tksp_op_take_failure(tks_op *op) {
    tks_error taken = *tks_op_get_error(op);
    free(op->error);
    op->error = NULL;
    op->failure = TKS_OK;
    return taken;
}

void tks_op_free(tks_op *op) {
    if (op == NULL) return;
    if (op->measuring.on) tksp_op_end_measure(op);
    if (op->kind->clear != NULL) op->kind->clear(op);
    tksp_op_clear_commands(op);
    tksp_op_drop_parts(op);
    tks_server_free(op->server);
    tks_near_free(op->near);
    tks_router_free(op->router);
    free(op->commands);
    tks_buf_wipe(&op->out);
    tks_notes_clear(&op->notes);
    free(op->reason);
    free(op->error);
    tksp_arena_clear(&op->arena);
    free(op);
}
