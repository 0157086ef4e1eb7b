/* tokens_create.c - create and create_many.
 *
 * A custom token is found by its alias, another key, which may lie on another server of a cluster. So it is made in
 * three steps: the alias is claimed, for as long as an operation may take; the record is made; the alias is confirmed.
 * Whatever is interrupted leaves at most an alias without a record, which is no token. Two who want the same custom
 * token meet at the alias: one claim stands. With several peppers, its older aliases are looked at before. */
#include "server.h"
#include "tokens_private.h"

enum { CLAIM_MS = 60000 };

/* ---- aliases ---------------------------------------------------------------------------------- */

static void use_names_of(tksp_tokens_op *op, size_t i) {
    op->app = op->tokens[i].app;
    op->type = op->tokens[i].type;
}

/* The alias's text, with a mark behind it while the token is being made. */
static tks_bytes claimed_text(tksp_tokens_op *op, const tksp_slot *slot, bool claimed) {
    char text[TKSP_ALIAS_SIZE + 1];
    memcpy(text, slot->alias.data, TKSP_ALIAS_SIZE);
    text[TKSP_ALIAS_SIZE] = TKSP_ALIAS_CLAIMED;
    return tksp_arena_dup(&op->base.arena, tks_bytes_of(text, sizeof text - !claimed));
}

enum { CLAIM, CONFIRM, DROP };

/* Puts the alias from `before` into the next state. */
static tks_status add_alias(tksp_tokens_op *op, size_t i, tks_bytes before, int change) {
    tksp_slot *slot = &op->slots[i];
    int64_t lasting_ms = slot->ttl_ms > 0 ? slot->ttl_ms + TKSP_ALIAS_SLACK_MS : 0;
    use_names_of(op, i);
    const tks_bytes words[] = {
        TKS_LITERAL("1"),
        tksp_word_alias(op, &slot->place),
        tksp_word_echo(op, &slot->place),
        before,
        change == DROP ? tks_bytes_of("", 0) : claimed_text(op, slot, change == CLAIM),
        tksp_arena_int(&op->base.arena, change == CLAIM ? CLAIM_MS : lasting_ms),
    };
    slot->command = op->base.count;
    return tksp_tokens_add(op, &tksp_script_alias_claim, 6, words, words[1]);
}

/* Is the record live that the alias of another creation leads to? */
static tks_status add_exists(tksp_tokens_op *op, size_t i, tks_bytes alias) {
    tksp_slot *slot = &op->slots[i];
    tksp_place place = slot->place;
    if (!tksp_alias_read(alias, place.locator)) return tksp_fail_not_a_record(op);
    use_names_of(op, i);
    const tks_bytes words[] = {TKS_LITERAL("1"), tksp_word_key(op, &place),
                               tksp_word_echo(op, &place), tksp_word_field(op, &place)};
    slot->found_alias = tksp_arena_dup(&op->base.arena, alias);
    slot->command = op->base.count;
    return tksp_tokens_add(op, &tksp_script_exists, 4, words, words[1]);
}

static tks_status fail_in_use(tksp_tokens_op *op) {
    op->base.refused = true;
    return tksp_op_fail(&op->base, TKS_ERR_DATA,
                        "custom_token is already in use: choose another, or delete it first");
}

/* ---- records ---------------------------------------------------------------------------------- */

static tks_status add_create(tksp_tokens_op *op, size_t i) {
    tksp_slot *slot = &op->slots[i];
    const char *when_full = tksp_when_full[op->config.when_full];
    use_names_of(op, i);
    const tks_bytes words[] = {
        TKS_LITERAL("1"),
        tksp_word_key(op, &slot->place),
        tksp_word_echo(op, &slot->place),
        tksp_word_field(op, &slot->place),
        tksp_arena_int(&op->base.arena, slot->ttl_ms),
        slot->tail,
        tksp_arena_int(&op->base.arena, op->config.max_per_owner),
        slot->custom ? TKS_LITERAL("1") : TKS_LITERAL("0"),
        tks_bytes_of(when_full, strlen(when_full)),
        tksp_word_max_age(op),
    };
    size_t count = op->config.max_per_owner > 0 ? 10
                   : slot->custom               ? 8
                                                : 6; /* each word has its price */
    slot->command = op->base.count;
    return tksp_tokens_add(op, &tksp_script_create, count, words, words[1]);
}

static bool registers_kind(const tksp_tokens_op *op, size_t slots, uint32_t number) {
    for (size_t i = 0; i < slots; i++) {
        if (op->slots[i].kind == number) return true;
    }
    return false;
}

/* Lets listings of keys know the names of this kind of key; once for each client. */
static tks_status add_kind(tksp_tokens_op *op, size_t i) {
    char kind[TKS_KIND_SIZE];
    tks_buf texts[2];
    tks_bytes words[4] = {TKS_LITERAL("HSETNX")};
    use_names_of(op, i);
    tksp_key_kind(op->app, op->type, kind);
    uint32_t number = tksp_key_kind_number(op->config.prefix, kind);
    op->slots[i].kind = 0;
    if (tksp_server_knows_kind(op->base.server, number)) return TKS_OK;
    if (registers_kind(op, i, number)) return TKS_OK;
    op->slots[i].kind = number;
    tks_buf_init(&texts[0], SIZE_MAX);
    tks_buf_init(&texts[1], SIZE_MAX);
    tks_status status = tksp_key_kinds(&texts[0], op->config.prefix);
    if (status == TKS_OK) status = tksp_key_kind_names(&texts[1], op->app, op->type);
    words[1] = tksp_arena_dup(&op->base.arena, tks_buf_bytes(&texts[0]));
    words[2] = tksp_arena_dup(&op->base.arena, tks_bytes_of(kind, sizeof kind));
    words[3] = tksp_arena_dup(&op->base.arena, tks_buf_bytes(&texts[1]));
    tks_buf_clear(&texts[0]);
    tks_buf_clear(&texts[1]);
    if (status == TKS_OK) status = tksp_tokens_add(op, NULL, 4, words, words[1]);
    if (status != TKS_OK) return status;
    op->base.commands[op->base.count - 1].may_be_forbidden = true;
    op->base.commands[op->base.count - 1].any_type = true;
    return TKS_OK;
}

/* A kind is known from the answer on: what was never sent, or refused with the record, is sent with the next one. An
 * answer that forbids it counts, or each create would ask again. */
static void note_kinds(tksp_tokens_op *op) {
    for (size_t i = 0; i < op->size; i++) {
        const tksp_slot *slot = &op->slots[i];
        if (slot->kind != 0) tksp_server_add_kind(op->base.server, slot->kind);
    }
}

/* The reply to the slot's command; NULL: there is none yet, or no command. */
static const tks_reply *reply_of(const tksp_tokens_op *op, size_t i) {
    size_t command = op->slots[i].command;
    return command < op->base.count ? op->base.commands[command].reply : NULL;
}

enum { IN_USE = -1, FOREIGN = -2, FULL = -3 };

/* The reply's <created>; IN_USE where it is the echo alone, FULL behind a "!", FOREIGN where it belongs to another
 * request. */
static int64_t made_at(tksp_tokens_op *op, size_t i) {
    const tksp_slot *slot = &op->slots[i];
    const tks_reply *reply = reply_of(op, i);
    enum { ECHO_SIZE = TKS_CHECK_SIZE + 1 };
    if (reply == NULL) return FOREIGN;
    if (op->plain) return tks_reply_get_type(reply) == TKS_REPLY_INTEGER ? slot->stamp_us : FOREIGN;
    if (tks_reply_get_type(reply) != TKS_REPLY_STRING) return FOREIGN;
    tks_bytes text = tks_reply_get_bytes(reply);
    bool made = text.size == TKS_CREATED_SIZE + ECHO_SIZE;
    bool full = text.size == 1 + ECHO_SIZE && text.data[0] == '!';
    if (!made && !full && text.size != ECHO_SIZE) return FOREIGN;
    tks_bytes echo = tks_bytes_of(text.data + text.size - ECHO_SIZE, ECHO_SIZE);
    if (memcmp(echo.data, slot->place.field, TKS_CHECK_SIZE) != 0) return FOREIGN;
    tksp_learn_from_echo(op, slot->command, echo);
    return made ? tksp_record_read_created(text.data) : full ? FULL : IN_USE;
}

static tks_status take_created(tksp_tokens_op *op) {
    for (size_t i = 0; i < op->size; i++) {
        tks_token *token = &op->tokens[i];
        token->created_us = made_at(op, i);
        if (token->created_us == FOREIGN) return tksp_op_fail_foreign(&op->base);
        if (token->created_us == FULL) return tksp_fail_full(op);
        if (token->created_us == IN_USE) return fail_in_use(op);
        token->found = true;
        /* Sent again, it may have been made by the first attempt, some time ago. */
        if (!op->plain && !op->base.was_unanswered) {
            tks_bytes route = op->base.commands[op->slots[i].command].route;
            tksp_server_learn_time(tksp_op_clock(&op->base, route), token->created_us,
                                   op->base.boot_ms);
        }
        if (token->expires_ms > 0) token->expires_ms += token->created_us / 1000;
    }
    return TKS_OK;
}

/* ---- the steps -------------------------------------------------------------------------------- */

static bool is_one(const tks_reply *reply) {
    return tks_reply_get_type(reply) == TKS_REPLY_INTEGER && tks_reply_get_integer(reply) == 1;
}

/* What the alias script, or `exists`, said of slot `i`. */
static const tks_reply *answer_of(tksp_tokens_op *op, size_t i, tks_status *status) {
    const tks_reply *reply =
        tksp_checked_reply(op, op->slots[i].command, &op->slots[i].place, status);
    const tks_reply *answer = reply != NULL ? tks_reply_get_item(reply, 1) : NULL;
    if (reply != NULL && answer == NULL) *status = tksp_op_fail_foreign(&op->base);
    return answer;
}

static bool is_claimed(tks_bytes alias) {
    return alias.size > 0 && alias.data[alias.size - 1] == TKSP_ALIAS_CLAIMED;
}

/* Notes the claims that stand. Some may, where others were refused. */
static void note_claims(tksp_tokens_op *op) {
    for (size_t i = 0; i < op->size; i++) {
        const tks_reply *reply = reply_of(op, i);
        if (reply == NULL || tks_reply_get_type(reply) != TKS_REPLY_ARRAY) continue;
        const tks_reply *answer = tks_reply_get_item(reply, 1);
        op->slots[i].claimed = answer != NULL && is_one(answer);
    }
}

/* The claims that were refused: by a token that may be dead, or by somebody who is just creating the same. */
static tks_status take_claims(tksp_tokens_op *op, tks_bytes *refused) {
    note_claims(op);
    for (size_t i = 0; i < op->size; i++) {
        tks_status status = TKS_OK;
        refused[i] = tks_bytes_of(NULL, 0);
        if (op->slots[i].command == SIZE_MAX) continue;
        const tks_reply *answer = answer_of(op, i, &status);
        if (status != TKS_OK) return status;
        if (is_one(answer)) continue;
        tks_bytes text = tks_bytes_of(NULL, 0);
        if (tks_reply_get_type(answer) == TKS_REPLY_STRING) text = tks_reply_get_bytes(answer);
        if (op->step == TKSP_RECLAIM || text.size == 0 || is_claimed(text)) return fail_in_use(op);
        refused[i] = tksp_arena_dup(&op->base.arena, text);
    }
    return op->base.arena.status;
}

static void forget_commands(tksp_tokens_op *op) {
    tksp_op_clear_commands(&op->base);
    for (size_t i = 0; i < op->size; i++) op->slots[i].command = SIZE_MAX;
}

static tks_status go_create(tksp_tokens_op *op) {
    tks_status status = TKS_OK;
    op->step = TKSP_CREATE;
    op->plain = false;
    if (tksp_may_hsetex(op)) status = tksp_add_hsetex(op, &op->plain);
    for (size_t i = 0; status == TKS_OK && !op->plain && i < op->size; i++) {
        status = add_create(op, i);
    }
    for (size_t i = 0; status == TKS_OK && i < op->size; i++) status = add_kind(op, i);
    return status;
}

static tks_status go_claim(tksp_tokens_op *op) {
    tks_status status = TKS_OK;
    op->step = TKSP_CLAIM;
    for (size_t i = 0; status == TKS_OK && i < op->size; i++) {
        if (op->slots[i].aliased) status = add_alias(op, i, tks_bytes_of("", 0), CLAIM);
    }
    return status == TKS_OK && op->base.count == 0 ? go_create(op) : status;
}

static tks_status add_sounding(tksp_tokens_op *op, tksp_older *older) {
    use_names_of(op, older->i);
    const tks_bytes words[] = {TKS_LITERAL("1"), tksp_word_key(op, &older->place),
                               tksp_word_echo(op, &older->place),
                               tksp_word_field(op, &older->place)};
    older->command = op->base.count;
    return tksp_tokens_add(op, &tksp_script_exists, 4, words, words[1]);
}

/* Are the records live that the older aliases lead to? */
static tks_status finish_seeking(tksp_tokens_op *op) {
    tks_status status = TKS_OK;
    for (size_t k = 0; k < op->older_count; k++) {
        tksp_older *older = &op->older[k];
        if (older->command == SIZE_MAX) continue;
        const tks_reply *reply = op->base.commands[older->command].reply;
        older->command = SIZE_MAX;
        if (tks_reply_get_type(reply) == TKS_REPLY_NIL) continue;
        older->located = tks_reply_get_type(reply) == TKS_REPLY_STRING &&
                         tksp_alias_read(tks_reply_get_bytes(reply), older->place.locator);
        if (!older->located) return tksp_fail_not_a_record(op);
    }
    tksp_op_clear_commands(&op->base);
    op->step = TKSP_SOUND;
    for (size_t k = 0; status == TKS_OK && k < op->older_count; k++) {
        if (op->older[k].located) status = add_sounding(op, &op->older[k]);
    }
    return status == TKS_OK && op->base.count == 0 ? go_claim(op) : status;
}

static tks_status finish_sounding(tksp_tokens_op *op) {
    for (size_t k = 0; k < op->older_count; k++) {
        const tksp_older *older = &op->older[k];
        tks_status status;
        if (older->command == SIZE_MAX) continue;
        const tks_reply *reply = tksp_checked_reply(op, older->command, &older->place, &status);
        if (reply == NULL) return status;
        if (tksp_reply_integer_at(reply, 1, 0) == 1) return fail_in_use(op);
    }
    forget_commands(op);
    return go_claim(op);
}

/* Asks which of the names' older aliases there are. */
static tks_status begin(tksp_tokens_op *op) {
    op->step = TKSP_SEEK;
    for (size_t k = 0; k < op->older_count; k++) {
        tksp_older *older = &op->older[k];
        if (older->located) continue;
        use_names_of(op, older->i);
        const tks_bytes words[] = {TKS_LITERAL("GET"), tksp_word_alias(op, &older->place)};
        older->command = op->base.count;
        tks_status status = tksp_tokens_add(op, NULL, 2, words, words[1]);
        if (status != TKS_OK) return status;
    }
    return op->base.count == 0 ? finish_seeking(op) : TKS_OK;
}

/* After the first claims: the refused ones are checked. After the second: all stand. */
static tks_status finish_claims(tksp_tokens_op *op) {
    tks_bytes *refused = tksp_arena_alloc(&op->base.arena, (op->size + 1) * sizeof *refused);
    if (refused == NULL) return TKS_ERR_MEMORY;
    tks_status status = take_claims(op, refused);
    if (status != TKS_OK) return status;
    forget_commands(op);
    op->step = TKSP_CHECK;
    for (size_t i = 0; status == TKS_OK && i < op->size; i++) {
        if (refused[i].size > 0) status = add_exists(op, i, refused[i]);
    }
    return status == TKS_OK && op->base.count == 0 ? go_create(op) : status;
}

static tks_status finish_checks(tksp_tokens_op *op) {
    tks_status status = TKS_OK;
    bool *dead = tksp_arena_alloc(&op->base.arena, (op->size + 1) * sizeof *dead);
    if (dead == NULL) return TKS_ERR_MEMORY;
    for (size_t i = 0; i < op->size; i++) {
        dead[i] = op->slots[i].command != SIZE_MAX;
        if (!dead[i]) continue;
        const tks_reply *answer = answer_of(op, i, &status);
        if (status != TKS_OK) return status;
        if (is_one(answer)) return fail_in_use(op);
    }
    forget_commands(op);
    op->step = TKSP_RECLAIM;
    for (size_t i = 0; status == TKS_OK && i < op->size; i++) {
        if (dead[i]) status = add_alias(op, i, op->slots[i].found_alias, CLAIM);
    }
    return status;
}

static tks_status finish_records(tksp_tokens_op *op) {
    tks_status status = TKS_OK;
    bool refused = false;
    note_kinds(op);
    if (op->plain) status = tksp_take_hsetex(op, &refused);
    if (refused) {
        forget_commands(op);
        return go_create(op);
    }
    if (status == TKS_OK) status = take_created(op);
    if (status != TKS_OK) return status;
    if (op->plain) {
        op->step = TKSP_SETTLE;
        return tksp_settle_old(op);
    }
    forget_commands(op);
    op->step = TKSP_CONFIRM;
    for (size_t i = 0; status == TKS_OK && i < op->size; i++) {
        if (op->slots[i].aliased) {
            status = add_alias(op, i, claimed_text(op, &op->slots[i], true), CONFIRM);
        }
    }
    return status;
}

static tks_status finish_confirmations(tksp_tokens_op *op) {
    tks_status status = TKS_OK;
    for (size_t i = 0; i < op->size; i++) {
        if (op->slots[i].command == SIZE_MAX) continue;
        const tks_reply *answer = answer_of(op, i, &status);
        if (status != TKS_OK) return status;
        if (!is_one(answer)) {
            return fail_in_use(op); /* the claim ended before the record was made */
        }
    }
    return TKS_OK;
}

static void set_result(tksp_tokens_op *op) {
    op->base.result.type = op->expiry ? TKS_RESULT_TOKENS : TKS_RESULT_TOKEN;
    op->base.result.tokens = op->tokens;
    op->base.result.size = op->size;
}

/* Adds the commands of the next step; none: it is done. */
static tks_status finish(tksp_tokens_op *op) {
    set_result(op);
    switch (op->step) {
    case TKSP_SEEK: return finish_seeking(op);
    case TKSP_SOUND: return finish_sounding(op);
    case TKSP_CLAIM:
    case TKSP_RECLAIM: return finish_claims(op);
    case TKSP_CHECK: return finish_checks(op);
    case TKSP_CREATE: return finish_records(op);
    case TKSP_SETTLE: return TKS_OK;
    case TKSP_CONFIRM: break;
    }
    return finish_confirmations(op);
}

static tks_status add_delete(tksp_tokens_op *op, size_t i) {
    const tksp_place *place = &op->slots[i].place;
    use_names_of(op, i);
    const tks_bytes words[] = {
        TKS_LITERAL("1"),           tksp_word_key(op, place), tksp_word_echo(op, place),
        tksp_word_field(op, place), TKS_LITERAL("0"),
    };
    return tksp_tokens_add(op, &tksp_script_delete, 5, words, words[1]);
}

/* All or nothing: the caller will not learn the secrets of those that were made. And what was claimed is free for the
 * next attempt. */
static bool undo(tks_op *base) {
    tksp_tokens_op *op = (tksp_tokens_op *)base;
    tks_status status = TKS_OK;
    if (base->failure == TKS_ERR_OUTCOME_UNKNOWN) return false; /* the connection is out of step */
    if (op->step == TKSP_CLAIM || op->step == TKSP_RECLAIM) note_claims(op);
    for (size_t i = 0; i < op->size; i++) {
        op->slots[i].made =
            op->step >= TKSP_SETTLE || (op->step == TKSP_CREATE && made_at(op, i) >= 0);
    }
    tksp_op_clear_commands(base);
    for (size_t i = 0; status == TKS_OK && i < op->size; i++) {
        const tksp_slot *slot = &op->slots[i];
        if (slot->made) status = add_delete(op, i);
        if (status != TKS_OK || !slot->claimed) continue;
        status = add_alias(op, i, claimed_text(op, slot, true), DROP);
    }
    return status == TKS_OK && base->count > 0 && base->arena.status == TKS_OK;
}

static const tksp_tokens_kind create_kind = {.base = {TKSP_TOKENS_BASE, .undo = undo},
                                             .begin = begin,
                                             .finish = finish};

static tks_status create(const tks_tokens *tokens, size_t count, const tks_new_token *new,
                         bool many, tks_op **out, tks_error *err) {
    tksp_tokens_op *op;
    *out = NULL;
    for (size_t i = 0; i < count; i++) {
        tks_status status = tksp_new_token_check(tokens, &new[i], err);
        if (status != TKS_OK) return status;
    }
    tks_bytes none = tks_bytes_of(NULL, 0);
    tks_status status =
        tksp_tokens_op_new(tokens, &create_kind, TKS_IDEMPOTENT, none, none, count, &op, err);
    if (status != TKS_OK) return status;
    op->expiry = many;
    op->base.reads_boot = true;
    op->older = tksp_arena_alloc(&op->base.arena,
                                 count * (op->config.pepper_count - 1) * sizeof *op->older);
    for (size_t i = 0; status == TKS_OK && i < count; i++) {
        status = tksp_new_token_fill(op, i, &new[i], err);
    }
    return tksp_tokens_op_ready(op, status, out, err);
}

tks_status tks_tokens_create(const tks_tokens *tokens, const tks_new_token *new, tks_op **out,
                             tks_error *err) {
    return create(tokens, 1, new, false, out, err);
}

tks_status tks_tokens_create_many(const tks_tokens *tokens, size_t count, const tks_new_token *new,
                                  tks_op **out, tks_error *err) {
    return create(tokens, count, new, true, out, err);
}
