/* tokens_move.c - keys of another program become tokens of this store. */
#include "tokens_private.h"
#include "tokenstore/move.h"

static tks_status check(const tks_foreign *key, tks_error *err) {
    tks_status status = tksp_check_name(key->app, "app", err);
    if (status == TKS_OK) status = tksp_check_name(key->type, "type", err);
    if (status == TKS_OK) status = tksp_check_name(key->owner, "owner", err);
    if (status == TKS_OK) status = tksp_check_name(key->token, "token", err);
    return status;
}

/* ---- the data ---- */

/* Appends JSON without the white space between its parts. TKS_OK or TKS_ERR_MEMORY. */
static tks_status squeeze(tks_bytes text, tks_buf *out) {
    bool in_string = false;
    for (size_t i = 0; i < text.size; i++) {
        char c = text.data[i];
        if (!in_string && (c == ' ' || c == '\t' || c == '\n' || c == '\r')) continue;
        tks_buf_append_char(out, c);
        if (c == '"') in_string = !in_string;
        if (c == '\\' && i + 1 < text.size) tks_buf_append_char(out, text.data[++i]);
    }
    return out->status;
}

/* Appends a name as update spells it, so that it finds the field; one that update cannot spell, as it is. */
static tks_status write_name(tks_bytes name, tks_buf *out) {
    tks_json *tree;
    tks_buf spelled;
    tks_json_writer w;
    tks_status status = tks_json_read_foreign(name, &tree, NULL);
    if (status != TKS_OK) return status;
    tks_buf_init(&spelled, SIZE_MAX);
    tks_json_writer_init(&w, &spelled, SIZE_MAX, "data", NULL);
    status = tks_json_write_tree(&w, tree);
    if (status != TKS_ERR_MEMORY) {
        status = tks_buf_append_bytes(out, status == TKS_OK ? tks_buf_bytes(&spelled) : name);
    }
    tks_json_free(tree);
    tks_buf_wipe(&spelled);
    return status;
}

/* Appends the object `value`, which has `members` names, with each value as it is spelled. */
static tks_status write_members(tks_bytes value, size_t members, tks_buf *out, tks_error *err) {
    tks_buf text;
    tks_bytes name, part;
    size_t count = 0;
    tks_buf_init(&text, SIZE_MAX);
    tks_status status = squeeze(value, &text);
    for (size_t at = 0;
         status == TKS_OK && tks_json_next_member(tks_buf_bytes(&text), &at, &name, &part);) {
        tks_buf_append_char(out, count++ == 0 ? '{' : ',');
        status = write_name(name, out);
        tks_buf_append_char(out, ':');
        if (status == TKS_OK) status = tks_buf_append_bytes(out, part);
    }
    tks_buf_wipe(&text);
    if (status == TKS_OK) status = tks_buf_append_char(out, '}');
    if (status == TKS_OK && count != members) {
        status = tks_fail(err, TKS_ERR_DATA,
                          "a duplicate name, and a value that JSON readers read differently");
    }
    return status;
}

/* Appends `value` in the one spelling that records have. Where we would not write such a value ourselves, it
 * keeps its own, which loses nothing. */
static tks_status write_data(tks_bytes value, size_t max_size, tks_buf *out, tks_error *err) {
    tks_json *tree;
    tks_json_writer w;
    tks_status status = tks_json_read_foreign(value, &tree, err);
    if (status == TKS_OK && tks_json_get_type(tree) != TKS_JSON_OBJECT) {
        status = tks_fail(err, TKS_ERR_DATA, "the data is not an object");
    }
    if (status == TKS_OK) {
        tks_json_writer_init(&w, out, SIZE_MAX, "data", NULL);
        status = tks_json_write_tree(&w, tree);
        if (status == TKS_ERR_DATA) {
            tks_buf_reset(out);
            status = write_members(value, tks_json_get_size(tree), out, err);
        }
    }
    if (status == TKS_OK && out->size > max_size) {
        status =
            tks_fail(err, TKS_ERR_DATA, "data is larger than max_data_size (%zu bytes)", max_size);
    }
    tks_json_free(tree);
    return status;
}

/* It has ten minutes' moves. */
static tks_bytes word_moved(tksp_tokens_op *op) {
    tks_buf word;
    tks_buf_init(&word, TKS_PREFIX_MAX + sizeof ":moved");
    tks_buf_append_bytes(&word, op->config.prefix);
    if (tks_buf_append(&word, ":moved", 6) != TKS_OK) op->base.arena.status = TKS_ERR_MEMORY;
    tks_bytes copy = tksp_arena_dup(&op->base.arena, tks_buf_bytes(&word));
    tks_buf_clear(&word);
    return copy;
}

static tks_bytes alias_text(tksp_tokens_op *op, const tksp_place *place) {
    char text[TKSP_ALIAS_SIZE];
    memcpy(text, place->locator, TKS_LOCATOR_SIZE);
    tks_random_letters(text + TKS_LOCATOR_SIZE, TKSP_ALIAS_NONCE);
    return tksp_arena_dup(&op->base.arena, tks_bytes_of(text, sizeof text));
}

/* The places are known when the keys are added, and what the server can does not matter here: so the commands are there
 * before the operation begins. */
static tks_status add(tksp_tokens_op *op, const tks_tokens *tokens, const tks_foreign *key,
                      tks_bytes data, tks_error *err) {
    tksp_arena *arena = &op->base.arena;
    size_t i = op->base.count;
    tksp_place *place = &op->slots[i].place;

    if (tksp_token_read(key->token, place->locator)) {
        return tks_fail(err, TKS_ERR_DATA,
                        "the token has the form of a generated one: it cannot be moved");
    }
    op->app = tksp_arena_dup(arena, key->app);
    op->type = tksp_arena_dup(arena, key->type);
    tksp_key_locate(key->app, key->type, key->owner, place->locator);
    tksp_key_field(tokens->config.peppers[0], key->app, key->type, key->token, place->field);
    const tks_bytes words[] = {
        TKS_LITERAL("4"),
        tksp_word_key(op, place),
        tksp_word_alias(op, place),
        tksp_arena_dup(arena, key->key),
        word_moved(op),
        tksp_word_echo(op, place),
        tksp_word_field(op, place),
        tksp_word_tail(op, &(tksp_record){.owner = key->owner, .data = data}),
        alias_text(op, place),
        tksp_arena_dup(arena, key->value),
        key->random ? TKS_LITERAL("1") : TKS_LITERAL("0"),
    };
    if (arena->status != TKS_OK) return TKS_ERR_MEMORY;
    return tksp_tokens_add(op, &tksp_script_move, sizeof words / sizeof words[0], words, words[1]);
}

static tks_status begin(tksp_tokens_op *op) {
    (void)op;
    return TKS_OK;
}

static tks_status finish(tksp_tokens_op *op) {
    tks_op *base = &op->base;
    const tks_reply **outcomes =
        tksp_arena_alloc(&base->arena, (base->count + 1) * sizeof *outcomes);
    if (outcomes == NULL) return TKS_ERR_MEMORY;
    for (size_t i = 0; i < base->count; i++) {
        tks_status status;
        const tks_reply *reply = tksp_checked_reply(op, i, &op->slots[i].place, &status);
        if (reply == NULL) return status;
        int64_t outcome = tksp_reply_integer_at(reply, 1, -1);
        if (outcome < TKS_MOVED_GONE || outcome > TKS_MOVED_TAKEN) {
            return tksp_op_fail_foreign(&op->base);
        }
        outcomes[i] = tks_reply_get_item(reply, 1);
    }
    base->result.type = TKS_RESULT_REPLIES;
    base->result.replies = outcomes;
    base->result.size = base->count;
    return TKS_OK;
}

static const tksp_tokens_kind move_kind = {.base = {TKSP_TOKENS_BASE},
                                           .begin = begin,
                                           .finish = finish};

/* Sent twice is moved once: the second time, the script knows what it moved. */
tks_status tks_move_new(const tks_tokens *tokens, size_t capacity, tks_op **out, tks_error *err) {
    tksp_tokens_op *op;
    *out = NULL;
    tks_bytes none = tks_bytes_of(NULL, 0);
    tks_status status =
        tksp_tokens_op_new(tokens, &move_kind, TKS_IDEMPOTENT, none, none, capacity, &op, err);
    if (status != TKS_OK) return status;
    op->phase = TKSP_BEGUN;
    return tksp_tokens_op_ready(op, status, out, err);
}

tks_status tks_move_add(tks_op *base, const tks_tokens *tokens, const tks_foreign *key,
                        tks_error *err) {
    tksp_tokens_op *op = (tksp_tokens_op *)base;
    tks_buf data;
    if (base->count >= op->size) {
        return tks_fail(err, TKS_ERR_DATA, "more keys than the operation was made for");
    }
    tks_status status = check(key, err);
    if (status != TKS_OK) return status;
    tks_buf_init(&data, SIZE_MAX);
    status = write_data(key->value, op->config.max_data_size, &data, err);
    if (status == TKS_OK) status = add(op, tokens, key, tks_buf_bytes(&data), err);
    tks_buf_wipe(&data);
    return status == TKS_ERR_MEMORY ? tks_fail_memory(err) : status;
}
