/* op.c - the state machine of all operations. See op.h for an overview. */
#include "op_describe.h"

#include <stdio.h>
#include <stdlib.h>

#include "audit.h"
#include "op_doubt.h"
#include "op_measure.h"
#include "op_near.h"
#include "op_parts.h"
#include "op_replicate.h"
#include "op_route.h"
#include "server.h"
#include "tokenstore/secret.h"

enum {
    LOSSES_MAX = 4,        /* attempts to get a reply */
    BACKOFF_FIRST_MS = 5,  /* then 20, 80: about 0.1 s before a dead server is reported */
    REFUSAL_FIRST_MS = 10, /* LOADING, BUSY …: doubles up to the maximum, until the deadline */
    REFUSAL_MAX_MS = 250,
    CLUSTER_MAX_MS = 100, /* on a cluster: a failover lasts seconds, and ends at any moment */
    WAIT_FIRST_MS = 2,    /* for a map of the cluster, which another operation may be asking for */
    WAIT_MAX_MS = 50,
    HOPS_MAX = 5, /* redirections at once, without a pause */
};

/* ---- states ---- */

static tks_need send_unanswered(tks_op *op);
static tks_need give_up(tks_op *op, tks_status status, const char *why);

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
    return !op->undoing && op->kind->spare != NULL && op->kind->spare(op, why);
}

/* It has its result, though what it changed may not be where it should be. */
static tks_need succeed(tks_op *op) {
    if (op->audit != NULL) tksp_audit_miss(op);
    if (op->shortage != NULL && !op->is_part) {
        return fail(op, TKS_ERR_NOT_REPLICATED, op->shortage);
    }
    op->state = TKS_OP_DONE;
    return TKS_DONE;
}

static tks_need sleep_for(tks_op *op, uint32_t ms) {
    op->state = TKS_OP_SLEEPING;
    op->sleep_ms = ms;
    return TKS_NEED_SLEEP;
}

/* Records why the operation retries, for the log (`level` 0: not for that) and for the message of a timeout. Skipped if
 * out of memory. Repeated reasons are logged once: a server may be loading for minutes. */
static void note_reason(tks_op *op, char level, const char *plan, const char *reason) {
    char text[TKS_NOTE_MAX];
    if (op->reason != NULL && strcmp(op->reason, reason) == 0) return;
    char *copy = realloc(op->reason, strlen(reason) + 1);
    if (copy == NULL) return;
    op->reason = memcpy(copy, reason, strlen(reason) + 1);
    if (level == 0) return;
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

static uint32_t pause_after(const tks_op *op, uint32_t first, unsigned shift, unsigned times) {
    return backoff(first, shift, times, op->router != NULL ? CLUSTER_MAX_MS : REFUSAL_MAX_MS);
}

/* No node is known for the commands: a refresh will tell, which the driver runs while the operation sleeps. At first contact
 * a cluster that does not answer is reported as soon as a server is that does not. */
static tks_need wait_for_node(tks_op *op) {
    tks_error why = tksp_router_why(op->router);
    bool first = tks_router_version(op->router) == 0 && !tks_router_is_asking(op->router);
    if (first && why.status != TKS_OK &&
        (why.status != TKS_ERR_CONNECTION || ++op->losses > LOSSES_MAX)) {
        return give_up(op, why.status, why.message); /* before a fork, it may have been sent */
    }
    if (why.status != TKS_OK || op->reason == NULL) { /* what led here says more */
        bool is_usual = why.status == TKS_OK && tks_router_version(op->router) == 0;
        note_reason(op, is_usual ? 0 : 'i', "waiting for a server to send to",
                    why.status != TKS_OK ? why.message : "no server is known that has the key");
    }
    return sleep_for(op, backoff(WAIT_FIRST_MS, 1, op->refusals++, WAIT_MAX_MS));
}

static tks_need send_parts(tks_op *op) {
    if (tksp_op_split(op) != TKS_OK) return fail(op, TKS_ERR_MEMORY, "out of memory");
    op->state = TKS_OP_PARTED;
    return TKS_NEED_PARTS;
}

/* Sends the commands without a final reply that go to the same node as the first of them; on one server, all. Where
 * they go to several nodes, parts of the operation do. */
static tks_need send_unanswered(tks_op *op) {
    tks_status status = TKS_OK;
    tks_buf_reset(&op->out);
    op->batch.replies = 0;
    op->batch.safety = op->safety;
    if (op->router != NULL && tksp_op_lacks_tag(op)) {
        return fail(op, TKS_ERR_CONFIGURATION, op->kind->cluster_advice);
    }
    if (tksp_op_is_spread(op)) return send_parts(op);
    op->batch.node = op->router != NULL ? tksp_op_choose_node(op) : -1;
    if (op->router != NULL && op->batch.node < 0) return wait_for_node(op);
    for (size_t i = 0; i < op->count; i++) {
        tksp_command *command = &op->commands[i];
        command->sent = command->reply == NULL && (op->router == NULL || tksp_op_goes_along(op, i));
        if (!command->sent) continue;
        if (command->asking) op->batch.replies++;
        if (command->asking) status = tksp_op_format_asking(&op->out);
        if (status == TKS_OK) status = tksp_op_format(&op->out, command);
        if (status != TKS_OK) break;
        op->batch.replies++;
    }
    if (status == TKS_OK) status = tksp_replicate_ask(op);
    if (status == TKS_ERR_DATA) {
        return fail(op, TKS_ERR_DATA, "too much to send at once: split the call into smaller ones");
    }
    if (status != TKS_OK) return fail(op, TKS_ERR_MEMORY, "out of memory");
    op->batch.bytes = tks_buf_bytes(&op->out);
    op->state = TKS_OP_SENDING;
    return TKS_NEED_SEND;
}

/* A read found what it cannot read. Is that stored, or was it the answer to another request, so that the connection
 * and all who wait on it must be given up? One that repeats what nobody else has said shows that it is in step. */
static tks_need ask_for_proof(tks_op *op) {
    enum { WORDS = 4, SAID = 22 };
    const tks_error why = tksp_op_take_failure(op);
    const int node = op->batch.node;
    tks_bytes *words = tksp_arena_alloc(&op->arena, WORDS * sizeof *words);
    char *said = tksp_arena_alloc(&op->arena, SAID);
    if (words == NULL || said == NULL) return fail(op, TKS_ERR_MEMORY, "out of memory");
    tks_random_letters(said, SAID);
    words[0] = TKS_LITERAL("EVAL");
    words[1] = TKS_LITERAL("return ARGV[1]");
    words[2] = TKS_LITERAL("0");
    words[3] = tks_bytes_of(said, SAID);
    tksp_op_clear_commands(op);
    if (tksp_op_add(op, NULL, words, WORDS, tks_bytes_of(NULL, 0)) != TKS_OK) {
        return fail(op, TKS_ERR_MEMORY, "out of memory");
    }
    op->commands[0].node = node;
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
    return succeed(op);
}

static bool is_near(tks_op *op) {
    return op->near != NULL && op->kind->find != NULL && !op->fresh && op->kind->find(op);
}

/* ---- replies ---- */

typedef enum verdict { FINAL, UNKNOWN_SCRIPT, ELSEWHERE, NOT_NOW, NOT_HERE } verdict;

/* What an error of a cluster means, which says that the command was not executed. FINAL: it is not of a cluster. */
static verdict judge_cluster(tks_op *op, tksp_command *command, const tks_reply *reply) {
    switch (tksp_op_redirect(op, command, reply)) {
    case TKSP_ELSEWHERE: return op->hops < HOPS_MAX ? ELSEWHERE : NOT_NOW;
    case TKSP_LATER: return NOT_NOW;
    case TKSP_STAYS: break;
    }
    return FINAL;
}

static verdict judge(tks_op *op, tksp_command *command, const tks_reply *reply) {
    if (tks_reply_get_type(reply) != TKS_REPLY_ERROR) return FINAL;
    if (op->router != NULL) {
        verdict v = judge_cluster(op, command, reply);
        if (v != FINAL) return v;
    }
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

static tks_need take_loss(tks_op *op, const tks_event *event);

static tks_need take_demotion(tks_op *op, int64_t now_ms) {
    const tks_error why = {TKS_ERR_CONNECTION, "the node was replaced by another primary"};
    const tks_event lost = {.type = TKS_EVENT_LOST, .now_ms = now_ms, .sent = true, .why = &why};
    op->trust = TKS_TRUST_LEAVE;
    return take_loss(op, &lost);
}

/* Every command has its final reply. */
static tks_need conclude(tks_op *op, int64_t now_ms) {
    char message[TKS_ERROR_SIZE];
    tksp_doubt doubt = tksp_op_settle_doubt(op);
    if (doubt == TKSP_REPLACED) return take_demotion(op, now_ms);
    if (doubt == TKSP_ASKING) {
        note_reason(op, 'i', "asking whether the node was replaced", "an answer came late");
        return sleep_for(op, backoff(WAIT_FIRST_MS, 1, op->refusals++, WAIT_MAX_MS));
    }
    op->unanswered = false;
    if (op->audit != NULL && tksp_audit_take(op) != TKS_OK) {
        return fail(op, TKS_ERR_MEMORY, "out of memory");
    }
    const tks_reply *error = op->undoing || op->is_part ? NULL : tksp_op_first_error(op);
    if (error != NULL) {
        tksp_op_describe_final(op, error, message, sizeof message);
        if (is_spared(op, message)) return succeed(op);
        return fail_answered(op, TKS_ERR_SERVER, message);
    }
    const tks_reply *oversized = op->undoing || op->is_part ? NULL : tksp_op_first_oversized(op);
    if (oversized != NULL) {
        char what[TKS_ERROR_SIZE];
        tks_reply_describe_error(oversized, what, sizeof what);
        tksp_op_describe_oversized(op, what, message, sizeof message);
        tksp_op_name_node(op, oversized, message, sizeof message);
        return fail_answered(op, TKS_ERR_LIMIT, message);
    }
    return finish(op, now_ms);
}

static tks_need take_replies(tks_op *op, const tks_event *event) {
    char message[TKS_ERROR_SIZE];
    verdict worst = FINAL;
    size_t next = 0;
    bool executed = false;

    if (op->router != NULL && !tks_router_serves(op->router, op->batch.node) &&
        tksp_op_was_executed(op, event->replies)) {
        return take_demotion(op, event->now_ms);
    }
    tksp_op_note_answer(op, event);
    op->trust = TKS_TRUST_KEEP;
    bool asked_to_log_in = op->asked_to_log_in;
    for (size_t i = 0; i < op->count; i++) {
        tksp_command *command = &op->commands[i];
        if (!command->sent) continue;
        if (command->asking) next++; /* OK, or an error that the command repeats */
        tks_reply *reply = event->replies[next];
        event->replies[next++] = NULL;
        bool asked = command->asking;
        command->sent = command->asking = false;
        verdict v = judge(op, command, reply);
        if (v == FINAL && tksp_op_note_executed(op, command, reply)) executed = true;
        if (v == UNKNOWN_SCRIPT) {
            command->asking = asked;
        } else if (v != ELSEWHERE) {
            tksp_op_forget_ask(command);
        }
        if (leave(op, reply)) {
            op->trust = TKS_TRUST_LEAVE;
            asked_to_log_in = asked_to_log_in || tks_reply_is_error(reply, "NOAUTH");
        }
        if (v == FINAL) {
            command->reply = reply;
            command->from = op->batch.node;
            continue;
        }
        if (v == UNKNOWN_SCRIPT) command->by_text = true;
        if (v > worst) worst = v;
        if (v > UNKNOWN_SCRIPT) tksp_op_describe_error(reply, message, sizeof message);
        tks_reply_free(reply);
    }
    op->asked_to_log_in = asked_to_log_in;
    /* A replica that points back has answered nothing. */
    if (executed || op->router == NULL) op->losses = 0;
    if (op->batch.blocks && executed) tksp_replicate_take(op, event->replies[next]);
    if (worst != FINAL && op->router != NULL) tksp_op_keep_ties(op);
    if (worst == ELSEWHERE) op->hops++; /* however many commands were redirected */
    if (worst == UNKNOWN_SCRIPT || worst == ELSEWHERE) return send_unanswered(op);
    if (worst != FINAL) {
        if (is_spared(op, message)) return succeed(op);
        if (worst == NOT_NOW) note_reason(op, 'i', "trying again until the deadline", message);
        op->hops = 0;
        return sleep_for(op, pause_after(op, REFUSAL_FIRST_MS, 1, op->refusals++));
    }
    op->refusals = op->hops = 0;
    if (op->router != NULL && tksp_op_has_unsent(op)) return send_unanswered(op);
    return conclude(op, event->now_ms);
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
    op->final_loss = event->final ? status : TKS_OK;
    if (op->router != NULL) tksp_op_lose_node(op, event->sent);
    if (is_spared(op, why)) return succeed(op);
    if (status == TKS_ERR_LIMIT && (op->safety == TKS_READ || op->batch.replies == 1)) {
        char message[TKS_ERROR_SIZE]; /* the deadline passed before the whole reply was read */
        tksp_op_describe_oversized(op, why, message, sizeof message);
        return fail(op, TKS_ERR_LIMIT, message);
    }
    op->unanswered = op->unanswered || (event->sent && op->safety != TKS_READ);
    op->was_unanswered = op->was_unanswered || op->unanswered;
    if (event->sent && op->safety == TKS_ONCE) return give_up(op, status, why);
    op->losses++; /* on a cluster, another node will serve: within seconds, and before the deadline */
    bool ends = op->final_loss != TKS_OK || (op->losses >= LOSSES_MAX && op->router == NULL);
    if (ends) return give_up(op, status, why);
    note_reason(op, 'i', "trying again", why);
    return sleep_for(op, pause_after(op, BACKOFF_FIRST_MS, 2, op->losses - 1));
}

/* A part that has failed has done so for good. What others have changed is not undone, as it would not be on one server. */
static tks_need take_parts(tks_op *op, const tks_event *event) {
    tks_error why;
    bool done;
    if (tksp_op_join(op, &why, &done)) return conclude(op, event->now_ms);
    if (is_spared(op, why.message)) return succeed(op);
    if (why.status == TKS_ERR_OUTCOME_UNKNOWN) return fail(op, why.status, why.message);
    op->unanswered = op->unanswered || (done && op->safety != TKS_READ);
    return give_up(op, why.status, why.message);
}

static tks_need take_deadline(tks_op *op, const tks_event *event) {
    char message[TKS_ERROR_SIZE];
    if (is_spared(op, "no answer within the timeout")) return succeed(op);
    if (op->state == TKS_OP_SENDING && event->sent && op->safety != TKS_READ) op->unanswered = true;
    if (op->reason != NULL) {
        (void)snprintf(message, sizeof message, "no answer within the timeout; last error: %.250s",
                       op->reason);
        return give_up(op, TKS_ERR_TIMEOUT, message);
    }
    return give_up(op, TKS_ERR_TIMEOUT,
                   event->why != NULL ? event->why->message : "no answer within the timeout");
}

bool tks_op_reads_boot(const tks_op *op) {
    return op->reads_boot || op->near != NULL;
}

tks_need tksp_op_advance(tks_op *op, const tks_event *event) {
    if (op->state == TKS_OP_DONE) return TKS_DONE;
    if (op->state == TKS_OP_FAILED) return TKS_FAILED;
    if (op->kind->step != NULL) return op->kind->step(op, event);
    op->boot_ms = event->boot_ms;
    if (event->type != TKS_EVENT_REPLIES) op->sent_ms = event->now_ms;
    if (op->near != NULL) tksp_op_drop_near(op);
    switch (event->type) {
    case TKS_EVENT_START:
        if (op->audit != NULL && tksp_audit_start(op) != TKS_OK) {
            return fail(op, TKS_ERR_MEMORY, "out of memory");
        }
        if (op->count == 0) return finish(op, event->now_ms);
        return is_near(op) ? succeed(op) : send_unanswered(op);
    case TKS_EVENT_REPLIES: return take_replies(op, event);
    case TKS_EVENT_LOST: return take_loss(op, event);
    case TKS_EVENT_AWAKE:
        if (op->doubt_round != 0 && !tksp_op_has_unsent(op)) return conclude(op, event->now_ms);
        if (!tksp_op_is_left(op)) return send_unanswered(op);
        return give_up(op, TKS_ERR_CONNECTION, "the node is no primary any more");
    case TKS_EVENT_PARTS: return take_parts(op, event);
    case TKS_EVENT_RESPONSE:
    case TKS_EVENT_DEADLINE: break;
    }
    return take_deadline(op, event);
}

tks_need tks_op_step(tks_op *op, const tks_event *event) {
    if (op->measuring.on) return tksp_op_step_measured(op, event);
    return tksp_op_advance(op, event);
}

const tks_batch *tks_op_get_batch(const tks_op *op) {
    return &op->batch;
}

const tks_http_request *tks_op_get_request(const tks_op *op) {
    return op->request;
}

size_t tks_op_get_parts(const tks_op *op, tks_op ***out) {
    *out = op->parts;
    return op->part_count;
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
    case TKS_ERR_NOT_REPLICATED:
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
