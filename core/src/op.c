/* op.c - the state machine of all operations. See op.h for an overview. */
#include "op_describe.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "server.h"
#include "tokenstore/secret.h"

enum {
    LOSSES_MAX = 4,        /* attempts to get a reply */
    BACKOFF_FIRST_MS = 5,  /* then 20, 80: about 0.1 s before a dead server is reported */
    REFUSAL_FIRST_MS = 10, /* LOADING, BUSY …: doubles up to the maximum, until the deadline */
    REFUSAL_MAX_MS = 250,
    BATCH_MAX = 1 << 30, /* bytes in one batch */
    NOTES_MAX = 16 * 1024,
    INLINE_ARGS = 16
};

/* ---- building ---- */

tks_op *tksp_op_new(size_t size, const tksp_op_kind *kind, tks_safety safety) {
    tks_op *op = malloc(size);
    if (op == NULL) return NULL;
    memset(op, 0, size); /* malloc uses glibc's fast lists, calloc does not */
    op->kind = kind;
    op->safety = safety;
    tks_buf_init(&op->out, BATCH_MAX);
    tks_notes_init(&op->notes, NOTES_MAX);
    return op;
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
    op->commands[op->count++] =
        (tksp_command){.script = script, .argv = argv, .argc = argc, .route = route};
    return TKS_OK;
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
    if (op->kind->clear != NULL) op->kind->clear(op);
    tksp_op_clear_commands(op);
    tks_server_free(op->server);
    free(op->commands);
    tks_buf_wipe(&op->out);
    tks_notes_clear(&op->notes);
    free(op->reason);
    free(op->error);
    tksp_arena_clear(&op->arena);
    free(op);
}

/* ---- states ---- */

static tks_need send_unanswered(tks_op *op);

static tks_need fail(tks_op *op, tks_status status, const char *message) {
    (void)tksp_op_fail(op, status, "%s", message);
    op->state = TKS_OP_FAILED;
    return TKS_FAILED;
}

/* Fails because of a reply. Every command has a reply here, so what was done is known and can be undone
 * first. The original error is kept. */
static tks_need fail_answered(tks_op *op, tks_status status, const char *message) {
    (void)tksp_op_fail(op, status, "%s", message);
    if (op->kind->undo == NULL || !op->kind->undo(op)) return fail(op, status, message);
    op->undoing = true;
    return send_unanswered(op);
}

/* True if the operation succeeds without the commands that failed. */
static bool is_spared(tks_op *op, const char *why) {
    if (op->undoing || op->kind->spare == NULL || !op->kind->spare(op, why)) return false;
    op->state = TKS_OP_DONE;
    return true;
}

static tks_need sleep_for(tks_op *op, uint32_t ms) {
    op->state = TKS_OP_SLEEPING;
    op->sleep_ms = ms;
    return TKS_NEED_SLEEP;
}

/* Records why the operation retries, for the log and for the message of a timeout. Skipped if out of memory.
 * Repeated reasons are logged once: a server may be loading for minutes. */
static void note_reason(tks_op *op, char level, const char *plan, const char *reason) {
    char text[TKS_NOTE_MAX];
    if (op->reason != NULL && strcmp(op->reason, reason) == 0) return;
    char *copy = realloc(op->reason, strlen(reason) + 1);
    if (copy == NULL) return;
    op->reason = memcpy(copy, reason, strlen(reason) + 1);
    (void)snprintf(text, sizeof text, "%s: %s", plan, reason);
    tks_notes_add(&op->notes, level, text);
}

/* `first`, doubled (or quadrupled) `times` times up to `most`, with a random jitter of ±25 %, so that clients
 * that lost the same server do not retry in step. */
static uint32_t backoff(uint32_t first, unsigned shift, unsigned times, uint32_t most) {
    uint64_t ms = (uint64_t)first << (shift * (times < 8 ? times : 8));
    if (ms > most) ms = most;
    return (uint32_t)(ms * 3 / 4) + tks_random_below((uint32_t)(ms / 2) + 1);
}

static tks_status format_command(tks_buf *out, const tksp_command *command) {
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

/* Sends every command without a final reply; ends the operation if there is none. */
static tks_need send_unanswered(tks_op *op) {
    tks_buf_reset(&op->out);
    op->batch.replies = 0;
    op->batch.safety = op->safety;
    for (size_t i = 0; i < op->count; i++) {
        tksp_command *command = &op->commands[i];
        if (command->reply != NULL) continue;
        tks_status status = format_command(&op->out, command);
        if (status == TKS_ERR_DATA) {
            return fail(op, TKS_ERR_DATA,
                        "too much to send at once: split the call into smaller ones");
        }
        if (status != TKS_OK) return fail(op, TKS_ERR_MEMORY, "out of memory");
        if (op->batch.replies++ == 0) op->batch.route = command->route;
    }
    op->batch.bytes = tks_buf_bytes(&op->out);
    op->state = TKS_OP_SENDING;
    return TKS_NEED_SEND;
}

/* A read found what it cannot read. Is that stored, or was it the answer to another request, so that the connection
 * and all who wait on it must be given up? One that repeats what nobody else has said shows that it is in step. */
static tks_need ask_for_proof(tks_op *op) {
    enum { WORDS = 4, SAID = 22 };
    const tks_error why = tksp_op_take_failure(op);
    tks_bytes route = op->batch.route;
    tks_bytes *words = tksp_arena_alloc(&op->arena, WORDS * sizeof *words);
    char *said = tksp_arena_alloc(&op->arena, SAID);
    if (words == NULL || said == NULL) return fail(op, TKS_ERR_MEMORY, "out of memory");
    tks_random_letters(said, SAID);
    words[0] = TKS_LITERAL("EVAL");
    words[1] = TKS_LITERAL("return ARGV[1]");
    words[2] = TKS_LITERAL("0");
    words[3] = tks_bytes_of(said, SAID);
    tksp_op_clear_commands(op);
    if (tksp_op_add(op, NULL, words, WORDS, route) != TKS_OK) {
        return fail(op, TKS_ERR_MEMORY, "out of memory");
    }
    tks_need need = send_unanswered(op);
    if (need == TKS_NEED_SEND) {
        (void)tksp_op_fail(op, why.status, "%s", why.message);
        op->undoing = op->proving = true;
    }
    return need;
}

static bool is_proven(const tks_op *op) {
    const tksp_command *command = &op->commands[0];
    return tks_reply_get_type(command->reply) == TKS_REPLY_STRING &&
           tks_bytes_equal(tks_reply_get_bytes(command->reply), command->argv[3]);
}

static tks_need finish(tks_op *op, int64_t now_ms) {
    if (op->undoing) {
        op->refused = op->refused || (op->proving && is_proven(op));
        op->state = TKS_OP_FAILED;
        return TKS_FAILED;
    }
    tks_status status = op->kind->finish(op, now_ms);
    if (op->failure == TKS_ERR_DATA && op->safety == TKS_READ && !op->refused) {
        return ask_for_proof(op);
    }
    if (status != TKS_OK) return fail_answered(op, status, tks_status_text(status));
    for (size_t i = 0; i < op->count; i++) {
        if (op->commands[i].reply != NULL) continue;
        uint32_t pause_ms = op->pause_ms;
        op->pause_ms = 0;
        return pause_ms > 0 ? sleep_for(op, pause_ms) : send_unanswered(op);
    }
    op->state = TKS_OP_DONE;
    return TKS_DONE;
}

/* ---- replies ---- */

typedef enum verdict { FINAL, UNKNOWN_SCRIPT, NOT_NOW, NOT_HERE } verdict;

static verdict judge(const tks_op *op, const tksp_command *command, const tks_reply *reply) {
    if (tks_reply_get_type(reply) != TKS_REPLY_ERROR) return FINAL;
    if (command->raw) return FINAL;
    bool by_name = command->script != NULL && !command->by_text;
    if (by_name && tks_reply_is_error(reply, "NOSCRIPT")) return UNKNOWN_SCRIPT;
    if (tks_reply_is_error(reply, "READONLY")) return NOT_HERE;
    if (tks_reply_is_error(reply, "NOAUTH")) return op->asked_to_log_in ? FINAL : NOT_HERE;
    return tks_reply_is_not_now(reply) ? NOT_NOW : FINAL;
}

/* True for an error that affects all connections to this server: it has become a replica, or now requires a
 * login. Then all are dropped, whatever the error means for the command. */
static bool leave(tks_op *op, const tks_reply *reply) {
    char message[TKS_ERROR_SIZE];
    if (tks_reply_get_type(reply) != TKS_REPLY_ERROR ||
        !(tks_reply_is_error(reply, "READONLY") || tks_reply_is_error(reply, "NOAUTH"))) {
        return false;
    }
    tksp_op_describe_error(reply, message, sizeof message);
    note_reason(op, 'w', "dropping the connections to this server", message);
    return true;
}

/* True if this user may not use the command, or if it does not exist (rename-command). */
static bool is_forbidden(const tks_reply *error) {
    static const char unknown[] = "ERR unknown command";
    tks_bytes text = tks_reply_get_bytes(error);
    return tks_reply_is_error(error, "NOPERM") ||
           (text.size >= sizeof unknown - 1 && memcmp(text.data, unknown, sizeof unknown - 1) == 0);
}

/* The first error among the final replies, or NULL. */
static const tks_reply *first_error(const tks_op *op) {
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

/* The first final reply that was too large, or NULL. */
static const tks_reply *first_oversized(const tks_op *op) {
    for (size_t i = 0; i < op->count; i++) {
        const tksp_command *command = &op->commands[i];
        if (!command->raw && tks_reply_get_type(command->reply) == TKS_REPLY_OVERSIZED) {
            return command->reply;
        }
    }
    return NULL;
}

static tks_need take_replies(tks_op *op, const tks_event *event) {
    char message[TKS_ERROR_SIZE];
    verdict worst = FINAL;
    size_t next = 0;

    op->losses = 0;
    op->trust = TKS_TRUST_KEEP;
    bool asked_to_log_in = op->asked_to_log_in;
    for (size_t i = 0; i < op->count; i++) {
        tksp_command *command = &op->commands[i];
        if (command->reply != NULL) continue;
        tks_reply *reply = event->replies[next];
        event->replies[next++] = NULL;
        verdict v = judge(op, command, reply);
        if (leave(op, reply)) {
            op->trust = TKS_TRUST_LEAVE;
            asked_to_log_in = asked_to_log_in || tks_reply_is_error(reply, "NOAUTH");
        }
        if (v == FINAL) {
            command->reply = reply;
            continue;
        }
        if (v == UNKNOWN_SCRIPT) command->by_text = true;
        if (v > worst) worst = v;
        if (v > UNKNOWN_SCRIPT) tksp_op_describe_error(reply, message, sizeof message);
        tks_reply_free(reply);
    }
    op->asked_to_log_in = asked_to_log_in;
    if (worst == UNKNOWN_SCRIPT) return send_unanswered(op);
    if (worst != FINAL) {
        if (is_spared(op, message)) return TKS_DONE;
        if (worst == NOT_NOW) note_reason(op, 'i', "trying again until the deadline", message);
        return sleep_for(op, backoff(REFUSAL_FIRST_MS, 1, op->refusals++, REFUSAL_MAX_MS));
    }
    op->refusals = 0;
    op->unanswered = false;
    const tks_reply *error = op->undoing ? NULL : first_error(op);
    if (error != NULL) {
        tksp_op_describe_final(op, error, message, sizeof message);
        if (is_spared(op, message)) return TKS_DONE;
        return fail_answered(op, TKS_ERR_SERVER, message);
    }
    const tks_reply *oversized = op->undoing ? NULL : first_oversized(op);
    if (oversized != NULL) {
        char what[TKS_ERROR_SIZE];
        tks_reply_describe_error(oversized, what, sizeof what);
        tksp_op_describe_oversized(op, what, message, sizeof message);
        return fail_answered(op, TKS_ERR_LIMIT, message);
    }
    return finish(op, event->now_ms);
}

/* Ends an operation without a reply. A change that was sent once may have happened, even if the last attempt
 * was not sent. */
static tks_need give_up(tks_op *op, tks_status status, const char *why) {
    char message[TKS_ERROR_SIZE];
    if (!op->unanswered) return fail(op, status, why);
    (void)snprintf(message, sizeof message,
                   "sent, but no reply was received, so it may or may not have happened: %.200s",
                   why);
    return fail(op, TKS_ERR_OUTCOME_UNKNOWN, message);
}

static tks_need take_loss(tks_op *op, const tks_event *event) {
    const char *why = event->why != NULL ? event->why->message : "the connection was lost";
    tks_status status = event->why != NULL ? event->why->status : TKS_ERR_CONNECTION;

    tksp_server_forget(op->server);
    if (is_spared(op, why)) return TKS_DONE;
    if (status == TKS_ERR_LIMIT && (op->safety == TKS_READ || op->batch.replies == 1)) {
        char message[TKS_ERROR_SIZE]; /* the deadline passed before the whole reply was read */
        tksp_op_describe_oversized(op, why, message, sizeof message);
        return fail(op, TKS_ERR_LIMIT, message);
    }
    op->unanswered = op->unanswered || (event->sent && op->safety != TKS_READ);
    if (event->sent && op->safety == TKS_ONCE) return give_up(op, status, why);
    if (event->final || ++op->losses >= LOSSES_MAX) return give_up(op, status, why);
    note_reason(op, 'i', "trying again", why);
    return sleep_for(op, backoff(BACKOFF_FIRST_MS, 2, op->losses - 1, REFUSAL_MAX_MS));
}

static tks_need take_deadline(tks_op *op, const tks_event *event) {
    char message[TKS_ERROR_SIZE];
    if (is_spared(op, "no answer within the timeout")) return TKS_DONE;
    if (op->state == TKS_OP_SENDING && event->sent && op->safety != TKS_READ) op->unanswered = true;
    if (op->reason != NULL) {
        (void)snprintf(message, sizeof message, "no answer within the timeout; last error: %.250s",
                       op->reason);
        return give_up(op, TKS_ERR_TIMEOUT, message);
    }
    return give_up(op, TKS_ERR_TIMEOUT,
                   event->why != NULL ? event->why->message : "no answer within the timeout");
}

void tks_op_set_server(tks_op *op, tks_server *server) {
    tks_server_free(op->server);
    op->server = tks_server_hold(server);
}

bool tks_op_reads_boot(const tks_op *op) {
    return op->reads_boot;
}

tks_need tks_op_step(tks_op *op, const tks_event *event) {
    if (op->state == TKS_OP_DONE) return TKS_DONE;
    if (op->state == TKS_OP_FAILED) return TKS_FAILED;
    if (op->kind->step != NULL) return op->kind->step(op, event);
    op->boot_ms = event->boot_ms;
    switch (event->type) {
    case TKS_EVENT_START: return op->count == 0 ? finish(op, event->now_ms) : send_unanswered(op);
    case TKS_EVENT_REPLIES: return take_replies(op, event);
    case TKS_EVENT_LOST: return take_loss(op, event);
    case TKS_EVENT_AWAKE: return send_unanswered(op);
    case TKS_EVENT_RESPONSE:
    case TKS_EVENT_DEADLINE: break;
    }
    return take_deadline(op, event);
}

const tks_batch *tks_op_get_batch(const tks_op *op) {
    return &op->batch;
}

const tks_http_request *tks_op_get_request(const tks_op *op) {
    return op->request;
}

uint32_t tks_op_get_sleep(const tks_op *op) {
    return op->sleep_ms;
}

const tks_error *tks_op_get_error(const tks_op *op) {
    static const tks_error none = TKS_ERROR_INIT, no_memory = {TKS_ERR_MEMORY, "out of memory"};
    return op->error != NULL ? op->error : op->failure != TKS_OK ? &no_memory : &none;
}

tks_trust tks_op_get_trust(const tks_op *op) {
    switch (op->failure) {
    case TKS_ERR_SERVER:
    case TKS_ERR_LIMIT:
    case TKS_ERR_INVALID_TOKEN: /* no such session; like a read that finds nothing */
    case TKS_ERR_REUSED_TOKEN:
    case TKS_ERR_EXPIRED_TOKEN: return op->trust;
    default: return op->state == TKS_OP_FAILED && !op->refused ? TKS_TRUST_CLOSE : op->trust;
    }
}

tks_notes *tks_op_get_notes(tks_op *op) {
    return &op->notes;
}

const tks_result *tks_op_get_result(const tks_op *op) {
    return &op->result;
}

const tks_token *tks_op_get_expected(const tks_op *op) {
    return op->expected;
}

const tks_token *tks_op_get_reused(const tks_op *op) {
    return op->reused;
}
