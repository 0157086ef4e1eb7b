/* tokens_rotated.c - tokens that were rotated: within the grace they lead on to the new token, later they are reused.
 *
 * The forward of a token is where its record was. Whatever an operation was to do there, it does at the new token,
 * in one more round trip. When a token is presented whose forward has ended, somebody has a copy of it; its family, all that
 * became of it, is ended. */
#include "tokens_private.h"

static const unsigned HOPS_MAX = 1000; /* of forwards; each is younger than the one before */

tks_bytes tksp_word_tombstone(tksp_tokens_op *op, const tksp_place *place) {
    tksp_place beside = *place;
    beside.field[TKS_FIELD_SIZE - 1] = TKSP_TOMBSTONE_MARK;
    return tksp_word_field(op, &beside);
}

/* ---- forwards ---- */

/* The secret of the new token, for one who has that of the old one. */
static tks_bytes derive(tksp_tokens_op *op, const tksp_slot *slot, const tksp_rotated *forward) {
    tks_buf text;
    tks_buf_init(&text, TKS_TOKEN_EXTRA_MAX + 2 * TKS_TOKEN_SIZE_MAX + 1);
    if (tksp_successor_write(&text, op->turn->secret, forward->salt, forward->encoding,
                             slot->place.locator, forward->token_size) != TKS_OK) {
        op->base.arena.status = TKS_ERR_MEMORY;
    }
    tks_bytes token = tksp_arena_dup(&op->base.arena, tks_buf_bytes(&text));
    tks_buf_wipe(&text);
    return token;
}

static void follow(tksp_tokens_op *op, tksp_slot *slot, const tksp_rotated *forward) {
    memcpy(slot->place.field, forward->field.data, TKS_FIELD_SIZE);
    if (op->turn != NULL) op->turn->secret = derive(op, slot, forward);
    slot->located = ++slot->hops <= HOPS_MAX;
    slot->aliased = false;
    slot->superseded = true;
    slot->read = false;
}

bool tksp_take_rotated(tksp_tokens_op *op, size_t i, tks_bytes text) {
    tksp_slot *slot = &op->slots[i];
    tksp_rotated rotated;
    if (!tksp_rotated_read(text, &op->base.arena, &rotated)) return false;
    if (op->turn != NULL) slot->place = op->turn->old; /* which was asked for */
    if (rotated.leads) {
        follow(op, slot, &rotated);
        return true;
    }
    /* The presented token is in its grace, but what it leads to was rotated without one, or is past it: nobody reused it. */
    if (slot->superseded) return true;
    slot->reused = op->config.reuse == TKS_REUSE_REVOKE && slot->token.size > 0;
    if (!slot->reused) return true;
    slot->family = tksp_arena_dup(&op->base.arena, rotated.family);
    op->tokens[i].sid = slot->family;
    op->tokens[i].owner = tksp_arena_dup(&op->base.arena, rotated.owner);
    return true;
}

tks_status tksp_take_absent(tksp_tokens_op *op, bool *again) {
    const tksp_tokens_kind *kind = (const tksp_tokens_kind *)op->base.kind;
    tksp_slot *slot = op->slots;
    *again = false;
    if (op->base.count == 0 || op->base.commands[0].script == NULL) return TKS_OK;
    /* First, the token that was made goes. */
    if (op->turn != NULL && op->turn->step >= TKSP_END) return TKS_OK;
    const tks_reply *reply = op->base.commands[0].reply;
    if (tks_reply_get_type(reply) != TKS_REPLY_ARRAY) return TKS_OK;
    if (tks_reply_get_size(reply) != 3) return TKS_OK;
    int64_t code = tksp_reply_integer_at(reply, 1, 0);
    if (code != TKSP_FORWARD && code != TKSP_TOMBSTONE) return TKS_OK;
    tks_status status;
    if (tksp_checked_reply(op, 0, &slot->place, &status) == NULL) return status;
    const tks_reply *text = tks_reply_get_item(reply, 2);
    if (tks_reply_get_type(text) != TKS_REPLY_STRING ||
        !tksp_take_rotated(op, 0, tks_reply_get_bytes(text))) {
        return tksp_fail_not_a_record(op);
    }
    tksp_op_clear_commands(&op->base);
    tksp_forget_slot(op, 0); /* get had read it before it was rotated */
    op->touching = false;
    if (slot->reused) {
        status = tksp_revoke(op);
    } else if (code == TKSP_FORWARD) {
        status = kind->begin(op);
    }
    *again = op->base.count > 0;
    return status != TKS_OK ? status : op->base.arena.status;
}

/* ---- reused tokens ---- */

bool tksp_has_reused(const tksp_tokens_op *op) {
    for (size_t i = 0; i < op->size; i++) {
        if (op->slots[i].reused) return true;
    }
    return false;
}

tks_status tksp_revoke(tksp_tokens_op *op) {
    tks_status status = TKS_OK;
    op->phase = TKSP_REVOKING;
    op->base.safety = TKS_IDEMPOTENT;
    tksp_op_clear_commands(&op->base);
    for (size_t i = 0; status == TKS_OK && i < op->size; i++) {
        tksp_slot *slot = &op->slots[i];
        slot->command = SIZE_MAX;
        if (!slot->reused) continue;
        const tks_bytes words[] = {TKS_LITERAL("1"), tksp_word_key(op, &slot->place),
                                   tksp_word_echo(op, &slot->place), slot->family};
        slot->command = op->base.count;
        status = tksp_tokens_add(op, &tksp_script_end_family, 4, words, words[1]);
    }
    return status != TKS_OK ? status : op->base.arena.status;
}

static tks_status fail_reused(tksp_tokens_op *op) {
    size_t i = 0;
    while (!op->slots[i].reused) i++;
    op->base.reused = &op->tokens[i];
    return tksp_op_fail(
        &op->base, TKS_ERR_REUSED_TOKEN,
        "the token was rotated before, so somebody has a copy of it: all tokens that "
        "followed from it are ended; the client must log in again");
}

tks_status tksp_take_revoked(tksp_tokens_op *op) {
    static const char note[] =
        "a token was presented that had been rotated before: all tokens that "
        "followed from it were ended";
    const tksp_tokens_kind *kind = (const tksp_tokens_kind *)op->base.kind;
    for (size_t i = 0; i < op->size; i++) {
        tks_status status;
        const tksp_slot *slot = &op->slots[i];
        if (slot->command == SIZE_MAX) continue;
        if (tksp_checked_reply(op, slot->command, &slot->place, &status) == NULL) return status;
        if (op->base.audit != NULL) {
            tksp_audit_set_owner(&op->base, slot->family, op->tokens[i].owner);
        }
    }
    tksp_op_clear_commands(&op->base);
    if (!kind->spares_reused) return fail_reused(op);
    tks_notes_add(&op->base.notes, 'w', note);
    return kind->finish(op);
}
