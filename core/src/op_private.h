/* op_private.h - the parts of an operation; for core/src/op.c and core/src/ops only.
 *
 * A kind of operation embeds tks_op as its first member, adds commands, and has a function that is
 * called when every command has its final reply. It may add further commands, for operations of
 * several round trips. Everything else (formatting, NOSCRIPT, replies such as LOADING, lost
 * connections, deadlines) is done once, in op.c. */
#ifndef TKSP_OP_PRIVATE_H
#define TKSP_OP_PRIVATE_H

#include "arena.h"
#include "near.h"
#include "ops/script.h"
#include "tokenstore/meter.h"
#include "tokenstore/operation.h"
#include "tokenstore/router.h"

/* How a command belongs to the one before it, on a cluster, where each may have to go elsewhere. */
typedef enum tksp_tie {
    TKSP_FREE,
    TKSP_AFTER, /* it is about that one (WAIT): it goes again where that one does */
    TKSP_WITH   /* both are of one transaction: if one goes again, so does the other */
} tksp_tie;

typedef struct tksp_command {
    const tksp_script *script; /* NULL: a plain command */
    const tks_bytes *argv;     /* script: number of keys, keys, arguments */
    size_t argc;
    tks_bytes route; /* the key that selects the node of a cluster; empty: any */
    int slot; /* of `route`, once it was needed; without a route, the one whose node it is for; -1: none yet */
    int node;     /* where it must go, by ASK or for its kind; -1: where its slot is */
    int from;     /* the node that gave `reply`; -1: there is one server */
    bool asking;  /* behind ASKING */
    bool standby; /* `node` is the replica of the one where its slot is */
    tksp_tie tie;
    bool sent;      /* with the batch that is under way */
    unsigned part;  /* of the operation, that it belongs to; 0: none */
    bool by_text;   /* script: unknown to the server, send its text */
    bool raw;       /* an error reply is a result */
    bool any_type;  /* WRONGTYPE is a result: another program's key */
    bool may_cross; /* CROSSSLOT is a result: its keys are on different servers of a cluster */
    bool told;      /* its events were taken: see audit.h */
    bool may_be_forbidden; /* NOPERM and "unknown command" are results */
    tks_reply *reply;      /* the final reply; owned */
} tksp_command;

typedef struct tksp_op_kind {
    /* Only for an operation composed of others, else NULL: steps it, and sets batch, request or sleep_ms. Not
     * called in a final state. */
    tks_need (*step)(tks_op *op, const tks_event *event);
    /* Called first where there is a near cache, of an operation that has commands: true if the result is set without them. NULL:
     * never. */
    bool (*find)(tks_op *op);
    /* Called when all commands have replies, none of them an error (unless raw). Sets op->result, or clears
     * the commands and adds new ones. TKS_OK or a failure, with a message by tksp_op_fail unless the status's
     * general text suffices. */
    tks_status (*finish)(tks_op *op, int64_t now_ms);
    /* Called when a command failed and the operation is about to fail. May replace the commands by ones that
     * undo what was done: then it returns true. NULL: nothing to undo. */
    bool (*undo)(tks_op *op);
    /* Called when the commands could not be executed; `why` is the reason. Returns true if the operation has
     * a result without them: then it is done. NULL: never. */
    bool (*spare)(tks_op *op, const char *why);
    /* Of an operation whose keys share a slot only if the first one has a hash tag: what to do where it has none, on a
     * cluster. NULL: any keys do. */
    const char *cluster_advice;
    /* Advice for any other error. NULL: none. */
    const char *advice;
    /* How to request less, if a reply is too large. NULL: no advice. */
    const char *smaller;
    /* Errors name the node of a cluster that they come from. */
    bool names_node;
    /* Of an operation that can be audited: see audit.h. NULL: there is nothing to tell. */
    const struct tksp_audit_kind *audit;
    /* Frees what the kind owns besides the arena. NULL: nothing. */
    void (*clear)(tks_op *op);
} tksp_op_kind;

/* What it costs; see op_measure.h. */
typedef struct tksp_measuring {
    bool on; /* it is measured */
    bool begun, ended;
    tks_meter *meter; /* held; NULL: of a part, which its whole counts */
    tks_measure measure;
} tksp_measuring;

/* See tksp_meter_place_of. */
typedef size_t tksp_place_of(const tks_operation *row, const char **store);

typedef enum tksp_op_state {
    TKS_OP_NEW,
    TKS_OP_SENDING,
    TKS_OP_SLEEPING,
    TKS_OP_PARTED, /* its parts are being run */
    TKS_OP_DONE,
    TKS_OP_FAILED
} tksp_op_state;

/* Common operations must be smaller than 1 KiB: larger blocks are slow to allocate (glibc has no fast list
 * for them and first merges all freed blocks). */
#define TKSP_ASSERT_SMALL(op) _Static_assert(sizeof(op) < 1024, #op " is slow to allocate")

struct tks_op {
    const tksp_op_kind *kind;
    const tks_operation *row; /* its name for measures; NULL: the library's own, not measured */
    tksp_place_of *place_of;  /* of the copy of this library that has the row */
    tksp_measuring measuring;
    tksp_op_state state;
    tks_safety safety;
    unsigned losses;   /* connections lost in a row */
    unsigned refusals; /* "not now" answers in a row */
    unsigned hops;     /* redirections in a row */
    uint32_t sleep_ms;
    uint32_t pause_ms; /* set by finish: a pause before the commands that it added */
    bool reads_boot;   /* see tks_op_reads_boot */
    bool undoing;
    bool proving; /* it is checking that the answers are its own */
    bool refused; /* failed on an answer that is certainly its own: do not doubt the connection */
    bool asked_to_log_in;  /* once: a new connection may log in */
    tks_trust trust;       /* in the connection that the last replies came on */
    bool unanswered;       /* a change was sent, and its answer lost: it may have happened */
    bool was_unanswered;   /* likewise, since it began, whatever was answered later */
    tks_status final_loss; /* of the last loss, if a retry cannot help; else TKS_OK */
    tks_status failure;    /* the first one, set by tksp_op_fail; TKS_OK: none */
    tks_error *error;      /* its message, owned; NULL: out of memory */
    tksp_arena arena;
    tksp_command *commands; /* heap-allocated, so that an operation can start over */
    size_t count, capacity;
    tks_buf out; /* the batch's bytes */
    tks_batch batch;
    const tks_http_request *request;
    tks_notes notes;
    char *reason; /* why it is retrying, owned; NULL: it is not */
    tks_result result;
    const tks_token *expected;
    const tks_token *reused;   /* see tks_op_get_reused */
    tks_server *server;        /* NULL: nothing is known of it */
    tks_router *router;        /* NULL: there is one server */
    tks_near *near;            /* NULL: there is no near cache */
    struct tksp_audit *audit;  /* NULL: nobody wants to know; in the arena */
    bool fresh;                /* what is near does not count */
    tksp_near_entry *viewable; /* see tks_op_is_viewable; the kind holds it. NULL: none */
    int64_t viewable_until_ms; /* by the server's clock; 0: as long as the record */
    tks_op **parts;            /* see op_parts.h; `part_count` of them */
    size_t part_count;
    bool undivided;  /* it never has parts */
    bool is_part;    /* what its replies mean is the whole's to say */
    int64_t boot_ms; /* of the event that it is taking */
    int64_t sent_ms; /* when the batch was made; see op_doubt.h */
    unsigned
        doubt_round; /* 0: no answer is doubted; else the last refresh that had begun before it came */
    int doubted;     /* the node that it came from */
    tks_durability durability;
    const char *shortage; /* how a change fell short of it, in the arena; NULL: it did not */
    int64_t replicas;     /* that have the change, then */
};

/* Allocates an operation of `size` bytes (a struct that begins with tks_op), zeroed. NULL: out of memory. */
tks_op *tksp_op_new(size_t size, const tksp_op_kind *kind, tks_safety safety);

/* What measures call it. */
void tksp_op_name(tks_op *op, const tks_operation *row);

/* tks_op_step, without measuring. */
tks_need tksp_op_advance(tks_op *op, const tks_event *event);

/* Adds a command; `argv` must live in the arena. TKS_OK or TKS_ERR_MEMORY. */
tks_status tksp_op_add(tks_op *op, const tksp_script *script, const tks_bytes *argv, size_t argc,
                       tks_bytes route);

/* Appends a command. TKS_OK, TKS_ERR_MEMORY, TKS_ERR_DATA (too long). */
tks_status tksp_op_format(tks_buf *out, const tksp_command *command);

/* The number of the node that a command with a key goes to, as far as is known; -1: there is one server, or none is known. */
int tksp_op_get_node(tks_op *op, size_t command);

/* The number of the node that serves a key, as far as is known; -1: there is one server, or none is known. */
int tksp_op_serves(const tks_op *op, tks_bytes route);

/* What is known of the clock of the server that `route` leads to; NULL: nothing. */
tks_server *tksp_op_clock(const tks_op *op, tks_bytes route);

/* How many keys a script has: the first word of its command. */
size_t tksp_count_keys(const tks_bytes *argv);

/* Removes the commands and frees their replies. */
void tksp_op_clear_commands(tks_op *op);

/* Takes the reply of command `i`; the caller frees it. */
tks_reply *tksp_op_take_reply(tks_op *op, size_t i);

/* True if command `i`, a GET with `any_type`, found nothing or another program's key. */
bool tksp_op_found_nothing(const tks_op *op, size_t i);

/* Records why the operation fails, like tks_fail: the first failure wins. Returns `status`, or TKS_ERR_MEMORY
 * if there is no memory for the message. */
tks_status tksp_op_fail(tks_op *op, tks_status status, const char *format, ...) TKS_PRINTF(3, 4);

/* Removes the recorded failure and returns it. */
tks_error tksp_op_take_failure(tks_op *op);

/* For finish: the reply belongs to another request. TKS_ERR_CONNECTION, for a change
 * TKS_ERR_OUTCOME_UNKNOWN. */
tks_status tksp_op_fail_foreign(tks_op *op);

#endif
