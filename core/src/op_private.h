/* op_private.h - what an operation is made of; for core/src/op.c and core/src/ops only.
 *
 * A kind of operation embeds tks_op as its first member, fills in commands, and has one function
 * that is called when every command has its final answer. It may fill in further commands: that is
 * how an operation of several round trips is written. Everything else - formatting, NOSCRIPT,
 * "not now" answers, lost connections, deadlines - is done once, in op.c. */
#ifndef TKSP_OP_PRIVATE_H
#define TKSP_OP_PRIVATE_H

#include "arena.h"
#include "ops/script.h"
#include "tokenstore/op.h"

typedef struct tksp_command {
    const tksp_script *script; /* NULL: a plain command */
    const tks_bytes *argv;     /* script: number of keys, keys, arguments */
    size_t argc;
    tks_bytes route;       /* the key that chooses the server */
    bool by_text;          /* script: the server does not know it, send its text */
    bool raw;              /* an error reply is an answer like any other */
    bool any_type;         /* WRONGTYPE is an answer, too: the key is another program's */
    bool may_be_forbidden; /* NOPERM is an answer, too, and that there is no such command */
    tks_reply *reply;      /* the final answer; owned */
} tksp_command;

typedef struct tksp_op_kind {
    /* NULL for all but an operation that is put together from others: it is stepped by this
     * instead, and sets batch, request or sleep_ms itself. It never sees a final state. */
    tks_need (*step)(tks_op *op, const tks_event *event);
    /* All commands are answered, none by an error (unless raw). Sets op->result, or clears the
     * commands and adds new ones. TKS_OK or a failure, noted by tksp_op_fail unless the
     * general text of its status says all. */
    tks_status (*finish)(tks_op *op, int64_t now_ms);
    /* Some command failed and the operation is about to fail. May clear the commands
     * and add others that undo what was done: then it returns true. NULL: nothing to undo. */
    bool (*undo)(tks_op *op);
    /* The commands could not be carried out, `why` says for what reason. May say that the operation has its
     * result without them: then it returns true, and the operation is done. NULL: it never has. */
    bool (*spare)(tks_op *op, const char *why);
    /* What to do when a cluster refuses the commands because of where their keys lie. NULL: what op.c says. */
    const char *cluster_advice;
    /* What to do when the server answers with any other error. NULL: no word. */
    const char *advice;
    /* How to ask for less, where an answer is too large. NULL: no word. */
    const char *smaller;
    /* Frees what the kind owns beyond the arena. NULL: nothing. */
    void (*clear)(tks_op *op);
} tksp_op_kind;

typedef enum tksp_op_state {
    TKS_OP_NEW,
    TKS_OP_SENDING,
    TKS_OP_SLEEPING,
    TKS_OP_DONE,
    TKS_OP_FAILED
} tksp_op_state;

/* The common operations stay below 1 KiB: from there on malloc is slow (glibc keeps no fast list of blocks that
 * large, and merges all that was freed before it looks for one). */
#define TKSP_ASSERT_SMALL(op) _Static_assert(sizeof(op) < 1024, #op " is slow to allocate")

struct tks_op {
    const tksp_op_kind *kind;
    tksp_op_state state;
    tks_safety safety;
    unsigned losses;   /* connections lost in a row */
    unsigned refusals; /* "not now" answers in a row */
    uint32_t sleep_ms;
    uint32_t pause_ms; /* set by finish: the commands it added are sent after this long */
    bool undoing;
    bool proving; /* what it sends is to show that the answers are its own */
    bool refused; /* failed on an answer that is known to be its own: the request cannot be met */
    bool asked_to_log_in; /* once: a new connection may know how */
    tks_trust trust;      /* in the connection that the last replies came on */
    bool unanswered;      /* a change was sent, and its answer lost: it may have happened */
    tks_status failure;   /* the first, set by tksp_op_fail; TKS_OK: there was none */
    tks_error *error;     /* its message, owned; NULL: there was no memory for one */
    tksp_arena arena;
    tksp_command *commands; /* in a heap array, so that an operation can begin anew */
    size_t count, capacity;
    tks_buf out; /* the batch's bytes */
    tks_batch batch;
    const tks_http_request *request;
    tks_notes notes;
    char *reason; /* why it is trying again, owned; NULL: it is not */
    tks_result result;
    const tks_token *expected;
};

/* Makes an operation of `size` bytes (a struct that begins with tks_op), zeroed. NULL: no memory. */
tks_op *tksp_op_new(size_t size, const tksp_op_kind *kind, tks_safety safety);

/* Adds a command; `argv` must live in the arena. TKS_OK or TKS_ERR_MEMORY. */
tks_status tksp_op_add(tks_op *op, const tksp_script *script, const tks_bytes *argv, size_t argc,
                       tks_bytes route);

/* Forgets the commands and frees their replies. */
void tksp_op_clear_commands(tks_op *op);

/* Takes the reply of command `i` out; the caller frees it. */
tks_reply *tksp_op_take_reply(tks_op *op, size_t i);

/* Is there nothing of ours under the key that command `i`, a GET with `any_type`, asked for? */
bool tksp_op_found_nothing(const tks_op *op, size_t i);

/* Notes why the operation fails, as tks_fail does: the first failure wins. Returns `status`; TKS_ERR_MEMORY, which is
 * noted then, where there is no memory for the message. */
tks_status tksp_op_fail(tks_op *op, tks_status status, const char *format, ...) TKS_PRINTF(3, 4);

/* Takes a failure back, as if there had been none, and gives it. */
tks_error tksp_op_take_failure(tks_op *op);

/* For finish: the answer was another request's. TKS_ERR_CONNECTION, of a change
 * TKS_ERR_OUTCOME_UNKNOWN. */
tks_status tksp_op_fail_foreign(tks_op *op);

#endif
