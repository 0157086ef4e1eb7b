/* tokens_get.c - get and get_many: one plain GET a token; PTTL and TIME in the same round trip where the expiry
 * is wanted, TIME where there is a max_age; and, to slide it, the refresh script when enough time has passed since
 * the last touch. */
#include <stdio.h>

#include "tokens_private.h"

static const int64_t TOUCH_INTERVAL_MAX_MS = 60000;
static const int64_t PTTL_MAX = INT64_MAX / 2; /* so that adding a time of day does not overflow */

static tks_status add_get(tksp_tokens_op *op, size_t i, tks_bytes token) {
    tksp_slot *slot = &op->slots[i];
    if (!tksp_is_possible_token(token)) {
        return TKS_OK; /* no such token can have been made: not found, without asking */
    }
    slot->token = tksp_arena_dup(&op->base.arena, token);
    tksp_key_place(op->config.pepper, op->app, op->type, token, &slot->place);
    tks_bytes key = tksp_word_record_key(op, &slot->place);
    const tks_bytes get[] = {TKS_LITERAL("GET"), key};
    const tks_bytes pttl[] = {TKS_LITERAL("PTTL"), key};
    slot->command = op->base.count;
    tks_status status = tksp_tokens_add(op, NULL, 2, get, key);
    if (status == TKS_OK && (op->expiry || op->duration_ms > 0)) {
        status = tksp_tokens_add(op, NULL, 2, pttl, key);
    }
    return status;
}

/* Where an age or an expiry counts, the server's clock comes with the answer: no other does. */
static tks_status add_time(tksp_tokens_op *op) {
    const tks_bytes time[] = {TKS_LITERAL("TIME")};
    if (op->base.count == 0 ||
        (!op->expiry && op->duration_ms == 0 && op->config.max_age_ms == 0)) {
        return TKS_OK;
    }
    return tksp_tokens_add(op, NULL, 1, time, op->base.commands[0].route);
}

static tks_status fail_answer(tksp_tokens_op *op, const char *command) {
    return tksp_op_fail(&op->base, TKS_ERR_CONNECTION,
                        "unexpected answer to %s: the connection was closed", command);
}

/* The server's clock; 0 where it was not asked for. */
static tks_status read_time(tksp_tokens_op *op, int64_t *now_ms) {
    const tksp_command *last = &op->base.commands[op->base.count - 1];
    *now_ms = 0;
    if (!tks_bytes_equal(last->argv[0], TKS_LITERAL("TIME"))) return TKS_OK;
    *now_ms = tksp_reply_time(last->reply);
    return *now_ms >= 0 ? TKS_OK : fail_answer(op, "TIME");
}

/* Slot `i` from the reply to its GET, which the slot then owns. `expires_ms` as of tks_token; one that max_age
 * has ended by `now_ms` is not found. */
static tks_status read_slot(tksp_tokens_op *op, size_t i, int64_t expires_ms, int64_t now_ms) {
    tksp_slot *slot = &op->slots[i];
    tks_token *token = &op->tokens[i];
    const tks_reply *reply = op->base.commands[slot->command].reply;
    if (tks_reply_get_type(reply) == TKS_REPLY_NIL) return TKS_OK;
    if (tks_reply_get_type(reply) != TKS_REPLY_STRING) {
        return tksp_op_fail(
            &op->base, TKS_ERR_CONNECTION,
            "the server's answer to GET is not a string: the connection was closed");
    }
    slot->reply = tksp_op_take_reply(&op->base, slot->command);
    tks_status status = tksp_read_token(op, i, tks_reply_get_bytes(slot->reply), expires_ms);
    if (status != TKS_OK || op->config.max_age_ms == 0) return status;
    int64_t limit = token->created_us / 1000 + op->config.max_age_ms;
    token->found = now_ms < limit;
    if ((op->expiry || op->duration_ms > 0) && (expires_ms == 0 || expires_ms > limit)) {
        token->expires_ms = limit;
    }
    return TKS_OK;
}

/* ---- get ---- */

/* Is it time to move the expiry, which is `pttl` from now? How long it has been since it was last moved is how
 * much of the duration is used up. It is never moved nearer: one that is farther away, or that there is none,
 * is somebody else's wish. */
static bool wants_touch(const tksp_tokens_op *op, int64_t pttl, int64_t now_ms) {
    int64_t interval = op->config.touch_interval_ms;
    int64_t target = op->duration_ms;
    if (pttl < 0) return false;
    if (interval < 0) {
        interval = op->duration_ms / 10;
        if (interval > TOUCH_INTERVAL_MAX_MS) interval = TOUCH_INTERVAL_MAX_MS;
    }
    if (interval > op->duration_ms / 2) {
        interval = op->duration_ms / 2; /* or a token in use would run out between two touches */
    }
    if (op->config.max_age_ms > 0) {
        int64_t left = op->tokens[0].created_us / 1000 + op->config.max_age_ms - now_ms;
        if (target > left) target = left;
        /* The limit is reached already: nothing to move, but for what is rounded. */
        if (target <= pttl + 1000 && target < op->duration_ms) return false;
    }
    return target - pttl >= interval;
}

static tks_status begin_touch(tksp_tokens_op *op) {
    const tksp_slot *slot = &op->slots[0];
    const tks_bytes words[] = {
        TKS_LITERAL("1"),
        tksp_word_record_key(op, &slot->place),
        tksp_word_check(op, &slot->place),
        tksp_word_names(op),
        tksp_arena_int(&op->base.arena, op->duration_ms),
        tksp_word_max_age(op),
        TKS_LITERAL("1"),
    };
    op->touching = true; /* and still TKS_READ: whether an expiry was slid is no doubt to report */
    tks_status status = tksp_tokens_add(op, &tksp_script_refresh, 7, words, words[1]);
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

static tks_status finish_get(tks_op *base, int64_t now_ms) {
    tksp_tokens_op *op = (tksp_tokens_op *)base;
    (void)now_ms;
    base->result.type = TKS_RESULT_TOKEN;
    base->result.tokens = op->tokens;
    base->result.size = 1;
    if (op->touching) return finish_touch(op);
    if (op->slots[0].command == SIZE_MAX) return TKS_OK;

    int64_t pttl = -1, server_ms;
    tks_status status = read_time(op, &server_ms);
    if (status != TKS_OK) return status;
    if (op->expiry || op->duration_ms > 0) {
        const tks_reply *reply = base->commands[1].reply;
        if (tks_reply_get_type(reply) != TKS_REPLY_INTEGER) {
            return tksp_op_fail(
                base, TKS_ERR_CONNECTION,
                "the server's answer to PTTL is not an integer: the connection was closed");
        }
        pttl = tks_reply_get_integer(reply);
        if (pttl > PTTL_MAX) pttl = PTTL_MAX;
    }
    if (pttl == -2) return TKS_OK; /* expired between GET and PTTL */
    status = read_slot(op, 0, pttl >= 0 ? server_ms + pttl : 0, server_ms);
    tksp_op_clear_commands(base); /* the slot owns the reply */
    if (status == TKS_OK && op->tokens[0].found && op->duration_ms > 0 &&
        wants_touch(op, pttl, server_ms)) {
        status = begin_touch(op);
    }
    return status;
}

static void expect_token(tksp_tokens_op *op) {
    tks_token *token = &op->tokens[0];
    token->app = op->app;
    token->type = op->type;
    token->token = op->slots[0].token;
    tksp_set_id(op, 0, op->slots[0].place.tag);
    op->base.expected = token;
}

static const tksp_op_kind get_kind = {.finish = finish_get,
                                      .spare = spare_touch,
                                      .clear = tksp_tokens_op_clear};

tks_status tks_tokens_get(const tks_tokens *tokens, tks_bytes app, tks_bytes type, tks_bytes token,
                          int64_t refresh_ms, bool expiry, tks_op **out, tks_error *err) {
    tksp_tokens_op *op;
    *out = NULL;
    tks_status status = tksp_check_name(app, "app", err);
    if (status == TKS_OK) status = tksp_check_name(type, "type", err);
    if (status == TKS_OK && refresh_ms != 0) {
        status = tksp_check_duration(refresh_ms, "refresh", err);
    }
    if (status == TKS_OK) {
        status = tksp_tokens_op_new(tokens, &get_kind, TKS_READ, app, type, 1, &op, err);
    }
    if (status != TKS_OK) return status;
    op->duration_ms = refresh_ms;
    op->expiry = expiry;
    status = add_get(op, 0, token);
    if (status == TKS_OK) status = add_time(op);
    if (op->slots[0].command != SIZE_MAX) expect_token(op);
    return tksp_tokens_op_ready(op, status, out, err);
}

/* ---- get_many ---- */

static tks_status finish_get_many(tks_op *base, int64_t now_ms) {
    tksp_tokens_op *op = (tksp_tokens_op *)base;
    int64_t server_ms = 0;
    (void)now_ms;
    tks_status status = base->count > 0 ? read_time(op, &server_ms) : TKS_OK;
    for (size_t i = 0; status == TKS_OK && i < op->size; i++) {
        if (op->slots[i].command != SIZE_MAX) status = read_slot(op, i, 0, server_ms);
    }
    if (status != TKS_OK) return status;
    base->result.type = TKS_RESULT_TOKENS;
    base->result.tokens = op->tokens;
    base->result.size = op->size;
    tksp_op_clear_commands(base); /* the slots own the replies */
    return TKS_OK;
}

static const tksp_op_kind get_many_kind = {.finish = finish_get_many,
                                           .clear = tksp_tokens_op_clear};

tks_status tks_tokens_get_many(const tks_tokens *tokens, tks_bytes app, tks_bytes type,
                               size_t count, const tks_bytes *presented, tks_op **out,
                               tks_error *err) {
    tksp_tokens_op *op;
    *out = NULL;
    tks_status status = tksp_check_name(app, "app", err);
    if (status == TKS_OK) status = tksp_check_name(type, "type", err);
    if (status == TKS_OK) {
        status = tksp_tokens_op_new(tokens, &get_many_kind, TKS_READ, app, type, count, &op, err);
    }
    if (status != TKS_OK) return status;
    for (size_t i = 0; status == TKS_OK && i < count; i++) status = add_get(op, i, presented[i]);
    if (status == TKS_OK) status = add_time(op);
    return tksp_tokens_op_ready(op, status, out, err);
}
