/* tokens_near.c - get and get_many: records from the near cache, and into it. */
#include "tokens_private.h"
#include "tokenstore/secret.h"

/* A token has one record: its other slots, by other peppers, need not be asked for. */
static void end_search(tksp_tokens_op *op, size_t i) {
    size_t first = i - i % op->width;
    for (size_t k = 0; k < op->width; k++) op->slots[first + k].read = true;
}

static tks_status take_slot(tksp_tokens_op *op, size_t i) {
    tksp_slot *slot = &op->slots[i];
    tksp_near_record record;
    tks_bytes key = tksp_word_key(op, &slot->place);
    slot->near = tksp_near_find(op->base.near, tksp_op_serves(&op->base, key), key,
                                tksp_word_field(op, &slot->place), op->base.boot_ms, &record);
    if (slot->near == NULL) return TKS_OK;
    slot->clock_ms = record.clock_ms;
    slot->ends_ms = record.ends_ms;
    end_search(op, i);
    tks_status status = tksp_read_token(op, i, record.text, record.ends_ms);
    if (status == TKS_OK && slot->stamp_ms > 0) op->tokens[i].expires_ms = slot->stamp_ms;
    return status;
}

tks_status tksp_take_near(tksp_tokens_op *op) {
    tks_status status = TKS_OK;
    if (op->base.near == NULL) return TKS_OK;
    tksp_near_want(op->base.near, op->config.prefix);
    tksp_near_tell(op->base.near, &op->base.notes);
    for (size_t i = 0; status == TKS_OK && !op->base.fresh && i < op->size; i++) {
        if (tksp_is_askable(op, i) && !op->slots[i].read) status = take_slot(op, i);
    }
    return status;
}

/* Where a custom token's record is, and what a rotated one was rotated to, may change without a message of that record's key. */
void tksp_offer_view(tksp_tokens_op *op) {
    const tksp_slot *slot = &op->slots[0];
    const tks_token *token = &op->tokens[0];
    if (slot->near == NULL || slot->aliased || slot->hops > 0 || !token->found) return;
    op->base.viewable = slot->near;
    int64_t max_age_ms = op->config.max_age_ms;
    op->base.viewable_until_ms = max_age_ms > 0 ? token->created_us / 1000 + max_age_ms : 0;
}

void tksp_reserve_near(tksp_tokens_op *op, size_t i) {
    if (op->base.near == NULL) return;
    tks_bytes key = tksp_word_key(op, &op->slots[i].place);
    op->slots[i].ticket = tksp_near_reserve(op->base.near, key, op->base.boot_ms);
}

/* One that the server ends, though not as far as it was asked, is from before an upgrade: its end is not known. */
void tksp_put_near(tksp_tokens_op *op, size_t i, tks_bytes text) {
    const tksp_slot *slot = &op->slots[i];
    const tksp_command *command = &op->base.commands[slot->command];
    bool ends = slot->stamp_ms > 0 || slot->lasts || op->ends_asked;
    if (op->base.near == NULL || !ends || slot->clock_ms < 0) return;
    const tksp_near_record record = {text, slot->stamp_ms > 0 ? slot->stamp_ms : slot->ends_ms,
                                     slot->clock_ms};
    tksp_near_put(op->base.near, slot->ticket, command->from, command->argv[1], command->argv[2],
                  &record);
}

/* ---- questions ---- */

enum { ASKED_MAX = 512 };

static char *append_text(char *at, tks_bytes text) {
    *at++ = (char)(text.size & 255);
    *at++ = (char)(text.size >> 8);
    if (text.size > 0) memcpy(at, text.data, text.size);
    return at + text.size;
}

bool tks_tokens_ask(const tks_tokens *tokens, tks_bytes app, tks_bytes type, tks_bytes token,
                    tks_near_question *out) {
    char text[ASKED_MAX];
    if (app.size > ASKED_MAX || type.size > ASKED_MAX || token.size > ASKED_MAX ||
        app.size + type.size + token.size + 6 > ASKED_MAX) {
        return false;
    }
    const char *end = append_text(append_text(append_text(text, app), type), token);
    tks_bytes asked = tks_bytes_of(text, (size_t)(end - text));
    tks_fingerprint(tokens->question_key, asked, out->words);
    tks_wipe(text, asked.size);
    return true;
}
