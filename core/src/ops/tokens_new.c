/* tokens_new.c - what a new token consists of: the arguments of create, checked, and what is chosen for the caller. */
#include "tokens_private.h"

/* ---- the request that it is created for ------------------------------------------------------- */

enum { PART_MAX = 256 }; /* bytes of an address, of a user agent */

/* The text without what is beyond the limit, cut between two characters of UTF-8. */
static tks_bytes cut(tks_bytes text) {
    if (text.size <= PART_MAX) return text;
    text.size = PART_MAX;
    while (text.size > 0 && ((unsigned char)text.data[text.size] & 0xc0) == 0x80) text.size--;
    return text;
}

static tks_status take_member(const tks_json *member, tksp_arena *arena, tksp_record *record,
                              tks_error *err) {
    tks_bytes name = tks_json_get_name(member);
    bool address = tks_bytes_equal(name, TKS_LITERAL("address"));
    if (!address && !tks_bytes_equal(name, TKS_LITERAL("user_agent"))) {
        return tks_fail(err, TKS_ERR_DATA, "request has address and user_agent, nothing else");
    }
    if (tks_json_get_type(member) == TKS_JSON_NULL) return TKS_OK;
    if (tks_json_get_type(member) != TKS_JSON_STRING) {
        return tks_fail(err, TKS_ERR_DATA, "request.%s must be text",
                        address ? "address" : "user_agent");
    }
    tks_bytes text = tksp_arena_dup(arena, cut(tks_json_get_string(member)));
    *(address ? &record->address : &record->agent) = text;
    return arena->status;
}

static tks_status take_request(tks_bytes request, tksp_arena *arena, tksp_record *record,
                               tks_error *err) {
    tks_json *tree = NULL;
    if (request.data == NULL) return TKS_OK;
    tks_status status = tks_json_parse(request, SIZE_MAX, &tree, err);
    if (status == TKS_OK && tks_json_get_type(tree) != TKS_JSON_OBJECT) {
        status =
            tks_fail(err, TKS_ERR_DATA, "request is not an object: give address and user_agent");
    }
    const tks_json *member = status == TKS_OK ? tks_json_get_child(tree) : NULL;
    for (; status == TKS_OK && member != NULL; member = tks_json_get_next(member)) {
        status = take_member(member, arena, record, err);
    }
    tks_json_free(tree);
    return status;
}

/* ---- arguments and choices -------------------------------------------------------------------- */

tks_status tksp_new_token_check(const tks_tokens *tokens, const tks_new_token *new,
                                tks_error *err) {
    tks_status status = tksp_check_name(new->app, "app", err);
    if (status == TKS_OK) status = tksp_check_name(new->type, "type", err);
    if (status == TKS_OK && new->owner.data != NULL) {
        status = tksp_check_name(new->owner, tokens->config.owner_name, err);
    }
    if (status == TKS_OK && new->custom_token.data != NULL) {
        status = tksp_check_name(new->custom_token, "custom_token", err);
    }
    if (status == TKS_OK && new->data.size > tokens->config.max_data_size) {
        status = tks_fail(err, TKS_ERR_DATA, "data is larger than max_data_size (%zu bytes)",
                          tokens->config.max_data_size);
    }
    if (status == TKS_OK && new->duration_ms != 0) {
        status = tksp_check_duration(new->duration_ms, "duration", err);
    }
    if (status == TKS_OK && new->idle_ms != 0) {
        status = tksp_check_duration(new->idle_ms, "idle", err);
    }
    return status;
}

/* The shorter of two durations, of which 0 is none. */
static int64_t shorter(int64_t a, int64_t b) {
    return a == 0 || (b != 0 && b < a) ? b : a;
}

/* What a new record has in it, but for what is known only when it is made. */
static tks_status describe(const tks_new_token *new, tksp_arena *arena, tksp_record *out,
                           tks_error *err) {
    *out = (tksp_record){.owner = new->owner, .data = new->data};
    out->times[TKSP_TIME_IDLE] = new->idle_ms;
    if (new->idle_ms > 0) out->times[TKSP_TIME_UNTIL] = new->duration_ms;
    return take_request(new->request, arena, out, err);
}

/* Chooses what the caller did not: the locator of nobody, and the token. */
static tks_status choose_token(tksp_tokens_op *op, tksp_slot *slot, const tks_new_token *new,
                               tks_error *err) {
    tksp_arena *arena = &op->base.arena;
    char locator[TKS_LOCATOR_SIZE], alias[TKSP_ALIAS_SIZE];
    if (new->owner.data != NULL) {
        tksp_key_locate(new->app, new->type, new->owner, slot->place.locator);
    } else {
        tksp_key_locate_nobody(slot->place.locator);
    }
    if (new->custom_token.data == NULL) {
        slot->token = tksp_generate_token(op, slot->place.locator);
        return arena->status;
    }
    slot->token = tksp_arena_dup(arena, new->custom_token);
    slot->custom = true;
    slot->aliased = !tksp_token_read(new->custom_token, locator);
    op->base.safety = TKS_ONCE; /* a second try could not tell its own work from another's */
    if (arena->status != TKS_OK) return TKS_ERR_MEMORY;
    if (!slot->aliased && memcmp(locator, slot->place.locator, sizeof locator) != 0) {
        return tks_fail(
            err, TKS_ERR_DATA,
            "custom_token is a token that was generated for another owner: choose another");
    }
    memcpy(alias, slot->place.locator, TKS_LOCATOR_SIZE);
    tks_random_letters(alias + TKS_LOCATOR_SIZE, TKSP_ALIAS_NONCE);
    slot->alias = tksp_arena_dup(arena, tks_bytes_of(alias, sizeof alias));
    return arena->status;
}

tks_status tksp_new_token_fill(tksp_tokens_op *op, size_t i, const tks_new_token *new,
                               tks_error *err) {
    tksp_arena *arena = &op->base.arena;
    tksp_slot *slot = &op->slots[i];
    tksp_record record;

    tks_status status = tks_json_parse(new->data, SIZE_MAX, &slot->data, err);
    if (status != TKS_OK) return status;
    if (tks_json_get_type(slot->data) != TKS_JSON_OBJECT) {
        return tks_fail(err, TKS_ERR_DATA, "data is not an object: give names and values");
    }
    status = describe(new, arena, &record, err);
    if (status == TKS_OK) status = choose_token(op, slot, new, err);
    if (status != TKS_OK) return status;
    slot->located = true;
    slot->owner = tksp_arena_dup(arena, new->owner);
    slot->ttl_ms = shorter(shorter(new->duration_ms, new->idle_ms), op->config.max_age_ms);
    slot->tail = tksp_word_tail(op, &record);
    if (arena->status != TKS_OK) return TKS_ERR_MEMORY;
    op->tokens[i] = (tks_token){.app = tksp_arena_dup(arena, new->app),
                                .type = tksp_arena_dup(arena, new->type),
                                .owner = slot->owner,
                                .token = slot->token,
                                .id = tks_bytes_of(slot->place.field, TKS_FIELD_SIZE),
                                .sid = tks_bytes_of(slot->place.field, TKS_FIELD_SIZE),
                                .expires_ms = slot->ttl_ms,
                                .idle_ms = new->idle_ms,
                                .address = record.address,
                                .user_agent = record.agent,
                                .data = slot->data};
    tksp_key_field(op->config.peppers[0], new->app, new->type, slot->token, slot->place.field);
    for (size_t k = 1; slot->custom && k < op->config.pepper_count; k++) {
        tksp_older *older = &op->older[op->older_count++];
        *older = (tksp_older){i, slot->place, !slot->aliased, SIZE_MAX};
        tksp_key_field(op->config.peppers[k], new->app, new->type, slot->token, older->place.field);
    }
    return arena->status;
}
