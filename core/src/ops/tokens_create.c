/* tokens_create.c - create and create_many. */
#include "tokens_private.h"

tks_bytes tksp_generate_token(tksp_tokens_op *op, const char *owner_tag) {
    char random[TKS_TOKEN_SIZE_MAX];
    tks_buf text;
    tks_buf_init(&text, 4 + 2 * TKS_TOKEN_SIZE_MAX + 1);
    tks_random(random, op->config.token_size);
    tks_buf_append_char(&text, TKS_TOKEN_MARKER);
    tks_buf_append(&text, owner_tag, TKS_TAG_SIZE);
    tks_encode(op->config.encoding, random, op->config.token_size, &text);
    if (text.status != TKS_OK) op->base.arena.status = TKS_ERR_MEMORY;
    tks_bytes token = tksp_arena_dup(&op->base.arena, tks_buf_bytes(&text));
    tks_wipe(random, sizeof random);
    tks_buf_wipe(&text);
    return token;
}

static tks_status check(const tks_tokens *tokens, const tks_new_token *new, tks_error *err) {
    tks_status status = tksp_check_name(new->app, "app", err);
    if (status == TKS_OK) status = tksp_check_name(new->type, "type", err);
    if (status == TKS_OK) status = tksp_check_name(new->owner, tokens->config.owner_name, err);
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
    return status;
}

static int64_t time_to_live(const tksp_tokens_op *op, int64_t duration_ms) {
    int64_t max_age = op->config.max_age_ms;
    return max_age > 0 && (duration_ms == 0 || duration_ms > max_age) ? max_age : duration_ms;
}

/* Fills slot `i` and adds its command. app and type may differ from slot to slot. */
static tks_status add(tksp_tokens_op *op, size_t i, const tks_new_token *new, tks_error *err) {
    tksp_arena *arena = &op->base.arena;
    tksp_slot *slot = &op->slots[i];
    tks_token *token = &op->tokens[i];
    bool custom = new->custom_token.data != NULL;
    tksp_place owner;

    tks_status status = tks_json_parse(new->data, SIZE_MAX, &slot->data, err);
    if (status != TKS_OK) return status;
    if (tks_json_get_type(slot->data) != TKS_JSON_OBJECT) {
        return tks_fail(err, TKS_ERR_DATA, "data is not an object: give names and values");
    }
    op->app = tksp_arena_dup(arena, new->app);
    op->type = tksp_arena_dup(arena, new->type);
    slot->owner = tksp_arena_dup(arena, new->owner);
    tksp_key_owner(op->config.pepper, new->app, new->type, new->owner, &owner);
    slot->token =
        custom ? tksp_arena_dup(arena, new->custom_token) : tksp_generate_token(op, owner.tag);
    if (arena->status != TKS_OK) return TKS_ERR_MEMORY;
    tksp_key_place(op->config.pepper, new->app, new->type, slot->token, &slot->place);
    if (custom) {
        op->base.safety = TKS_ONCE; /* a second try could not tell its own work from another's */
    }

    int64_t ttl = time_to_live(op, new->duration_ms);
    bool foreign_tag = memcmp(owner.tag, slot->place.tag, TKS_TAG_SIZE) != 0;
    *token = (tks_token){.app = op->app,
                         .type = op->type,
                         .owner = slot->owner,
                         .token = slot->token,
                         .expires_ms = ttl,
                         .data = slot->data};
    tksp_set_id(op, i, owner.tag);
    tks_bytes words[] = {
        TKS_LITERAL("2"),
        tksp_word_record_key(op, &slot->place),
        tksp_word_index_key(op, &owner, slot->owner),
        tksp_word_tail(op, new->owner, new->data, foreign_tag ? owner.tag : NULL),
        tksp_arena_int(&op->base.arena, ttl),
        tksp_arena_int(&op->base.arena, op->config.max_per_owner),
        token->id, /* as the index lists it */
    };
    size_t count = custom ? 7 : op->config.max_per_owner > 0 ? 6 : 5; /* each word has its price */
    slot->command = op->base.count;
    return tksp_tokens_add(op, &tksp_script_create, count, words, words[1]);
}

/* The reply's <created>, -1 where it is the <check> alone, -2 where it belongs to another request. */
static int64_t made_at(const tksp_tokens_op *op, size_t i) {
    const tks_reply *reply = op->base.commands[op->slots[i].command].reply;
    if (tks_reply_get_type(reply) != TKS_REPLY_STRING) return -2;
    tks_bytes head = tks_reply_get_bytes(reply);
    tks_bytes check = tks_bytes_of(op->slots[i].place.digest, TKS_CHECK_SIZE);
    if (tks_bytes_equal(head, check)) return -1;
    return tksp_record_read_head(head, check);
}

static tks_status finish(tks_op *base, int64_t now_ms) {
    tksp_tokens_op *op = (tksp_tokens_op *)base;
    (void)now_ms;
    for (size_t i = 0; i < op->size; i++) {
        tks_token *token = &op->tokens[i];
        token->created_us = made_at(op, i);
        if (token->created_us == -2) return tksp_op_fail_foreign(&op->base);
        base->refused = token->created_us == -1;
        if (base->refused) {
            return tksp_op_fail(
                base, TKS_ERR_DATA,
                "custom_token is already in use: choose another, or delete it first");
        }
        token->found = true;
        if (token->expires_ms > 0) token->expires_ms += token->created_us / 1000;
    }
    base->result.type = op->expiry ? TKS_RESULT_TOKENS : TKS_RESULT_TOKEN;
    base->result.tokens = op->tokens;
    base->result.size = op->size;
    return TKS_OK;
}

/* All or nothing: the caller will not learn the secrets of those that were made. */
static bool undo(tks_op *base) {
    tksp_tokens_op *op = (tksp_tokens_op *)base;
    size_t made = 0;
    for (size_t i = 0; i < op->size; i++) {
        if (made_at(op, i) < 0) {
            tks_json_free(op->slots[i].data);
            continue;
        }
        op->slots[made] = op->slots[i];
        op->tokens[made] = op->tokens[i];
        made++;
    }
    op->size = made;
    tksp_op_clear_commands(base);
    for (size_t i = 0; i < made; i++) {
        const tks_token *token = &op->tokens[i];
        op->app = token->app;
        op->type = token->type;
        tks_bytes words[] = {
            TKS_LITERAL("1"),
            tksp_word_record_key(op, &op->slots[i].place),
            tksp_word_check(op, &op->slots[i].place),
            tksp_word_names(op),
            TKS_LITERAL("0"),
        };
        if (tksp_tokens_add(op, &tksp_script_delete, 5, words, words[1]) != TKS_OK) return false;
    }
    return made > 0 && base->arena.status == TKS_OK;
}

static const tksp_op_kind create_kind = {.finish = finish, .clear = tksp_tokens_op_clear};
static const tksp_op_kind create_many_kind = {.finish = finish,
                                              .undo = undo,
                                              .clear = tksp_tokens_op_clear};

static tks_status create(const tks_tokens *tokens, const tksp_op_kind *kind, size_t count,
                         const tks_new_token *new, tks_op **out, tks_error *err) {
    tksp_tokens_op *op;
    *out = NULL;
    for (size_t i = 0; i < count; i++) {
        tks_status status = check(tokens, &new[i], err);
        if (status != TKS_OK) return status;
    }
    tks_bytes none = tks_bytes_of(NULL, 0);
    tks_status status =
        tksp_tokens_op_new(tokens, kind, TKS_IDEMPOTENT, none, none, count, &op, err);
    if (status != TKS_OK) return status;
    op->expiry = kind == &create_many_kind;
    for (size_t i = 0; status == TKS_OK && i < count; i++) status = add(op, i, &new[i], err);
    return tksp_tokens_op_ready(op, status, out, err);
}

tks_status tks_tokens_create(const tks_tokens *tokens, const tks_new_token *new, tks_op **out,
                             tks_error *err) {
    return create(tokens, &create_kind, 1, new, out, err);
}

tks_status tks_tokens_create_many(const tks_tokens *tokens, size_t count, const tks_new_token *new,
                                  tks_op **out, tks_error *err) {
    return create(tokens, &create_many_kind, count, new, out, err);
}
