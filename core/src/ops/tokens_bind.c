/* tokens_bind.c - rotate(owner=) where the anonymous token and its owner's hash are on different servers of a cluster.
 *
 * No script can change both. So the new token is made before the old one ends:
 *
 *     READ   the old token's record                       at the old token
 *     ADOPT  make the new token from it                   at the owner
 *     END    delete the old token, if its record is the same
 *
 * Interrupted between the last two, the anonymous token lives until it expires, which harms nobody, and a token of the
 * owner, of which nobody knows the secret. If the record has changed meanwhile, or has been rotated, the new token is
 * deleted (UNDO), and all is done once more; if it is gone, the new token is deleted (FORGET), and nothing is found: a
 * logout counts. */
#include "tokens_private.h"

enum { TRIES_MAX = 8, WORDS = 13 };
enum { CHANGED = -3 }; /* of the script delete */

static tks_status add_read(tksp_tokens_op *op) {
    const tksp_place *old = &op->turn->old;
    op->turn->step = TKSP_READ;
    return tksp_add_about(op, &tksp_script_read, old, tksp_word_field(op, old),
                          tks_bytes_of(NULL, 0));
}

tks_status tksp_bind_begin(tksp_tokens_op *op) {
    tksp_place made = op->slots[0].place;
    tksp_op_clear_commands(&op->base);
    op->turn->made = made;
    op->slots[0].place = op->turn->old; /* whose answers come first */
    return add_read(op);
}

static tks_status add_adopt(tksp_tokens_op *op, int64_t ends_ms) {
    const char *when_full = tksp_when_full[op->config.when_full];
    tksp_arena *arena = &op->base.arena;
    size_t size = WORDS + 2 * tksp_count_changes(op), count = 0;
    tks_bytes *words = tksp_arena_alloc(arena, size * sizeof *words);
    if (words == NULL) return TKS_ERR_MEMORY;
    words[count++] = TKS_LITERAL("1");
    words[count++] = tksp_word_key(op, &op->turn->made);
    words[count++] = tksp_word_echo(op, &op->turn->made);
    words[count++] = tksp_word_field(op, &op->turn->old);
    words[count++] = tksp_word_field(op, &op->turn->made);
    words[count++] = op->turn->old_record;
    words[count++] = tksp_arena_int(arena, ends_ms);
    words[count++] = tksp_arena_int(arena, op->turn->wanted.duration_ms);
    words[count++] = tksp_word_max_age(op);
    words[count++] = tksp_word_owner(op);
    words[count++] = tksp_arena_int(arena, op->config.max_per_owner);
    words[count++] = tks_bytes_of(when_full, strlen(when_full));
    words[count++] = tksp_arena_int(arena, (int64_t)op->config.max_data_size);
    count += tksp_put_changes(op, words + count);
    op->turn->step = TKSP_ADOPT;
    return tksp_op_add(&op->base, &tksp_script_adopt, words, count, words[1]);
}

static tks_status add_end(tksp_tokens_op *op) {
    const tksp_place *old = &op->turn->old;
    op->turn->step = TKSP_END;
    return tksp_add_about(op, &tksp_script_delete, old, tksp_word_field(op, old),
                          op->turn->old_record);
}

static tks_status add_undo(tksp_tokens_op *op) {
    const tksp_place *made = &op->turn->made;
    return tksp_add_about(op, &tksp_script_delete, made, tksp_word_field(op, made),
                          tks_bytes_of(NULL, 0));
}

/* A command failed: the new token, if it was made, must not stay. */
bool tksp_bind_undo(tks_op *base) {
    tksp_tokens_op *op = (tksp_tokens_op *)base;
    if (op->turn->step < TKSP_END) return false;
    tksp_op_clear_commands(base);
    return add_undo(op) == TKS_OK;
}

/* The record of a reply and its end; false: there is none. */
static bool read_reply(const tks_reply *reply, tks_bytes *record, int64_t *ends_ms) {
    const tks_reply *item = tks_reply_get_item(reply, 1);
    if (item == NULL || tks_reply_get_type(item) != TKS_REPLY_STRING) return false;
    *record = tks_reply_get_bytes(item);
    *ends_ms = tksp_reply_integer_at(reply, 2, 0);
    return true;
}

static tks_status take_read(tksp_tokens_op *op, const tks_reply *reply) {
    tks_bytes record;
    int64_t ends_ms;
    if (!read_reply(reply, &record, &ends_ms)) {
        if (tksp_reply_integer_at(reply, 1, 0) != 0) return tksp_fail_not_a_record(op);
        tksp_op_clear_commands(&op->base);
        return tksp_finish_token(op); /* not found */
    }
    /* Its own end: the new token's max_age counts from now. */
    ends_ms = tksp_reply_integer_at(reply, 4, ends_ms);
    op->turn->old_record = tksp_arena_dup(&op->base.arena, record);
    op->slots[0].place = op->turn->made;
    tksp_op_clear_commands(&op->base);
    return add_adopt(op, ends_ms);
}

static tks_status take_adopt(tksp_tokens_op *op, const tks_reply *reply) {
    tksp_slot *slot = &op->slots[0];
    tks_bytes record;
    if (!read_reply(reply, &record, &op->turn->made_ends_ms)) {
        tks_status status = tksp_fail_rotation(op, tksp_reply_integer_at(reply, 1, 0));
        return status != TKS_OK ? status : tksp_fail_not_a_record(op);
    }
    tks_reply_free(slot->reply);
    slot->reply = tksp_op_take_reply(&op->base, 0);
    op->turn->made_record = record;
    slot->place = op->turn->old;
    tksp_op_clear_commands(&op->base);
    return add_end(op);
}

static tks_status take_end(tksp_tokens_op *op, const tks_reply *reply) {
    int64_t code = tksp_reply_integer_at(reply, 1, 0);
    tksp_op_clear_commands(&op->base);
    op->slots[0].place = op->turn->made;
    if (code == 1) {
        tks_status status = tksp_finish_token(op); /* what the result is */
        return status != TKS_OK
                   ? status
                   : tksp_read_token(op, 0, op->turn->made_record, op->turn->made_ends_ms);
    }
    bool again = code == CHANGED || code == TKSP_FORWARD || code == TKSP_TOMBSTONE;
    op->turn->step = again ? TKSP_UNDO : TKSP_FORGET;
    return add_undo(op);
}

static tks_status take_undo(tksp_tokens_op *op) {
    bool again = op->turn->step == TKSP_UNDO;
    if (again && ++op->turn->tries < TRIES_MAX) return tksp_bind_begin(op);
    tksp_op_clear_commands(&op->base);
    op->turn->step = TKSP_AT_ONCE; /* nothing to undo any more */
    op->base.refused = again;
    if (!again) return tksp_finish_token(op); /* not found */
    return tksp_op_fail(&op->base, TKS_ERR_CONFLICT,
                        "the token was changed each time that it was to be bound: try again");
}

tks_status tksp_bind_step(tksp_tokens_op *op) {
    tks_status status;
    const tks_reply *reply = tksp_checked_reply(op, 0, &op->slots[0].place, &status);
    if (reply == NULL) return status;
    if (op->turn->step == TKSP_READ) return take_read(op, reply);
    if (op->turn->step == TKSP_ADOPT) return take_adopt(op, reply);
    if (op->turn->step == TKSP_END) return take_end(op, reply);
    return take_undo(op);
}
