/* tokens_words.c - the words of commands, and the commands about aliases. */
#include "server.h"
#include "tokens_private.h"

enum {
    RECORD_OVERHEAD_MAX = 16 * 1024 /* an owner of 1024 bytes, each escaped, and the brackets */
};

/* ---- words ---- */

/* A buffer in the arena for a key: the word of every operation, built in place. */
static tks_buf begin_key(tksp_tokens_op *op) {
    size_t size = op->config.prefix.size + TKS_KEY_EXTRA_MAX;
    char *data = tksp_arena_alloc(&op->base.arena, size);
    return (
        tks_buf){.data = data, .capacity = data != NULL ? size : 0, .max = data != NULL ? size : 0};
}

static tks_bytes end_key(const tks_buf *word) {
    return word->data != NULL ? tks_buf_bytes(word) : tks_bytes_of(NULL, 0);
}

tks_bytes tksp_word_key(tksp_tokens_op *op, const tksp_place *place) {
    tks_buf word = begin_key(op);
    (void)tksp_key_owner(&word, op->config.prefix, op->app, op->type, place->locator);
    return end_key(&word);
}

tks_bytes tksp_word_alias(tksp_tokens_op *op, const tksp_place *place) {
    tks_buf word = begin_key(op);
    (void)tksp_key_alias(&word, op->config.prefix, op->app, op->type, place->field);
    return end_key(&word);
}

tks_bytes tksp_word_field(tksp_tokens_op *op, const tksp_place *place) {
    return tksp_arena_dup(&op->base.arena, tks_bytes_of(place->field, TKS_FIELD_SIZE));
}

tks_bytes tksp_word_name(tksp_tokens_op *op, const tksp_slot *slot) {
    char name[1 + TKS_FIELD_SIZE];
    if (!slot->by_id) return tksp_word_field(op, &slot->place);
    name[0] = '=';
    memcpy(name + 1, slot->place.field, TKS_FIELD_SIZE);
    return tksp_arena_dup(&op->base.arena, tks_bytes_of(name, sizeof name));
}

tks_bytes tksp_word_echo(tksp_tokens_op *op, const tksp_place *place) {
    static const char known[] = {[TKSP_UNKNOWN] = '2', [TKSP_YES] = '1', [TKSP_NO] = '0'};
    char echo[TKS_CHECK_SIZE + 1];
    memcpy(echo, place->field, TKS_CHECK_SIZE);
    echo[TKS_CHECK_SIZE] = known[tksp_server_ends_fields(op->base.server)];
    return tksp_arena_dup(&op->base.arena, tks_bytes_of(echo, sizeof echo));
}

tks_bytes tksp_word_max_age(tksp_tokens_op *op) {
    return tksp_arena_int(&op->base.arena, op->config.max_age_ms);
}

tks_bytes tksp_word_tail(tksp_tokens_op *op, const tksp_record *record) {
    tks_buf text;
    tks_buf_init(&text, record->data.size + RECORD_OVERHEAD_MAX);
    if (tksp_record_write_tail(&text, record) != TKS_OK) op->base.arena.status = TKS_ERR_MEMORY;
    tks_bytes tail = tksp_arena_dup(&op->base.arena, tks_buf_bytes(&text));
    tks_buf_wipe(&text);
    return tail;
}

tks_bytes tksp_generate_token(tksp_tokens_op *op, const char *locator) {
    char random[TKS_TOKEN_SIZE_MAX];
    tks_buf text;
    tks_buf_init(&text, TKS_TOKEN_EXTRA_MAX + 2 * TKS_TOKEN_SIZE_MAX + 1);
    tks_random(random, op->config.token_size);
    if (tksp_token_write(&text, op->config.encoding, locator, random, op->config.token_size) !=
        TKS_OK) {
        op->base.arena.status = TKS_ERR_MEMORY;
    }
    tks_bytes token = tksp_arena_dup(&op->base.arena, tks_buf_bytes(&text));
    tks_wipe(random, sizeof random);
    tks_buf_wipe(&text);
    return token;
}

tks_status tksp_tokens_add(tksp_tokens_op *op, const tksp_script *script, size_t argc,
                           const tks_bytes *argv, tks_bytes route) {
    tks_bytes *words = tksp_arena_alloc(&op->base.arena, argc * sizeof *words);
    if (words == NULL) return TKS_ERR_MEMORY;
    memcpy(words, argv, argc * sizeof *words);
    return tksp_op_add(&op->base, script, words, argc, route);
}

tks_status tksp_add_about(tksp_tokens_op *op, const tksp_script *script, const tksp_place *place,
                          tks_bytes name, tks_bytes more) {
    const tks_bytes words[] = {
        TKS_LITERAL("1"),          tksp_word_key(op, place),
        tksp_word_echo(op, place), name,
        tksp_word_max_age(op),     more,
    };
    return tksp_tokens_add(op, script, more.data != NULL ? 6 : 5, words, words[1]);
}

/* ---- aliases ---- */

tks_status tksp_extend_alias(tksp_tokens_op *op) {
    const tksp_slot *slot = &op->slots[0];
    if (!slot->aliased) return TKS_OK;
    const tks_bytes words[] = {
        TKS_LITERAL("PEXPIRE"), tksp_word_alias(op, &slot->place),
        tksp_arena_int(&op->base.arena, op->duration_ms + TKSP_ALIAS_SLACK_MS)};
    return tksp_tokens_add(op, NULL, 3, words, words[1]);
}

tks_status tksp_lengthen_alias(tksp_tokens_op *op, tks_bytes key) {
    const tksp_slot *slot = &op->slots[0];
    if (!slot->aliased) return TKS_OK;
    const tks_bytes words[] = {
        TKS_LITERAL("1"), key,
        tksp_arena_int(&op->base.arena, op->duration_ms + TKSP_ALIAS_SLACK_MS)};
    return tksp_tokens_add(op, &tksp_script_alias_extend, 3, words, words[1]);
}

tks_status tksp_drop_alias(tksp_tokens_op *op, tks_bytes key) {
    const tksp_slot *slot = &op->slots[0];
    if (!slot->aliased) return TKS_OK;
    const tks_bytes words[] = {
        TKS_LITERAL("1"), key, tksp_word_echo(op, &slot->place), slot->alias, TKS_LITERAL(""),
        TKS_LITERAL("0")};
    return tksp_tokens_add(op, &tksp_script_alias_claim, 6, words, key);
}
