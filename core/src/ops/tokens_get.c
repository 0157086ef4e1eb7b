/* tokens_get.c - get and get_many: one plain HGET a token.
 *
 * What goes with it in the same round trip depends on the server. One that ends fields by itself is asked when a field
 * ends, where the caller wants to know. One that cannot is asked for its clock, which the stamp in the record is
 * compared with: no other clock counts. Of one that is not known yet both are asked, which tells which it is. To slide
 * an expiry, the script refresh follows when enough time has passed since the last touch. */
#include <stdio.h>

#include "server.h"
#include "tokens_private.h"

static const int64_t TOUCH_INTERVAL_MAX_MS = 60000;

/* Does the caller want to know, or to move, when the token ends? */
static bool wants_end(const tksp_tokens_op *op) {
    return op->expiry || op->duration_ms != 0;
}

/* Does the caller, or the near cache? */
static bool needs_end(const tksp_tokens_op *op) {
    return wants_end(op) || op->base.near != NULL;
}

static tks_status add_get(tksp_tokens_op *op, size_t i) {
    tksp_slot *slot = &op->slots[i];
    bool reveals = op->config.reuse == TKS_REUSE_REVOKE;
    tksp_reserve_near(op, i);
    const tks_bytes words[] = {
        reveals ? TKS_LITERAL("HMGET") : TKS_LITERAL("HGET"), tksp_word_key(op, &slot->place),
        tksp_word_field(op, &slot->place),
        reveals ? tksp_word_tombstone(op, &slot->place) : tks_bytes_of(NULL, 0)};
    slot->command = op->base.count;
    return tksp_tokens_add(op, NULL, reveals ? 4 : 3, words, words[1]);
}

/* Behind HGET, of the same key and field. A server that has no such command, or does not allow it, is one that cannot
 * end fields. */
static tks_status add_end(tksp_tokens_op *op, const tksp_command *get) {
    const tks_bytes words[] = {TKS_LITERAL("HPEXPIRETIME"), get->argv[1], TKS_LITERAL("FIELDS"),
                               TKS_LITERAL("1"), get->argv[2]};
    tks_status status = tksp_tokens_add(op, NULL, 5, words, words[1]);
    if (status != TKS_OK) return status;
    op->base.commands[op->base.count - 1].may_be_forbidden = true;
    op->base.commands[op->base.count - 1].any_type =
        true; /* HGET says what is wrong with the key */
    return TKS_OK;
}

static tks_status add_ends(tksp_tokens_op *op) {
    for (size_t i = 0; i < op->size; i++) {
        if (op->slots[i].command == SIZE_MAX) continue;
        tks_status status = add_end(op, &op->base.commands[op->slots[i].command]);
        /* Where nobody wants the ends, one question, for what the server can, is enough. */
        if (status != TKS_OK || !needs_end(op)) return status;
    }
    return TKS_OK;
}

/* Asks for the clock of the server that slot `i` is on, by the key that leads there, unless that was added already: on a
 * cluster each node has its own. */
static tks_status add_time(tksp_tokens_op *op, size_t i, tks_bytes route) {
    const tks_bytes time[] = {TKS_LITERAL("TIME")};
    size_t at = op->base.count;
    tks_status status = tksp_tokens_add(op, NULL, 1, time, route);
    if (status != TKS_OK) return status;
    for (size_t k = at; k-- > 0 && op->base.commands[k].argc == 1;) {
        if (tksp_op_get_node(&op->base, k) != tksp_op_get_node(&op->base, at)) continue;
        op->base.count = at;
        at = k;
        break;
    }
    op->slots[i].time = at;
    return TKS_OK;
}

static tks_status add_times(tksp_tokens_op *op) {
    tks_status status = TKS_OK;
    for (size_t i = 0; status == TKS_OK && i < op->size; i++) {
        if (op->slots[i].command == SIZE_MAX) continue;
        status = add_time(op, i, op->base.commands[op->slots[i].command].route);
        if (op->base.router != NULL) continue;
        for (size_t k = 0; k < op->size; k++) op->slots[k].time = op->slots[i].time;
        break;
    }
    return status;
}

static void take_time(tksp_tokens_op *op, size_t command, int64_t clock_ms) {
    for (size_t i = 0; i < op->size; i++) {
        if (op->slots[i].time == command) op->slots[i].clock_ms = clock_ms;
    }
}

static tks_status begin(tksp_tokens_op *op) {
    tksp_fact ends = tksp_server_ends_fields(op->base.server);
    tks_status status = tksp_take_near(op);
    size_t asked = 0;
    for (size_t i = 0; status == TKS_OK && i < op->size; i++) {
        op->slots[i].command = op->slots[i].time = SIZE_MAX;
        if (!tksp_is_askable(op, i) || op->slots[i].read) continue;
        status = add_get(op, i);
        asked++;
    }
    op->ends_asked = asked == 0 || ends == TKSP_UNKNOWN || (ends == TKSP_YES && needs_end(op));
    if (asked == 0 || status != TKS_OK) return status;
    if (op->ends_asked) status = add_ends(op);
    if (status == TKS_OK && (ends != TKSP_YES || op->duration_ms != 0 ||
                             op->config.max_age_ms > 0 || op->base.near != NULL)) {
        status = add_times(op);
    }
    return status;
}

static tks_status fail_answer(tksp_tokens_op *op, const char *command) {
    return tksp_op_fail(&op->base, TKS_ERR_CONNECTION,
                        "unexpected answer to %s: the connection was closed", command);
}

static bool is_command(const tksp_command *command, const char *name) {
    return strcmp(command->argv[0].data, name) == 0; /* a literal */
}

static tks_status read_end(tksp_tokens_op *op, const tksp_command *command, tksp_slot *slot) {
    const tks_reply *reply = command->reply;
    bool can = tks_reply_get_type(reply) != TKS_REPLY_ERROR;
    tksp_server_set_ends_fields(op->base.server, can ? TKSP_YES : TKSP_NO);
    if (!can) return TKS_OK;
    if (tks_reply_get_type(reply) == TKS_REPLY_NIL) return TKS_OK; /* no such key: Redis 7.4 */
    if (tks_reply_get_type(reply) != TKS_REPLY_ARRAY || tks_reply_get_size(reply) != 1) {
        return fail_answer(op, "HPEXPIRETIME");
    }
    int64_t ends_ms = tksp_reply_integer_at(reply, 0, 0);
    slot->gone = ends_ms == -2; /* since its HGET */
    slot->ends_ms = ends_ms > 0 ? ends_ms : 0;
    return TKS_OK;
}

/* What came with the records: when the fields end, in the order of their slots, and the server's clock. */
static tks_status read_facts(tksp_tokens_op *op) {
    tksp_slot *slot = op->slots;
    for (size_t i = 0; i < op->base.count; i++) {
        const tksp_command *command = &op->base.commands[i];
        tks_status status = TKS_OK;
        if (is_command(command, "HPEXPIRETIME")) {
            while (slot->command == SIZE_MAX) slot++;
            status = read_end(op, command, slot++);
        }
        if (is_command(command, "TIME")) {
            int64_t us = tksp_reply_time(command->reply);
            if (us < 0) return fail_answer(op, "TIME");
            take_time(op, i, us / 1000);
        }
        if (status != TKS_OK) return status;
    }
    return TKS_OK;
}

/* The texts in the reply to the slot's command: of its record, and of its tombstone; data NULL: there is none. */
static tks_status read_texts(tksp_tokens_op *op, const tksp_slot *slot, tks_bytes texts[2]) {
    const tks_reply *reply = op->base.commands[slot->command].reply;
    bool two = tks_reply_get_type(reply) == TKS_REPLY_ARRAY;
    if (two && tks_reply_get_size(reply) != 2) return fail_answer(op, "HMGET");
    for (size_t i = 0; i < 2; i++) {
        const tks_reply *item = two ? tks_reply_get_item(reply, i) : reply;
        texts[i] = tks_bytes_of(NULL, 0);
        if (i == 1 && !two) break;
        if (tks_reply_get_type(item) == TKS_REPLY_NIL) continue;
        if (tks_reply_get_type(item) != TKS_REPLY_STRING) return fail_answer(op, "HGET");
        texts[i] = tks_reply_get_bytes(item);
    }
    if (slot->gone) texts[0] = tks_bytes_of(NULL, 0);
    return TKS_OK;
}

/* What has become of a slot that has no record. */
enum { GONE, TAKEN, UNREAD };

/* Takes what a rotation left, if it has not ended. UNREAD: it may have, and the server's clock is not known. */
static tks_status take_left(tksp_tokens_op *op, size_t i, tks_bytes text, int *out) {
    tksp_rotated left;
    if (!tksp_rotated_read(text, &op->base.arena, &left)) return tksp_fail_not_a_record(op);
    if (!tks_bytes_equal(left.check, tks_bytes_of(op->slots[i].place.field, TKS_CHECK_SIZE))) {
        return tksp_op_fail_foreign(&op->base);
    }
    int64_t clock_ms = op->slots[i].clock_ms;
    *out = left.end_ms > 0 && clock_ms < 0 ? UNREAD : TAKEN;
    if (left.end_ms > 0 && *out == TAKEN && left.end_ms <= clock_ms) *out = GONE;
    if (*out == TAKEN) (void)tksp_take_rotated(op, i, text);
    return op->base.arena.status;
}

/* Slot `i` from the reply to its command, which the slot then owns. */
static tks_status read_slot(tksp_tokens_op *op, size_t i, bool *unread) {
    tksp_slot *slot = &op->slots[i];
    tks_bytes texts[2] = {{NULL, 0}, {NULL, 0}};
    int left = GONE;
    tks_status status = read_texts(op, slot, texts);
    if (status != TKS_OK) return status;
    slot->read = true;
    if (texts[0].data != NULL && !tksp_is_rotated(texts[0])) {
        slot->reply = tksp_op_take_reply(&op->base, slot->command);
        status = tksp_read_token(op, i, texts[0], slot->ends_ms);
        if (status == TKS_OK && slot->stamp_ms > 0) op->tokens[i].expires_ms = slot->stamp_ms;
        if (status == TKS_OK) tksp_put_near(op, i, texts[0]);
        return status;
    }
    for (int t = 0; status == TKS_OK && left == GONE && t < 2; t++) {
        if (texts[t].data != NULL) status = take_left(op, i, texts[t], &left);
    }
    *unread = *unread || left == UNREAD;
    return status;
}

/* Has a token that was read ended by the server's clock? And what ends it: its own end, or max_age. */
static void judge(tksp_tokens_op *op, size_t i) {
    tks_token *token = &op->tokens[i];
    int64_t max_age = op->config.max_age_ms;
    int64_t limit = max_age > 0 ? token->created_us / 1000 + max_age : 0;
    if (limit > 0 && (token->expires_ms == 0 || token->expires_ms > limit)) {
        token->expires_ms = limit;
    }
    bool checked = limit > 0 || op->slots[i].stamp_ms > 0;
    if (checked && token->expires_ms <= op->slots[i].clock_ms) token->found = false;
    if (!wants_end(op)) token->expires_ms = 0;
}

static bool needs_time(const tksp_tokens_op *op, size_t i) {
    return op->tokens[i].found && op->slots[i].stamp_ms > 0 && op->slots[i].clock_ms < 0;
}

/* Of a token's slots, the first with a record comes to the token's own place. */
static void pick(tksp_tokens_op *op) {
    if (op->picked) return;
    op->picked = true;
    for (size_t i = 0; op->width > 1 && i < op->size / op->width; i++) {
        size_t from = i * op->width, end = from + op->width;
        while (from < end && !op->tokens[from].found) from++;
        tksp_swap_slots(op, i, from < end ? from : i * op->width);
    }
}

/* The server was upgraded meanwhile: it ends a field that it could not end as far as was known, and has not been asked
 * when. Then all is asked once more. */
static bool was_upgraded(const tksp_tokens_op *op) {
    if (op->ends_asked || op->timing || !wants_end(op)) return false;
    for (size_t i = 0; i < op->size; i++) {
        const tksp_slot *slot = &op->slots[i];
        if (op->tokens[i].found && slot->stamp_ms == 0 && !slot->lasts) return true;
    }
    return false;
}

static tks_status ask_again(tksp_tokens_op *op) {
    tksp_server_set_ends_fields(op->base.server, TKSP_UNKNOWN);
    op->picked = false;
    tksp_op_clear_commands(&op->base);
    for (size_t i = 0; i < op->size; i++) tksp_forget_slot(op, i);
    return begin(op);
}

/* Reads what the slots asked for. *whole is false where more has to be: the tokens that some were rotated to; or the
 * server's clock, where that ends fields by itself, but here is something from before it could. */
static tks_status read_slots(tksp_tokens_op *op, bool *whole) {
    bool unread = false, leads = false;
    tks_status status = TKS_OK;
    for (size_t i = 0; status == TKS_OK && i < op->size; i++) {
        if (op->slots[i].command == SIZE_MAX) continue;
        status = read_slot(op, i, &unread);
        leads = leads || !op->slots[i].read;
    }
    if (status != TKS_OK) return status;
    *whole = false;
    if (unread) return ask_again(op);
    if (leads) {
        tksp_op_clear_commands(&op->base); /* the slots own the replies */
        status = begin(op);
        if (status != TKS_OK || op->base.count > 0) return status;
    }
    pick(op);
    tksp_op_clear_commands(&op->base);
    for (size_t i = 0; status == TKS_OK && i < op->size; i++) {
        op->slots[i].time = SIZE_MAX;
        if (!needs_time(op, i)) continue;
        status = add_time(op, i, tksp_word_key(op, &op->slots[i].place));
    }
    op->timing = op->base.count > 0;
    *whole = !op->timing;
    return status;
}

/* Reads all there is. *whole is false where more has to be asked for first, or a reused token ends its family. */
static tks_status read_all(tksp_tokens_op *op, bool *whole) {
    *whole = true;
    if (op->base.count == 0) { /* nothing can be found, or all was near */
        pick(op);
        return TKS_OK;
    }
    tks_status status = read_facts(op);
    if (status == TKS_OK && !op->timing) status = read_slots(op, whole);
    if (status != TKS_OK || !*whole || !tksp_has_reused(op)) return status;
    *whole = false;
    return tksp_revoke(op);
}

/* ---- get ---- */

/* How long after its creation no use lets the token live; 0: no limit. */
static int64_t age_limit(const tksp_tokens_op *op) {
    int64_t until = op->slots[0].until_ms, max_age = op->config.max_age_ms;
    return until == 0 || (max_age != 0 && max_age < until) ? max_age : until;
}

/* Is it time to move the end, which is `left` from now? How long it has been since it was last moved is how much of the
 * duration is used up. It is never moved nearer: one that is farther away, or that there is none, is somebody else's
 * wish. */
static bool wants_touch(const tksp_tokens_op *op) {
    const tks_token *token = &op->tokens[0];
    int64_t interval = op->config.touch_interval_ms;
    int64_t target = op->duration_ms;
    if (op->duration_ms == 0 || token->expires_ms == 0) return false;
    int64_t left = token->expires_ms - op->slots[0].clock_ms;
    if (interval < 0) {
        interval = op->duration_ms / 10;
        if (interval > TOUCH_INTERVAL_MAX_MS) interval = TOUCH_INTERVAL_MAX_MS;
    }
    if (interval > op->duration_ms / 2) {
        interval = op->duration_ms / 2; /* or a token in use would run out between two touches */
    }
    if (age_limit(op) > 0) {
        int64_t most = token->created_us / 1000 + age_limit(op) - op->slots[0].clock_ms;
        if (target > most) target = most;
        if (target <= left) return false; /* the limit is reached already */
    }
    return target - left >= interval;
}

static tks_status begin_touch(tksp_tokens_op *op) {
    const tksp_place *place = &op->slots[0].place;
    const tks_bytes words[] = {
        TKS_LITERAL("1"),
        tksp_word_key(op, place),
        tksp_word_echo(op, place),
        tksp_word_field(op, place),
        tksp_arena_int(&op->base.arena, op->duration_ms),
        tksp_arena_int(&op->base.arena, age_limit(op)),
        TKS_LITERAL("1"),
    };
    op->touching = true; /* and still TKS_READ: whether an expiry was slid is no doubt to report */
    tks_status status = tksp_tokens_add(op, &tksp_script_refresh, 7, words, words[1]);
    if (status == TKS_OK) status = tksp_lengthen_alias(op, tksp_word_alias(op, place));
    return status != TKS_OK ? status : op->base.arena.status;
}

static tks_status finish_touch(tksp_tokens_op *op) {
    tks_status status;
    const tks_reply *reply = tksp_checked_reply(op, 0, &op->slots[0].place, &status);
    if (reply == NULL) return status;
    int64_t expires_ms = tksp_reply_integer_at(reply, 1, -2);
    if (expires_ms < -1) return tksp_fail_not_a_record(op);
    op->tokens[0].found = expires_ms != 0; /* it may have died between the two round trips */
    op->tokens[0].expires_ms = expires_ms > 0 ? expires_ms : 0;
    int64_t seen_ms = tksp_reply_integer_at(reply, 2, 0);
    if (seen_ms > 0) op->tokens[0].seen_ms = seen_ms;
    return TKS_OK;
}

/* The token was read: where its expiry cannot be moved, it stays as it is. */
static bool spare_touch(tks_op *base, const char *why) {
    tksp_tokens_op *op = (tksp_tokens_op *)base;
    char line[TKS_ERROR_SIZE];
    if (!op->touching) return false;
    (void)snprintf(line, sizeof line,
                   "the token was found, but its expiry could not be extended: %s", why);
    tks_notes_add(&base->notes, 'w', line);
    return true;
}

static tks_status finish_get(tksp_tokens_op *op) {
    bool whole = true;
    op->base.result.type = TKS_RESULT_TOKEN;
    op->base.result.tokens = op->tokens;
    op->base.result.size = 1;
    if (op->touching) return finish_touch(op);
    tks_status status = read_all(op, &whole);
    if (status != TKS_OK || !whole) return status;
    if (was_upgraded(op)) return ask_again(op);
    tksp_op_clear_commands(&op->base);
    if (!op->tokens[0].found) return TKS_OK;
    judge(op, 0);
    tksp_offer_view(op);
    if (op->duration_ms == TKS_OWN_IDLE) op->duration_ms = op->tokens[0].idle_ms;
    return op->tokens[0].found && wants_touch(op) ? begin_touch(op) : TKS_OK;
}

static const tksp_tokens_kind get_kind = {.base = {TKSP_TOKENS_BASE, .spare = spare_touch},
                                          .begin = begin,
                                          .finish = finish_get,
                                          .reads = true};

static void expect_token(tksp_tokens_op *op) {
    const tksp_slot *slot = &op->slots[0];
    tks_token *token = &op->tokens[0];
    if (slot->token.size == 0 || op->width > 1) return;
    token->app = op->app;
    token->type = op->type;
    token->token = slot->token;
    token->id = tks_bytes_of(slot->place.field, TKS_FIELD_SIZE);
    op->base.expected = token;
}

tks_status tks_tokens_get(const tks_tokens *tokens, tks_bytes app, tks_bytes type, tks_bytes token,
                          int64_t refresh_ms, bool expiry, tks_op **out, tks_error *err) {
    tksp_tokens_op *op;
    *out = NULL;
    tks_status status = tksp_check_name(app, "app", err);
    if (status == TKS_OK) status = tksp_check_name(type, "type", err);
    if (status == TKS_OK && refresh_ms != 0 && refresh_ms != TKS_OWN_IDLE) {
        status = tksp_check_duration(refresh_ms, "refresh", err);
    }
    if (status == TKS_OK) {
        status = tksp_tokens_op_new_for(tokens, &get_kind, TKS_READ, app, type, 1, &op, err);
    }
    if (status != TKS_OK) return status;
    op->duration_ms = refresh_ms;
    op->expiry = expiry;
    tksp_present(op, 0, token);
    expect_token(op);
    return tksp_tokens_op_ready(op, status, out, err);
}

/* ---- get_many ---- */

static tks_status finish_get_many(tksp_tokens_op *op) {
    size_t count = op->size / op->width;
    bool whole = true;
    tks_status status = read_all(op, &whole);
    if (status != TKS_OK || !whole) return status;
    for (size_t i = 0; i < count; i++) {
        if (op->tokens[i].found) judge(op, i);
    }
    op->base.result.type = TKS_RESULT_TOKENS;
    op->base.result.tokens = op->tokens;
    op->base.result.size = count;
    tksp_op_clear_commands(&op->base); /* the slots own the replies */
    return TKS_OK;
}

static const tksp_tokens_kind get_many_kind = {.base = {TKSP_TOKENS_BASE},
                                               .begin = begin,
                                               .finish = finish_get_many,
                                               .reads = true,
                                               .spares_reused = true};

tks_status tks_tokens_get_many(const tks_tokens *tokens, tks_bytes app, tks_bytes type,
                               size_t count, const tks_bytes *presented, tks_op **out,
                               tks_error *err) {
    tksp_tokens_op *op;
    *out = NULL;
    tks_status status = tksp_check_name(app, "app", err);
    if (status == TKS_OK) status = tksp_check_name(type, "type", err);
    if (status == TKS_OK) {
        status =
            tksp_tokens_op_new_for(tokens, &get_many_kind, TKS_READ, app, type, count, &op, err);
    }
    if (status != TKS_OK) return status;
    for (size_t i = 0; i < count; i++) tksp_present(op, i, presented[i]);
    return tksp_tokens_op_ready(op, status, out, err);
}
