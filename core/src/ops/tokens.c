/* tokens.c - options, and the parts that all token operations are put together from. */
#include "tokens_private.h"

#include <math.h>
#include <stdlib.h>

enum {
    SCRATCH_MAX = 64 * 1024,
    RECORD_OVERHEAD_MAX = 16 * 1024 /* an owner of 1024 bytes, each escaped, and the brackets */
};

/* ---- options ---- */

tks_status tks_duration(double seconds, const char *name, int64_t *out_ms, tks_error *err) {
    bool good = seconds >= 1.0 && seconds * 1000.0 <= (double)TKS_DURATION_MAX_MS;
    *out_ms = good ? (int64_t)llround(seconds * 1000.0) : 0;
    return tksp_check_duration(*out_ms, name, err);
}

tks_status tks_timeout(double seconds, int64_t *out_ms, tks_error *err) {
    *out_ms = 0;
    if (!(seconds > 0 && seconds * 1000.0 <= (double)TKS_DURATION_MAX_MS)) {
        return tks_fail(err, TKS_ERR_DATA,
                        "timeout must be more than 0 and at most 315360000 seconds");
    }
    *out_ms = (int64_t)ceil(seconds * 1000.0);
    return TKS_OK;
}

tks_status tks_tokens_new(const tks_tokens_options *options, tks_tokens **out, tks_error *err) {
    *out = NULL;
    tks_status status = tks_secret_start(err);
    tks_tokens_options o = *options;
    if (status == TKS_OK) status = tksp_options_complete(&tksp_tokens_options, &o, err);
    if (status != TKS_OK) return status;
    tks_tokens *tokens = calloc(1, sizeof *tokens);
    if (tokens == NULL) return tks_fail_memory(err);
    tksp_tokens_config *config = &tokens->config;
    config->prefix = tksp_arena_dup(&tokens->arena, o.prefix);
    config->pepper = tksp_arena_dup(&tokens->arena, o.pepper);
    config->encoding = o.encoding;
    config->token_size = o.token_size;
    config->max_data_size = o.max_data_size;
    config->max_age_ms = o.max_age_ms;
    config->touch_interval_ms = o.touch_interval_ms;
    config->max_per_owner = o.max_per_owner;
    config->owner_name = o.session ? "owner_id" : "owner";
    if (tokens->arena.status != TKS_OK) {
        tks_tokens_free(tokens);
        return tks_fail_memory(err);
    }
    *out = tokens;
    return TKS_OK;
}

void tks_tokens_free(tks_tokens *tokens) {
    if (tokens == NULL) return;
    tksp_arena_clear(&tokens->arena);
    free(tokens);
}

size_t tks_tokens_get_max_data_size(const tks_tokens *tokens) {
    return tokens->config.max_data_size;
}

/* ---- the operation ---- */

tks_status tksp_tokens_op_new(const tks_tokens *tokens, const tksp_op_kind *kind, tks_safety safety,
                              tks_bytes app, tks_bytes type, size_t size, tksp_tokens_op **out,
                              tks_error *err) {
    *out = NULL;
    tksp_tokens_op *op = (tksp_tokens_op *)tksp_op_new(sizeof *op, kind, safety);
    if (op == NULL) return tks_fail_memory(err);
    tksp_arena *arena = &op->base.arena;
    op->config = tokens->config;
    op->config.prefix = tksp_arena_dup(arena, tokens->config.prefix);
    op->app = tksp_arena_dup(arena, app);
    op->type = tksp_arena_dup(arena, type);
    if (size > 0) {
        op->slots = tksp_arena_alloc(arena, size * sizeof *op->slots);
        op->tokens = tksp_arena_alloc(arena, size * sizeof *op->tokens);
    }
    if (arena->status != TKS_OK) {
        tks_op_free(&op->base);
        return tks_fail_memory(err);
    }
    for (size_t i = 0; i < size; i++) {
        op->slots[i] = (tksp_slot){.command = SIZE_MAX};
        op->tokens[i] = (tks_token){.found = false};
    }
    op->size = size;
    *out = op;
    return TKS_OK;
}

tks_status tksp_tokens_op_ready(tksp_tokens_op *op, tks_status status, tks_op **out,
                                tks_error *err) {
    op->config.pepper = tks_bytes_of(NULL, 0); /* every digest is made; the store may go now */
    if (status == TKS_OK) status = op->base.arena.status;
    if (status != TKS_OK) {
        tks_op_free(&op->base);
        return status == TKS_ERR_MEMORY ? tks_fail_memory(err) : status;
    }
    *out = &op->base;
    return TKS_OK;
}

void tksp_tokens_op_clear(tks_op *op) {
    tksp_tokens_op *self = (tksp_tokens_op *)op;
    for (size_t i = 0; i < self->size; i++) {
        tks_json_free(self->slots[i].data);
        tks_reply_free(self->slots[i].reply);
    }
}

/* ---- words ---- */

/* Moves what `scratch` holds into the arena. */
static tks_bytes keep(tksp_tokens_op *op, tks_buf *scratch) {
    if (scratch->status != TKS_OK) op->base.arena.status = TKS_ERR_MEMORY;
    tks_bytes word = tksp_arena_dup(&op->base.arena, tks_buf_bytes(scratch));
    tks_buf_clear(scratch);
    return word;
}

tks_bytes tksp_word_record_key(tksp_tokens_op *op, const tksp_place *place) {
    /* The one word of the commonest operation: built in place. */
    tks_buf word;
    tks_bytes prefix = op->config.prefix;
    size_t size = prefix.size + TKS_RECORD_KEY_EXTRA;
    word =
        (tks_buf){.data = tksp_arena_alloc(&op->base.arena, size), .capacity = size, .max = size};
    if (word.data == NULL) return tks_bytes_of(NULL, 0);
    tksp_key_record(&word, prefix, place);
    return tks_buf_bytes(&word);
}

tks_bytes tksp_word_index_key(tksp_tokens_op *op, const tksp_place *owner_place, tks_bytes owner) {
    tks_buf scratch;
    tks_buf_init(&scratch, SCRATCH_MAX);
    tksp_key_index(&scratch, op->config.prefix, owner_place->tag, op->app, op->type, owner);
    return keep(op, &scratch);
}

tks_bytes tksp_word_names(tksp_tokens_op *op) {
    tks_buf scratch;
    tks_buf_init(&scratch, SCRATCH_MAX);
    tksp_key_names(&scratch, op->app, op->type);
    return keep(op, &scratch);
}

tks_bytes tksp_word_base(tksp_tokens_op *op) {
    tks_buf scratch;
    tks_buf_init(&scratch, SCRATCH_MAX);
    tks_buf_append_bytes(&scratch, op->config.prefix);
    tks_buf_append_char(&scratch, ':');
    return keep(op, &scratch);
}

tks_bytes tksp_word_check(tksp_tokens_op *op, const tksp_place *place) {
    return tksp_arena_dup(&op->base.arena, tks_bytes_of(place->digest, TKS_CHECK_SIZE));
}

tks_bytes tksp_word_max_age(tksp_tokens_op *op) {
    return tksp_arena_int(&op->base.arena, op->config.max_age_ms);
}

tks_bytes tksp_word_tail(tksp_tokens_op *op, tks_bytes owner, tks_bytes data, const char *tag) {
    tks_buf text;
    tks_buf_init(&text, data.size + RECORD_OVERHEAD_MAX);
    if (tksp_record_write_tail(&text, owner, data, tag) != TKS_OK) {
        op->base.arena.status = TKS_ERR_MEMORY;
    }
    tks_bytes tail = tksp_arena_dup(&op->base.arena, tks_buf_bytes(&text));
    tks_buf_wipe(&text);
    return tail;
}

tks_status tksp_tokens_add(tksp_tokens_op *op, const tksp_script *script, size_t argc,
                           const tks_bytes *argv, tks_bytes route) {
    tks_bytes *words = tksp_arena_alloc(&op->base.arena, argc * sizeof *words);
    if (words == NULL) return TKS_ERR_MEMORY;
    memcpy(words, argv, argc * sizeof *words);
    return tksp_op_add(&op->base, script, words, argc, route);
}

/* ---- answers ---- */

const tks_reply *tksp_checked_reply(tksp_tokens_op *op, size_t command, const tksp_place *place,
                                    tks_status *status) {
    const tks_reply *reply = op->base.commands[command].reply;
    const tks_reply *echo =
        tks_reply_get_type(reply) == TKS_REPLY_ARRAY ? tks_reply_get_item(reply, 0) : NULL;
    if (echo == NULL || tks_reply_get_type(echo) != TKS_REPLY_STRING ||
        !tks_bytes_equal(tks_reply_get_bytes(echo), tks_bytes_of(place->digest, TKS_CHECK_SIZE)) ||
        tks_reply_get_size(reply) < 1) {
        *status = tksp_op_fail_foreign(&op->base);
        return NULL;
    }
    *status = TKS_OK;
    return reply;
}

int64_t tksp_reply_integer_at(const tks_reply *reply, size_t i, int64_t otherwise) {
    const tks_reply *item = tks_reply_get_item(reply, i);
    if (item == NULL || tks_reply_get_type(item) != TKS_REPLY_INTEGER) return otherwise;
    return tks_reply_get_integer(item);
}

/* Source: redis.io, TIME: seconds and microseconds, both as texts. */
int64_t tksp_reply_time(const tks_reply *reply) {
    int64_t part[2] = {0, 0};
    if (tks_reply_get_size(reply) != 2 || tks_reply_get_type(reply) != TKS_REPLY_ARRAY) return -1;
    for (size_t i = 0; i < 2; i++) {
        tks_bytes digits = tks_reply_get_bytes(tks_reply_get_item(reply, i));
        if (digits.size == 0 || digits.size > 12) return -1;
        for (size_t at = 0; at < digits.size; at++) {
            if (digits.data[at] < '0' || digits.data[at] > '9') return -1;
            part[i] = part[i] * 10 + (digits.data[at] - '0');
        }
    }
    return part[0] * 1000 + part[1] / 1000;
}

tks_status tksp_fail_not_a_record(tksp_tokens_op *op) {
    op->base.refused = true;
    return tksp_op_fail(&op->base, TKS_ERR_DATA,
                        "the value at the token's key is not a tokenstore record: does another "
                        "program write to this prefix?");
}

tks_status tksp_read_token(tksp_tokens_op *op, size_t i, tks_bytes text, int64_t expires_ms) {
    tksp_slot *slot = &op->slots[i];
    tksp_record record;
    tks_error why;

    why.status = TKS_OK;
    tks_status status = tksp_record_read(text, &op->base.arena, &record, &why);
    if (status != TKS_OK) return tksp_op_fail(&op->base, status, "%s", why.message);
    if (!tks_bytes_equal(record.check, tks_bytes_of(slot->place.digest, TKS_CHECK_SIZE))) {
        return tksp_op_fail_foreign(&op->base);
    }
    /* It may have been moved here from another program. */
    status = tks_json_read_foreign(record.data, &slot->data, &why);
    if (status != TKS_OK) return tksp_op_fail(&op->base, status, "%s", why.message);

    tks_token *token = &op->tokens[i];
    bool has_id = token == op->base.expected && record.tag.size == 0;
    *token = (tks_token){
        .found = true,
        .app = op->app,
        .type = op->type,
        .owner = record.owner,
        .token = slot->token,
        .id = has_id ? token->id : tks_bytes_of(NULL, 0),
        .created_us = record.created_us,
        .expires_ms = expires_ms > 0 ? expires_ms : 0,
        .data = slot->data,
    };
    if (!has_id) tksp_set_id(op, i, record.tag.size > 0 ? record.tag.data : slot->place.tag);
    return op->base.arena.status;
}

void tksp_set_id(tksp_tokens_op *op, size_t i, const char *owner_tag) {
    const tksp_place *place = &op->slots[i].place;
    char id[TKS_TAG_SIZE + TKS_DIGEST_TEXT_SIZE];
    size_t size = 0;
    if (memcmp(owner_tag, place->tag, TKS_TAG_SIZE) != 0) {
        memcpy(id, place->tag, TKS_TAG_SIZE);
        size = TKS_TAG_SIZE;
    }
    memcpy(id + size, place->digest, TKS_DIGEST_TEXT_SIZE);
    op->tokens[i].id =
        tksp_arena_dup(&op->base.arena, tks_bytes_of(id, size + TKS_DIGEST_TEXT_SIZE));
}
