/* tokens_change.c - refresh, delete and take: one token, one script, one round trip. */
#include "tokens_private.h"

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
    tks_status status = tksp_tokens_op_new_for(tokens, kind, safety, app, type, 1, out, err);
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
    tks_status status =
        tksp_add_about(op, script, place, tksp_word_name(op, &op->slots[0]), tks_bytes_of(NULL, 0));
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

/* ---- take ---- */

tks_status tksp_finish_token(tksp_tokens_op *op) {
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
        const tks_reply *field = tks_reply_get_item(reply, 3);
        if (field != NULL && tks_reply_get_type(field) == TKS_REPLY_STRING &&
            tksp_is_id(tks_reply_get_bytes(field))) {
            memcpy(op->slots[0].place.field, tks_reply_get_bytes(field).data, TKS_FIELD_SIZE);
        }
        op->slots[0].reply = tksp_op_take_reply(base, 0);
        tksp_op_clear_commands(base);
        status =
            tksp_read_token(op, 0, tks_reply_get_bytes(record), tksp_reply_integer_at(reply, 2, 0));
        base->refused = status == TKS_ERR_DATA;
        return status;
    }
    return tksp_reply_integer_at(reply, 1, -2) == 0 ? TKS_OK : tksp_fail_not_a_record(op);
}

static tks_status begin_take(tksp_tokens_op *op) {
    return begin_end(op, &tksp_script_take);
}

static const tksp_tokens_kind take_kind = {.base = {TKSP_TOKENS_BASE},
                                           .begin = begin_take,
                                           .finish = tksp_finish_token};

/* Never sent twice: the first answer, if it is lost, had the only copy. */
tks_status tks_tokens_take(const tks_tokens *tokens, tks_bytes app, tks_bytes type, tks_bytes token,
                           tks_op **out, tks_error *err) {
    tksp_tokens_op *op;
    *out = NULL;
    tks_status status = check(app, type, 0, err);
    if (status == TKS_OK) {
        status = make_op(tokens, &take_kind, TKS_ONCE, app, type, token, &op, err);
    }
    return status != TKS_OK ? status : tksp_tokens_op_ready(op, status, out, err);
}
