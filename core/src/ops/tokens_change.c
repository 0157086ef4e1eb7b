/* tokens_change.c - refresh, update, delete and rotate: one token, one script, one round trip. */
#include "tokens_private.h"

enum { PAIRS_AT = 5 }; /* update: words before the fields */

static tks_status check(tks_bytes app, tks_bytes type, int64_t duration_ms, tks_error *err) {
    tks_status status = tksp_check_name(app, "app", err);
    if (status == TKS_OK) status = tksp_check_name(type, "type", err);
    if (status == TKS_OK && duration_ms != 0) {
        status = tksp_check_duration(duration_ms, "duration", err);
    }
    return status;
}

/* An operation about one presented token; its slot is filled where such a token could exist. */
static tks_status begin(const tks_tokens *tokens, const tksp_op_kind *kind, tks_safety safety,
                        tks_bytes app, tks_bytes type, tks_bytes token, tksp_tokens_op **out,
                        tks_error *err) {
    tks_status status = tksp_tokens_op_new(tokens, kind, safety, app, type, 1, out, err);
    if (status != TKS_OK || !tksp_is_possible_token(token)) return status;
    tksp_tokens_op *op = *out;
    op->slots[0].token = tksp_arena_dup(&op->base.arena, token);
    tksp_key_place(op->config.pepper, app, type, token, &op->slots[0].place);
    return TKS_OK;
}

static bool is_askable(const tksp_tokens_op *op) {
    return op->slots[0].token.size > 0;
}

/* ---- refresh, delete ---- */

static tks_status finish_bool(tks_op *base, int64_t now_ms) {
    tksp_tokens_op *op = (tksp_tokens_op *)base;
    (void)now_ms;
    base->result.type = TKS_RESULT_BOOL;
    if (base->count == 0) return TKS_OK;
    tks_status status;
    const tks_reply *reply = tksp_checked_reply(op, 0, &op->slots[0].place, &status);
    if (reply == NULL) return status;
    int64_t value = tksp_reply_integer_at(reply, 1, -2);
    if (value < 0) return tksp_fail_not_a_record(op);
    base->result.integer = value > 0;
    return TKS_OK;
}

static const tksp_op_kind bool_kind = {.finish = finish_bool, .clear = tksp_tokens_op_clear};

tks_status tks_tokens_refresh(const tks_tokens *tokens, tks_bytes app, tks_bytes type,
                              tks_bytes token, int64_t duration_ms, tks_op **out, tks_error *err) {
    tksp_tokens_op *op;
    *out = NULL;
    tks_status status = check(app, type, duration_ms == 0 ? -1 : duration_ms, err);
    if (status == TKS_OK) {
        status = begin(tokens, &bool_kind, TKS_IDEMPOTENT, app, type, token, &op, err);
    }
    if (status != TKS_OK) return status;
    if (is_askable(op)) {
        const tksp_place *place = &op->slots[0].place;
        const tks_bytes words[] = {
            TKS_LITERAL("1"),
            tksp_word_record_key(op, place),
            tksp_word_check(op, place),
            tksp_word_names(op),
            tksp_arena_int(&op->base.arena, duration_ms),
            tksp_word_max_age(op),
            TKS_LITERAL("0"),
        };
        status = tksp_tokens_add(op, &tksp_script_refresh, 7, words, words[1]);
    }
    return tksp_tokens_op_ready(op, status, out, err);
}

tks_status tks_tokens_delete(const tks_tokens *tokens, tks_bytes app, tks_bytes type,
                             tks_bytes token, tks_op **out, tks_error *err) {
    tksp_tokens_op *op;
    *out = NULL;
    tks_status status = check(app, type, 0, err);
    if (status == TKS_OK) status = begin(tokens, &bool_kind, TKS_ONCE, app, type, token, &op, err);
    if (status != TKS_OK) return status;
    if (is_askable(op)) {
        const tksp_place *place = &op->slots[0].place;
        const tks_bytes words[] = {
            TKS_LITERAL("1"),    tksp_word_record_key(op, place), tksp_word_check(op, place),
            tksp_word_names(op), tksp_word_max_age(op),
        };
        status = tksp_tokens_add(op, &tksp_script_delete, 5, words, words[1]);
    }
    return tksp_tokens_op_ready(op, status, out, err);
}

/* ---- update, rotate ---- */

/* {echo, record, …} into the result; {echo, 0} is not found. */
static tks_status finish_token(tks_op *base, int64_t now_ms) {
    tksp_tokens_op *op = (tksp_tokens_op *)base;
    (void)now_ms;
    base->result.type = TKS_RESULT_TOKEN;
    base->result.tokens = op->tokens;
    base->result.size = 1;
    if (base->count == 0) return TKS_OK;
    tks_status status;
    const tks_reply *reply = tksp_checked_reply(op, 0, &op->slots[0].place, &status);
    if (reply == NULL) return status;
    const tks_reply *record = tks_reply_get_item(reply, 1);
    if (record != NULL && tks_reply_get_type(record) == TKS_REPLY_STRING) {
        op->slots[0].reply = tksp_op_take_reply(base, 0);
        tksp_op_clear_commands(base);
        status =
            tksp_read_token(op, 0, tks_reply_get_bytes(record), tksp_reply_integer_at(reply, 2, 0));
        base->refused = status == TKS_ERR_DATA;
        return status;
    }
    switch (tksp_reply_integer_at(reply, 1, -2)) {
    case 0: return TKS_OK;
    case -1:
        base->refused = true;
        return tksp_op_fail(base, TKS_ERR_DATA,
                            "the data would be larger than max_data_size (%zu bytes): nothing was "
                            "changed",
                            op->config.max_data_size);
    default: return tksp_fail_not_a_record(op);
    }
}

static const tksp_op_kind token_kind = {.finish = finish_token, .clear = tksp_tokens_op_clear};

/* The patch's members as words: a name with its quotes, then the value's text or "" for null. */
static tks_status add_update(tksp_tokens_op *op, tks_bytes patch) {
    const tksp_place *place = &op->slots[0].place;
    tks_bytes name, value;
    size_t count = 0, at = 0;
    while (tks_json_next_member(patch, &at, &name, &value)) count++;
    tks_bytes *words = tksp_arena_alloc(&op->base.arena, (PAIRS_AT + 2 * count) * sizeof *words);
    if (words == NULL) return TKS_ERR_MEMORY;
    words[0] = TKS_LITERAL("1");
    words[1] = tksp_word_record_key(op, place);
    words[2] = tksp_word_check(op, place);
    words[3] = tksp_word_max_age(op);
    words[4] = tksp_arena_int(&op->base.arena, (int64_t)op->config.max_data_size);
    patch = tksp_arena_dup(&op->base.arena, patch);
    size_t filled = PAIRS_AT;
    for (at = 0; tks_json_next_member(patch, &at, &name, &value);) {
        words[filled++] = name;
        words[filled++] = tks_bytes_equal(value, TKS_LITERAL("null")) ? TKS_LITERAL("") : value;
    }
    return tksp_op_add(&op->base, &tksp_script_update, words, filled, words[1]);
}

tks_status tks_tokens_update(const tks_tokens *tokens, tks_bytes app, tks_bytes type,
                             tks_bytes token, tks_bytes patch, tks_op **out, tks_error *err) {
    tksp_tokens_op *op;
    *out = NULL;
    tks_status status = check(app, type, 0, err);
    if (status == TKS_OK) status = tks_json_check(patch, tokens->config.max_data_size, err);
    if (status == TKS_OK && patch.data[0] != '{') {
        status = tks_fail(err, TKS_ERR_DATA, "data is not an object: give names and values");
    }
    if (status == TKS_OK) status = begin(tokens, &token_kind, TKS_ONCE, app, type, token, &op, err);
    if (status != TKS_OK) return status;
    if (is_askable(op)) status = add_update(op, patch);
    return tksp_tokens_op_ready(op, status, out, err);
}

/* A new token with the tag of the old one: the owner's, unless that was a custom token. The owner
 * itself is known to the server only, and one round trip is to do. */
tks_status tks_tokens_rotate(const tks_tokens *tokens, tks_bytes app, tks_bytes type,
                             tks_bytes token, int64_t duration_ms, tks_op **out, tks_error *err) {
    tksp_tokens_op *op;
    *out = NULL;
    tks_status status = check(app, type, duration_ms, err);
    if (status == TKS_OK) {
        status = begin(tokens, &token_kind, TKS_IDEMPOTENT, app, type, token, &op, err);
    }
    if (status != TKS_OK) return status;
    if (is_askable(op)) {
        tksp_slot *slot = &op->slots[0];
        tks_bytes old_key = tksp_word_record_key(op, &slot->place);
        slot->token = tksp_generate_token(op, slot->place.tag);
        tksp_key_place(op->config.pepper, app, type, slot->token, &slot->place);
        const tks_bytes words[] = {
            TKS_LITERAL("2"),
            old_key,
            tksp_word_record_key(op, &slot->place),
            tksp_word_check(op, &slot->place),
            tksp_word_names(op),
            tksp_arena_int(&op->base.arena, duration_ms),
            tksp_word_max_age(op),
        };
        status = tksp_tokens_add(op, &tksp_script_rotate, 7, words, old_key);
    }
    return tksp_tokens_op_ready(op, status, out, err);
}
