/* tokens_change.c - refresh, update, delete, take and rotate: one token, one script, one round trip. */
#include "tokens_private.h"

enum { PAIRS_AT = 6 }; /* update: words before the members */

static tks_status check(tks_bytes app, tks_bytes type, int64_t duration_ms, tks_error *err) {
    tks_status status = tksp_check_name(app, "app", err);
    if (status == TKS_OK) status = tksp_check_name(type, "type", err);
    if (status == TKS_OK && duration_ms != 0) {
        status = tksp_check_duration(duration_ms, "duration", err);
    }
    return status;
}

/* An operation about one presented token. */
static tks_status make_op(const tks_tokens *tokens, const tksp_tokens_kind *kind, tks_safety safety,
                          tks_bytes app, tks_bytes type, tks_bytes token, tksp_tokens_op **out,
                          tks_error *err) {
    tks_status status = tksp_tokens_op_new(tokens, kind, safety, app, type, 1, out, err);
    if (status == TKS_OK) tksp_present(*out, 0, token);
    return status;
}

/* ---- refresh, delete ---- */

static tks_status finish_bool(tksp_tokens_op *op) {
    op->base.result.type = TKS_RESULT_BOOL;
    if (op->base.count == 0) return TKS_OK;
    tks_status status;
    const tks_reply *reply = tksp_checked_reply(op, 0, &op->slots[0].place, &status);
    if (reply == NULL) return status;
    int64_t value = tksp_reply_integer_at(reply, 1, -2);
    if (value < 0) return tksp_fail_not_a_record(op);
    op->base.result.integer = value > 0;
    return TKS_OK;
}

static tks_status begin_refresh(tksp_tokens_op *op) {
    const tksp_place *place = &op->slots[0].place;
    if (!tksp_is_askable(op, 0)) return TKS_OK;
    const tks_bytes words[] = {
        TKS_LITERAL("1"),
        tksp_word_key(op, place),
        tksp_word_echo(op, place),
        tksp_word_field(op, place),
        tksp_arena_int(&op->base.arena, op->duration_ms),
        tksp_word_max_age(op),
        TKS_LITERAL("0"),
    };
    tks_status status = tksp_tokens_add(op, &tksp_script_refresh, 7, words, words[1]);
    return status == TKS_OK ? tksp_extend_alias(op) : status;
}

static const tksp_tokens_kind refresh_kind = {.base = {TKSP_TOKENS_BASE},
                                              .begin = begin_refresh,
                                              .finish = finish_bool};

tks_status tks_tokens_refresh(const tks_tokens *tokens, tks_bytes app, tks_bytes type,
                              tks_bytes token, int64_t duration_ms, tks_op **out, tks_error *err) {
    tksp_tokens_op *op;
    *out = NULL;
    tks_status status = check(app, type, duration_ms == 0 ? -1 : duration_ms, err);
    if (status == TKS_OK) {
        status = make_op(tokens, &refresh_kind, TKS_IDEMPOTENT, app, type, token, &op, err);
    }
    if (status != TKS_OK) return status;
    op->duration_ms = duration_ms;
    return tksp_tokens_op_ready(op, status, out, err);
}

static tks_status begin_end(tksp_tokens_op *op, const tksp_script *script) {
    const tksp_place *place = &op->slots[0].place;
    if (!tksp_is_askable(op, 0)) return TKS_OK;
    const tks_bytes words[] = {
        TKS_LITERAL("1"),           tksp_word_key(op, place), tksp_word_echo(op, place),
        tksp_word_field(op, place), tksp_word_max_age(op),
    };
    tks_status status = tksp_tokens_add(op, script, 5, words, words[1]);
    return status == TKS_OK ? tksp_drop_alias(op, tksp_word_alias(op, place)) : status;
}

static tks_status begin_delete(tksp_tokens_op *op) {
    return begin_end(op, &tksp_script_delete);
}

const tksp_tokens_kind tksp_delete_kind = {.base = {TKSP_TOKENS_BASE},
                                           .begin = begin_delete,
                                           .finish = finish_bool};

tks_status tks_tokens_delete(const tks_tokens *tokens, tks_bytes app, tks_bytes type,
                             tks_bytes token, tks_op **out, tks_error *err) {
    tksp_tokens_op *op;
    *out = NULL;
    tks_status status = check(app, type, 0, err);
    if (status == TKS_OK) {
        status = make_op(tokens, &tksp_delete_kind, TKS_ONCE, app, type, token, &op, err);
    }
    return status != TKS_OK ? status : tksp_tokens_op_ready(op, status, out, err);
}

/* ---- update, take, rotate ---- */

/* {echo, record, …} into the result; {echo, 0} is not found. */
static tks_status finish_token(tksp_tokens_op *op) {
    tks_op *base = &op->base;
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

/* The patch's members as words: a name with its quotes, then the value's text or "" for null. */
static tks_status begin_update(tksp_tokens_op *op) {
    const tksp_place *place = &op->slots[0].place;
    tks_bytes name, value;
    size_t count = 0, at = 0;
    if (!tksp_is_askable(op, 0)) return TKS_OK;
    while (tks_json_next_member(op->patch, &at, &name, &value)) count++;
    tks_bytes *words = tksp_arena_alloc(&op->base.arena, (PAIRS_AT + 2 * count) * sizeof *words);
    if (words == NULL) return TKS_ERR_MEMORY;
    words[0] = TKS_LITERAL("1");
    words[1] = tksp_word_key(op, place);
    words[2] = tksp_word_echo(op, place);
    words[3] = tksp_word_field(op, place);
    words[4] = tksp_word_max_age(op);
    words[5] = tksp_arena_int(&op->base.arena, (int64_t)op->config.max_data_size);
    size_t filled = PAIRS_AT;
    for (at = 0; tks_json_next_member(op->patch, &at, &name, &value);) {
        words[filled++] = name;
        words[filled++] = tks_bytes_equal(value, TKS_LITERAL("null")) ? TKS_LITERAL("") : value;
    }
    return tksp_op_add(&op->base, &tksp_script_update, words, filled, words[1]);
}

static const tksp_tokens_kind update_kind = {.base = {TKSP_TOKENS_BASE},
                                             .begin = begin_update,
                                             .finish = finish_token};

tks_status tks_tokens_update(const tks_tokens *tokens, tks_bytes app, tks_bytes type,
                             tks_bytes token, tks_bytes patch, tks_op **out, tks_error *err) {
    tksp_tokens_op *op;
    *out = NULL;
    tks_status status = check(app, type, 0, err);
    if (status == TKS_OK) status = tks_json_check(patch, tokens->config.max_data_size, err);
    if (status == TKS_OK && patch.data[0] != '{') {
        status = tks_fail(err, TKS_ERR_DATA, "data is not an object: give names and values");
    }
    if (status == TKS_OK)
        status = make_op(tokens, &update_kind, TKS_ONCE, app, type, token, &op, err);
    if (status != TKS_OK) return status;
    op->patch = tksp_arena_dup(&op->base.arena, patch);
    return tksp_tokens_op_ready(op, status, out, err);
}

static tks_status begin_take(tksp_tokens_op *op) {
    return begin_end(op, &tksp_script_take);
}

static const tksp_tokens_kind take_kind = {.base = {TKSP_TOKENS_BASE},
                                           .begin = begin_take,
                                           .finish = finish_token};

/* Never sent twice: the first answer, if it is lost, had the only copy. */
tks_status tks_tokens_take(const tks_tokens *tokens, tks_bytes app, tks_bytes type, tks_bytes token,
                           tks_op **out, tks_error *err) {
    tksp_tokens_op *op;
    *out = NULL;
    tks_status status = check(app, type, 0, err);
    if (status == TKS_OK)
        status = make_op(tokens, &take_kind, TKS_ONCE, app, type, token, &op, err);
    return status != TKS_OK ? status : tksp_tokens_op_ready(op, status, out, err);
}

/* A new token of the same owner, whose locator the old one has, or its alias. */
static tks_status begin_rotate(tksp_tokens_op *op) {
    tksp_slot *slot = &op->slots[0];
    if (!tksp_is_askable(op, 0)) return TKS_OK;
    tks_bytes old = tksp_word_field(op, &slot->place), alias = tksp_word_alias(op, &slot->place);
    slot->token = tksp_generate_token(op, slot->place.locator);
    tksp_key_field(op->config.pepper, op->app, op->type, slot->token, slot->place.field);
    const tks_bytes words[] = {
        TKS_LITERAL("1"),
        tksp_word_key(op, &slot->place),
        tksp_word_echo(op, &slot->place),
        old,
        tksp_word_field(op, &slot->place),
        tksp_arena_int(&op->base.arena, op->duration_ms),
        tksp_word_max_age(op),
    };
    tks_status status = tksp_tokens_add(op, &tksp_script_rotate, 7, words, words[1]);
    return status == TKS_OK ? tksp_drop_alias(op, alias) : status;
}

static const tksp_tokens_kind rotate_kind = {.base = {TKSP_TOKENS_BASE},
                                             .begin = begin_rotate,
                                             .finish = finish_token};

tks_status tks_tokens_rotate(const tks_tokens *tokens, tks_bytes app, tks_bytes type,
                             tks_bytes token, int64_t duration_ms, tks_op **out, tks_error *err) {
    tksp_tokens_op *op;
    *out = NULL;
    tks_status status = check(app, type, duration_ms, err);
    if (status == TKS_OK) {
        status = make_op(tokens, &rotate_kind, TKS_IDEMPOTENT, app, type, token, &op, err);
    }
    if (status != TKS_OK) return status;
    op->duration_ms = duration_ms;
    tksp_keep_pepper(op);
    return tksp_tokens_op_ready(op, status, out, err);
}
