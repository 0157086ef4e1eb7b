/* audit.c - see audit.h.
 *
 * A script with an audited form (core/scripts/lib/audit.lua) gets the stream's key before its keys, and more words behind its
 * own; it answers {what it would have answered, why the stream could not be written, the server's time, events …}. */
#include "audit.h"

#include <stdio.h>
#include <stdlib.h>

#include "ops/names.h"
#include "router.h"
#include "tokenstore/tokens.h"

enum { WORDS = 6, PARTS = 8, BEFORE_EVENTS = 3 };

/* Source: OWASP, Application Logging Vocabulary Cheat Sheet. */
#define OF_BOTH     " reused=authn_token_reuse refused=excess_rate_limit_exceeded"
#define UNDONE      " why=undone"
#define OF_SESSIONS "created=session_created rotated=session_renewed ended=session_expired" OF_BOTH
#define OF_TOKENS                                                                                  \
    "created=authn_token_created rotated=authn_token_created ended=authn_token_revoked" OF_BOTH

static const tksp_audit_names no_names = {{NULL, 0}, {NULL, 0}, {NULL, 0}, {NULL, 0}, false, false};

typedef struct tksp_audit {
    tks_bytes actor;
    int64_t stream_size;
    bool started, is_apart; /* the stream is written by an operation of its own */
    tks_bytes stream;       /* its key, once it is needed */
    tks_audit_event *events;
    size_t count, room;
} tksp_audit;

tks_status tks_op_audit(tks_op *op, tks_bytes actor, int64_t stream_size, tks_error *err) {
    if (actor.size > TKS_NAME_MAX) {
        return tks_fail(err, TKS_ERR_DATA, "actor: %zu bytes, over the limit of %d", actor.size,
                        (int)TKS_NAME_MAX);
    }
    if (op->kind->audit == NULL) return TKS_OK;
    tksp_audit *audit = tksp_arena_alloc(&op->arena, sizeof *audit);
    if (audit == NULL) return tks_fail_memory(err);
    *audit = (tksp_audit){.actor = tksp_arena_dup(&op->arena, actor), .stream_size = stream_size};
    op->audit = audit;
    return op->arena.status == TKS_OK ? TKS_OK : tks_fail_memory(err);
}

/* ---- commands ---- */

static tks_bytes stream_key(tks_op *op, tks_bytes prefix) {
    static const char name[] = ":audit";
    char *key = tksp_arena_alloc(&op->arena, prefix.size + sizeof name);
    if (key == NULL) return tks_bytes_of(NULL, 0);
    memcpy(key, prefix.data, prefix.size);
    memcpy(key + prefix.size, name, sizeof name);
    return tks_bytes_of(key, prefix.size + sizeof name - 1);
}

tks_status tksp_audit_wrap(tks_op *op, tksp_command *command) {
    tksp_audit *audit = op->audit;
    tksp_audit_names names = no_names;
    if (!audit->started || command->script == NULL || command->script->audited == NULL) {
        return TKS_OK;
    }
    op->kind->audit->name(op, &names);
    audit->stream = stream_key(op, names.prefix);
    const char *events = names.sessions ? names.undone ? OF_SESSIONS UNDONE : OF_SESSIONS
                         : names.undone ? OF_TOKENS UNDONE
                                        : OF_TOKENS;
    size_t more = audit->stream_size > 0 && !audit->is_apart ? 1 : 0, at = 0;
    tks_bytes *argv = tksp_arena_alloc(&op->arena, (command->argc + more + WORDS) * sizeof *argv);
    if (argv == NULL) return TKS_ERR_MEMORY;
    argv[at++] = tksp_arena_int(&op->arena, (int64_t)(tksp_count_keys(command->argv) + more));
    if (more > 0) argv[at++] = audit->stream;
    memcpy(argv + at, command->argv + 1, (command->argc - 1) * sizeof *argv);
    at += command->argc - 1;
    argv[at++] = more > 0 ? tksp_arena_int(&op->arena, audit->stream_size) : TKS_LITERAL("0");
    argv[at++] = tks_bytes_of(events, strlen(events));
    argv[at++] = names.app;
    argv[at++] = names.type;
    argv[at++] = names.owner;
    argv[at++] = audit->actor;
    command->script = command->script->audited;
    command->argv = argv;
    command->argc = at;
    return op->arena.status;
}

tks_status tksp_audit_start(tks_op *op) {
    tks_status status = TKS_OK;
    op->audit->started = true;
    op->audit->is_apart = op->router != NULL && tksp_router_is_cluster(op->router);
    for (size_t i = 0; status == TKS_OK && i < op->count; i++) {
        status = tksp_audit_wrap(op, &op->commands[i]);
    }
    return status;
}

/* ---- events ---- */

static void tell(tks_op *op, const tks_audit_event *event) {
    tksp_audit *audit = op->audit;
    if (audit->count == audit->room) {
        size_t room = audit->room == 0 ? 4 : 2 * audit->room;
        tks_audit_event *events = tksp_arena_alloc(&op->arena, room * sizeof *events);
        if (events == NULL) return;
        if (audit->count > 0) memcpy(events, audit->events, audit->count * sizeof *events);
        audit->events = events;
        audit->room = room;
    }
    audit->events[audit->count++] = *event;
}

void tksp_audit_set_owner(tks_op *op, tks_bytes sid, tks_bytes owner) {
    for (size_t i = 0; i < op->audit->count; i++) {
        tks_audit_event *event = &op->audit->events[i];
        if (event->owner.size == 0 && tks_bytes_equal(event->sid, sid)) event->owner = owner;
    }
}

/* The item `i` of a list of texts, in the arena. */
static tks_bytes text_at(tks_op *op, const tks_reply *list, size_t i) {
    const tks_reply *item = tks_reply_get_item(list, i);
    if (item == NULL || tks_reply_get_type(item) != TKS_REPLY_STRING) return tks_bytes_of("", 0);
    return tksp_arena_dup(&op->arena, tks_reply_get_bytes(item));
}

static int64_t number_of(tks_bytes digits) {
    int64_t number = 0;
    for (size_t i = 0; i < digits.size && i < 15; i++) number = number * 10 + digits.data[i] - '0';
    return number;
}

static const char not_written[] = "the change was made, but not written to the audit stream";

static void take_events(tks_op *op, const tksp_command *command) {
    const tks_reply *reply = command->reply;
    int64_t at_ms = number_of(text_at(op, reply, 2));
    tks_bytes failed = text_at(op, reply, 1);
    /* The last words of the command. */
    const tks_bytes *app = command->argv + command->argc - 4;
    if (failed.size > 0) {
        char why[TKS_ERROR_SIZE], note[TKS_NOTE_MAX];
        tks_resp_describe_error(failed, why, sizeof why);
        (void)snprintf(note, sizeof note, "%s: %.200s", not_written, why);
        tks_notes_add(&op->notes, 'w', note);
    }
    for (size_t i = BEFORE_EVENTS; i < tks_reply_get_size(reply); i++) {
        const tks_reply *parts = tks_reply_get_item(reply, i);
        if (tks_reply_get_type(parts) != TKS_REPLY_ARRAY || tks_reply_get_size(parts) != PARTS) {
            continue;
        }
        const tks_audit_event event = {.kind = text_at(op, parts, 0),
                                       .name = text_at(op, parts, 1),
                                       .reason = text_at(op, parts, 2),
                                       .app = app[0],
                                       .type = app[1],
                                       .owner = text_at(op, parts, 3),
                                       .sid = text_at(op, parts, 4),
                                       .id = text_at(op, parts, 5),
                                       .count = text_at(op, parts, 6),
                                       .at_ms = at_ms,
                                       .stored = text_at(op, parts, 7).size > 0};
        tell(op, &event);
    }
}

/* A reply of another form is another request's, as whoever reads it will find. */
tks_status tksp_audit_take(tks_op *op) {
    for (size_t i = 0; i < op->count; i++) {
        tksp_command *command = &op->commands[i];
        bool is_wrapped = command->script != NULL && command->script->is_audited;
        if (!is_wrapped || command->told || command->reply == NULL) continue;
        command->told = true;
        if (tks_reply_get_type(command->reply) != TKS_REPLY_ARRAY ||
            tks_reply_get_size(command->reply) < BEFORE_EVENTS) {
            continue;
        }
        take_events(op, command);
        tks_reply_become_first(command->reply);
    }
    return op->arena.status;
}

void tksp_audit_miss(tks_op *op) {
    tks_bytes id =
        op->kind->audit->missed != NULL ? op->kind->audit->missed(op) : tks_bytes_of(NULL, 0);
    if (id.size > 0) tksp_audit_tell_missed(op, id);
}

void tksp_audit_tell_missed(tks_op *op, tks_bytes id) {
    tksp_audit_names names = no_names;
    op->kind->audit->name(op, &names);
    const tks_audit_event event = {.kind = TKS_LITERAL("used_after_end"),
                                   .name = TKS_LITERAL("session_use_after_expire"),
                                   .app = names.app,
                                   .type = names.type,
                                   .owner = names.owner,
                                   .sid = tks_bytes_of("", 0),
                                   .id = id,
                                   .count = TKS_LITERAL("1"),
                                   .at_ms = op->sent_ms};
    tell(op, &event);
}

size_t tks_op_get_events(const tks_op *op, const tks_audit_event **out) {
    *out = op->audit != NULL ? op->audit->events : NULL;
    return op->audit != NULL ? op->audit->count : 0;
}

/* ---- the stream ---- */

enum { ENTRY = 26 }; /* words of XADD */

static void put_entry(const tks_audit_event *event, tks_bytes stream, tks_bytes most,
                      tks_bytes actor, tks_bytes *out) {
    const tks_bytes words[ENTRY] = {
        TKS_LITERAL("XADD"),
        stream,
        TKS_LITERAL("MAXLEN"),
        TKS_LITERAL("~"),
        most,
        TKS_LITERAL("*"), /* as core/scripts/lib/audited.lua does */
        TKS_LITERAL("event"),
        event->name,
        TKS_LITERAL("kind"),
        event->kind,
        TKS_LITERAL("reason"),
        event->reason,
        TKS_LITERAL("app"),
        event->app,
        TKS_LITERAL("type"),
        event->type,
        TKS_LITERAL("owner"),
        event->owner,
        TKS_LITERAL("sid"),
        event->sid,
        TKS_LITERAL("id"),
        event->id,
        TKS_LITERAL("count"),
        event->count,
        TKS_LITERAL("actor"),
        actor,
    };
    memcpy(out, words, sizeof words);
}

tks_status tks_op_write_events(const tks_op *op, tks_op **out, tks_error *err) {
    const tksp_audit *audit = op->audit;
    size_t count = 0;
    char digits[TKS_INT_SIZE];
    *out = NULL;
    if (audit == NULL || !audit->is_apart || audit->stream_size == 0) return TKS_OK;
    for (size_t i = 0; i < audit->count; i++) count += audit->events[i].stored;
    if (count == 0) return TKS_OK;
    const tks_bytes most = tks_bytes_of(digits, tks_format_int(audit->stream_size, digits));
    tks_bytes *argv = calloc(count * ENTRY, sizeof *argv);
    size_t *argc = calloc(count, sizeof *argc);
    size_t at = 0;
    for (size_t i = 0; argv != NULL && argc != NULL && i < audit->count; i++) {
        if (!audit->events[i].stored) continue;
        put_entry(&audit->events[i], audit->stream, most, audit->actor, argv + at * ENTRY);
        argc[at++] = ENTRY;
    }
    tks_status status = argv == NULL || argc == NULL
                            ? tks_fail_memory(err)
                            : tks_raw_new(count, argc, argv, &audit->stream, NULL, out, err);
    free(argv);
    free(argc);
    return status;
}
