/* tokens_rotate.c - rotate: a new secret for a token, one script, one round trip.
 *
 * With a grace, the new secret follows from the old one and a salt that the server keeps meanwhile, so that whoever has the
 * old token arrives at the same new one: requests sent at the same time, or again because an answer was lost. Of these the
 * first rotates; the others find its forward, and what it leads to. docs/explanation/rotation.md goes through the cases. */
#include "tokens_private.h"

enum {
    WORDS = 3 + 5 + 8
}; /* of the script, before its pairs: the keys, what it always takes, what else it may take */

/* ---- arguments ---- */

static tks_status check(const tks_tokens *tokens, tks_bytes app, tks_bytes type,
                        const tks_rotation *rotation, tks_error *err) {
    tks_status status = tksp_check_name(app, "app", err);
    if (status == TKS_OK) status = tksp_check_name(type, "type", err);
    if (status == TKS_OK && rotation->duration_ms != 0) {
        status = tksp_check_duration(rotation->duration_ms, "duration", err);
    }
    if (status == TKS_OK && rotation->grace_ms != 0) {
        status = tksp_check_duration(rotation->grace_ms, "grace", err);
    }
    if (status == TKS_OK && rotation->owner.data != NULL) {
        status = tksp_check_name(rotation->owner, tokens->config.owner_name, err);
    }
    if (status == TKS_OK && rotation->data.data != NULL) {
        status = tks_json_check(rotation->data, tokens->config.max_data_size, err);
        if (status == TKS_OK && rotation->data.data[0] != '{') {
            status = tks_fail(err, TKS_ERR_DATA, "data is not an object: give names and values");
        }
    }
    return status;
}

static tksp_turn *new_turn(tksp_arena *arena, const tks_rotation *rotation) {
    tksp_turn *turn = tksp_arena_alloc(arena, sizeof *turn);
    if (turn == NULL) return NULL;
    *turn = (tksp_turn){.wanted = *rotation};
    if (rotation->owner.data != NULL) turn->wanted.owner = tksp_arena_dup(arena, rotation->owner);
    if (rotation->data.data != NULL) turn->wanted.data = tksp_arena_dup(arena, rotation->data);
    return turn;
}

/* ---- the script ---- */

/* A new token at the slot's place, and what a forward says of it; the latter is empty where it does not follow from the old
 * one: without a grace, and where it moves to an owner, so that who planted the old one has nothing. */
static tks_bytes make_successor(tksp_tokens_op *op, tksp_slot *slot, bool moves) {
    const tksp_tokens_config *config = &op->config;
    char salt[TKSP_SALT_SIZE];
    tks_buf text;
    if (op->turn->wanted.grace_ms == 0 || moves) {
        slot->token = tksp_generate_token(op, slot->place.locator);
        tksp_key_field(config->peppers[0], op->app, op->type, slot->token, slot->place.field);
        return tks_bytes_of("", 0);
    }
    tksp_rotation_salt(salt);
    tks_buf_init(&text, TKS_TOKEN_EXTRA_MAX + 2 * TKS_TOKEN_SIZE_MAX + 1);
    tks_status status =
        tksp_successor_write(&text, op->turn->secret, tks_bytes_of(salt, sizeof salt),
                             config->encoding, slot->place.locator, config->token_size);
    slot->token = tksp_arena_dup(&op->base.arena, tks_buf_bytes(&text));
    tks_buf_wipe(&text);
    tksp_key_field(config->peppers[0], op->app, op->type, slot->token, slot->place.field);
    tks_buf_init(&text, TKSP_FORWARD_SIZE);
    if (status == TKS_OK) {
        status = tksp_forward_write(&text, config->encoding, config->token_size, salt,
                                    slot->place.field);
    }
    if (status != TKS_OK) op->base.arena.status = status;
    tks_bytes forward = tksp_arena_dup(&op->base.arena, tks_buf_bytes(&text));
    tks_buf_wipe(&text);
    return forward;
}

tks_bytes tksp_word_owner(tksp_tokens_op *op) {
    tks_buf text;
    tks_buf_init(&text, SIZE_MAX);
    if (op->turn->wanted.owner.size > 0 &&
        tks_json_append_name(&text, op->turn->wanted.owner) != TKS_OK) {
        op->base.arena.status = TKS_ERR_MEMORY;
    }
    tks_bytes owner = tksp_arena_dup(&op->base.arena, tks_buf_bytes(&text));
    tks_buf_clear(&text);
    return owner;
}

size_t tksp_put_changes(const tksp_tokens_op *op, tks_bytes *out) {
    tks_bytes name, value, data = op->turn->wanted.data;
    size_t count = 0;
    for (size_t at = 0; data.size > 0 && tks_json_next_member(data, &at, &name, &value);) {
        out[count++] = name;
        out[count++] = tks_bytes_equal(value, TKS_LITERAL("null")) ? TKS_LITERAL("") : value;
    }
    return count;
}

size_t tksp_count_changes(const tksp_tokens_op *op) {
    tks_bytes name, value, data = op->turn->wanted.data;
    size_t count = 0;
    for (size_t at = 0; data.size > 0 && tks_json_next_member(data, &at, &name, &value);) count++;
    return count;
}

/* The alias has to lead to what the old token leaves as long as that lasts. If it leaves nothing, the alias goes, but not
 * before the script has rotated the token: it may find that this has been done, with a grace, or must not be. */
static tks_status add_alias(tksp_tokens_op *op, tks_bytes alias, bool moves) {
    int64_t grace = op->turn->wanted.grace_ms, window = op->config.reuse_window_ms;
    if (op->config.reuse == TKS_REUSE_IGNORE) window = 0;
    op->duration_ms = grace > window ? grace : window;
    if (op->duration_ms > 0 && !moves) return tksp_lengthen_alias(op, alias);
    op->turn->spent_alias = alias;
    return TKS_OK;
}

typedef struct words {
    tks_bytes *at;
    size_t count;
} words;

static void put(words *out, tks_bytes word) {
    out->at[out->count++] = word;
}

/* Whose it becomes, and its data. */
static void put_binding(tksp_tokens_op *op, words *out) {
    const char *when_full = tksp_when_full[op->config.when_full];
    tksp_arena *arena = &op->base.arena;
    put(out, tksp_word_owner(op));
    put(out, tksp_arena_int(arena, op->config.max_per_owner));
    put(out, tks_bytes_of(when_full, strlen(when_full)));
    put(out, tksp_arena_int(arena, (int64_t)op->config.max_data_size));
    out->count += tksp_put_changes(op, out->at + out->count);
}

/* All the script takes. */
static void put_all(tksp_tokens_op *op, words *out, bool moves) {
    const tks_rotation *wanted = &op->turn->wanted;
    const tksp_place *old = &op->turn->old, *made = &op->slots[0].place;
    put(out, moves ? TKS_LITERAL("2") : TKS_LITERAL("1"));
    put(out, tksp_word_key(op, old));
    if (moves) put(out, tksp_word_key(op, made));
    put(out, tksp_word_echo(op, made));
    put(out, tksp_word_field(op, old));
    put(out, tksp_word_field(op, made));
    put(out, tksp_arena_int(&op->base.arena, wanted->duration_ms));
    put(out, tksp_word_max_age(op));
    bool binds = wanted->owner.size > 0 || wanted->data.size > 0;
    if (!binds && wanted->grace_ms == 0 && op->config.reuse == TKS_REUSE_IGNORE) return;
    bool reveals = op->config.reuse == TKS_REUSE_REVOKE;
    put(out, tksp_arena_int(&op->base.arena, wanted->grace_ms));
    put(out, op->turn->forward);
    put(out, tksp_arena_int(&op->base.arena, reveals ? op->config.reuse_window_ms : 0));
    if (binds) put_binding(op, out);
}

static tks_status begin(tksp_tokens_op *op) {
    tksp_turn *turn = op->turn;
    tksp_slot *slot = &op->slots[0];
    if (!tksp_is_askable(op, 0)) return TKS_OK;

    turn->old = slot->place;
    turn->step = TKSP_AT_ONCE;
    turn->forward = tks_bytes_of("", 0);
    if (turn->wanted.owner.size > 0) {
        tksp_key_locate(op->app, op->type, turn->wanted.owner, slot->place.locator);
    }
    bool moves = memcmp(turn->old.locator, slot->place.locator, TKS_LOCATOR_SIZE) != 0;
    if (slot->superseded && !moves) {
        slot->token = turn->secret; /* somebody else has rotated it: this is the token */
        /* Its field is no proof that this request was executed, and another change of the data may come in between. */
        if (turn->wanted.data.size > 0) op->base.safety = TKS_ONCE;
    } else {
        turn->forward = make_successor(op, slot, moves);
    }

    size_t size = WORDS + 2 * tksp_count_changes(op);
    words out = {tksp_arena_alloc(&op->base.arena, size * sizeof *out.at), 0};
    if (out.at == NULL) return TKS_ERR_MEMORY;
    put_all(op, &out, moves);
    tks_status status = tksp_op_add(&op->base, &tksp_script_rotate, out.at, out.count, out.at[1]);
    if (status != TKS_OK) return status;
    op->base.commands[0].may_cross = moves;
    return slot->aliased ? add_alias(op, tksp_word_alias(op, &turn->old), moves) : TKS_OK;
}

/* ---- the result ---- */

enum { TOO_LARGE = -1, FULL = -3, ANOTHERS = -4 };

tks_status tksp_fail_rotation(tksp_tokens_op *op, int64_t code) {
    op->base.refused = code == ANOTHERS;
    if (code == TOO_LARGE) return tksp_fail_too_large(op);
    if (code == FULL) return tksp_fail_full(op);
    if (code != ANOTHERS) return TKS_OK;
    return tksp_op_fail(&op->base, TKS_ERR_DATA,
                        "the token has another %s: nothing was changed; end it, and create one",
                        op->config.owner_name);
}

static tks_status finish(tksp_tokens_op *op) {
    if (op->turn->done) return TKS_OK;
    if (op->turn->step != TKSP_AT_ONCE) return tksp_bind_step(op);
    op->slots[0].superseded = false; /* the result is the new token */
    if (op->base.count > 0) {
        tks_status status;
        const tks_reply *reply = op->base.commands[0].reply;
        if (tks_reply_get_type(reply) == TKS_REPLY_ERROR) return tksp_bind_begin(op);
        reply = tksp_checked_reply(op, 0, &op->slots[0].place, &status);
        if (reply == NULL) return status;
        status = tksp_fail_rotation(op, tksp_reply_integer_at(reply, 1, 0));
        if (status != TKS_OK) return status;
    }
    tks_status status = tksp_finish_token(op);
    op->turn->done = status == TKS_OK && op->tokens[0].found;
    bool spent = op->turn->done && op->slots[0].aliased && op->turn->spent_alias.size > 0;
    return spent ? tksp_drop_alias(op, op->turn->spent_alias) : status;
}

/* An alias that leads nowhere is no reason to fail. */
static bool spare(tks_op *base, const char *why) {
    (void)why;
    return ((tksp_tokens_op *)base)->turn->done;
}

static const tksp_tokens_kind rotate_kind = {
    .base = {TKSP_TOKENS_BASE, .spare = spare, .undo = tksp_bind_undo},
    .begin = begin,
    .finish = finish};

/* Sent again, it finds the new field, which nobody else can have made. */
tks_status tks_tokens_rotate(const tks_tokens *tokens, tks_bytes app, tks_bytes type,
                             tks_bytes token, const tks_rotation *rotation, tks_op **out,
                             tks_error *err) {
    tksp_tokens_op *op;
    *out = NULL;
    tks_status status = check(tokens, app, type, rotation, err);
    if (status == TKS_OK) {
        status =
            tksp_tokens_op_new_for(tokens, &rotate_kind, TKS_IDEMPOTENT, app, type, 1, &op, err);
    }
    if (status != TKS_OK) return status;
    tksp_present(op, 0, token);
    op->turn = new_turn(&op->base.arena, rotation);
    if (op->turn != NULL) op->turn->secret = op->slots[0].token;
    tksp_keep_pepper(op);
    return tksp_tokens_op_ready(op, status, out, err);
}
