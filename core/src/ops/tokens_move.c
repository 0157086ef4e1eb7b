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

/* Appends `value` in the one spelling that records have. */
static tks_status write_data(tks_bytes value, size_t max_size, tks_buf *out, tks_error *err) {
    tks_json *tree;
    tks_json_writer w;
    tks_status status = tks_json_parse(value, SIZE_MAX, &tree, err);
    if (status == TKS_OK && tks_json_get_type(tree) != TKS_JSON_OBJECT)
        status = tks_fail(err, TKS_ERR_DATA, "the data is not an object");
    if (status == TKS_OK) {
        tks_json_writer_init(&w, out, max_size, "data", err);
        status = tks_json_write_tree(&w, tree);
    }
    tks_json_free(tree);
    return status;
}

/* The prefix's one key beside records and indexes: it has ten minutes' moves. */
static tks_bytes word_moved(tksp_tokens_op *op) {
    tks_buf word;
    tks_buf_init(&word, TKS_PREFIX_MAX + sizeof ":moved");
    tks_buf_append_bytes(&word, op->config.prefix);
    if (tks_buf_append(&word, ":moved", 6) != TKS_OK) op->base.arena.status = TKS_ERR_MEMORY;
    tks_bytes copy = tksp_arena_dup(&op->base.arena, tks_buf_bytes(&word));
    tks_buf_clear(&word);
    return copy;
}

static tks_status add(tksp_tokens_op *op, const tks_tokens *tokens, const tks_foreign *key,
                      tks_bytes data) {
    tksp_arena *arena = &op->base.arena;
    size_t i = op->base.count;
    tks_bytes pepper = tokens->config.pepper;
    tksp_place *place = &op->slots[i].place;
    tksp_place owner;

    op->app = tksp_arena_dup(arena, key->app);
    op->type = tksp_arena_dup(arena, key->type);
    tksp_key_owner(pepper, key->app, key->type, key->owner, &owner);
    tksp_key_place(pepper, key->app, key->type, key->token, place);
    tksp_set_id(op, i, owner.tag);
    bool foreign_tag = memcmp(owner.tag, place->tag, TKS_TAG_SIZE) != 0;
    const tks_bytes words[] = {
        TKS_LITERAL("4"),
        tksp_word_record_key(op, place),
        tksp_word_index_key(op, &owner, key->owner),
        tksp_arena_dup(arena, key->key),
        word_moved(op),
        tksp_word_check(op, place),
        tksp_word_tail(op, key->owner, data, foreign_tag ? owner.tag : NULL),
        op->tokens[i].id, /* as the index lists it */
        tksp_arena_dup(arena, key->value),
        key->random ? TKS_LITERAL("1") : TKS_LITERAL("0"),
    };
    if (arena->status != TKS_OK) return TKS_ERR_MEMORY;
    return tksp_tokens_add(op, &tksp_script_move, sizeof words / sizeof words[0], words, words[1]);
}

static tks_status finish(tks_op *base, int64_t now_ms) {
    tksp_tokens_op *op = (tksp_tokens_op *)base;
    const tks_reply **outcomes =
        tksp_arena_alloc(&base->arena, (base->count + 1) * sizeof *outcomes);
    (void)now_ms;
    if (outcomes == NULL) return TKS_ERR_MEMORY;
    for (size_t i = 0; i < base->count; i++) {
        tks_status status;
        const tks_reply *reply = tksp_checked_reply(op, i, &op->slots[i].place, &status);
        if (reply == NULL) return status;
        int64_t outcome = tksp_reply_integer_at(reply, 1, -1);
        if (outcome < TKS_MOVED_GONE || outcome > TKS_MOVED_TAKEN)
            return tksp_op_fail_foreign(&op->base);
        outcomes[i] = tks_reply_get_item(reply, 1);
    }
    base->result.type = TKS_RESULT_REPLIES;
    base->result.replies = outcomes;
    base->result.size = base->count;
    return TKS_OK;
}

static const tksp_op_kind move_kind = {.finish = finish, .clear = tksp_tokens_op_clear};

/* Sent twice is moved once: the second time, the script knows what it moved. */
tks_status tks_move_new(const tks_tokens *tokens, size_t capacity, tks_op **out, tks_error *err) {
    tksp_tokens_op *op;
    *out = NULL;
    tks_bytes none = tks_bytes_of(NULL, 0);
    tks_status status =
        tksp_tokens_op_new(tokens, &move_kind, TKS_IDEMPOTENT, none, none, capacity, &op, err);
    return status != TKS_OK ? status : tksp_tokens_op_ready(op, status, out, err);
}

tks_status tks_move_add(tks_op *base, const tks_tokens *tokens, const tks_foreign *key,
                        tks_error *err) {
    tksp_tokens_op *op = (tksp_tokens_op *)base;
    tks_buf data;
    if (base->count >= op->size)
        return tks_fail(err, TKS_ERR_DATA, "more keys than the operation was made for");
    tks_status status = check(key, err);
    if (status != TKS_OK) return status;
    tks_buf_init(&data, SIZE_MAX);
    status = write_data(key->value, op->config.max_data_size, &data, err);
    if (status == TKS_OK) status = add(op, tokens, key, tks_buf_bytes(&data));
    tks_buf_wipe(&data);
    return status == TKS_ERR_MEMORY ? tks_fail_memory(err) : status;
}
