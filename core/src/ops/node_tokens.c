/* node_tokens.c - Tokenstore: its options, and what its operations share. */
#include "node_tokens_private.h"

#include <stdlib.h>

#include "declare.h"

enum { ID_SIZE = 36 };

const char tksp_node_cluster_advice[] =
    "on a cluster, Tokenstore's keys must share a slot: use a prefix in braces, such as "
    "\"{token}\"";

/* ---- options ---- */

tks_status tks_node_tokens_new(const tks_node_tokens_options *options, tks_node_tokens **out,
                               tks_error *err) {
    *out = NULL;
    tks_status status = tks_secret_start(err);
    tks_node_tokens_options o = *options;
    if (status == TKS_OK) status = tksp_options_complete(&tksp_node_options, &o, err);
    if (status != TKS_OK) return status;
    tks_node_tokens *store = calloc(1, sizeof *store);
    if (store == NULL) return tks_fail_memory(err);
    char base[TKS_PREFIX_MAX + 1];
    memcpy(base, o.prefix.data, o.prefix.size);
    base[o.prefix.size] = ':';
    store->base = tksp_arena_dup(&store->arena, tks_bytes_of(base, o.prefix.size + 1));
    store->key_size = o.size;
    store->hash_size = o.hash_size;
    store->max_data_size = o.max_data_size;
    store->durability = o.durability;
    if (store->arena.status != TKS_OK) {
        tks_node_tokens_free(store);
        return tks_fail_memory(err);
    }
    *out = store;
    return TKS_OK;
}

void tks_node_tokens_free(tks_node_tokens *store) {
    if (store == NULL) return;
    tksp_arena_clear(&store->arena);
    free(store);
}

size_t tks_node_tokens_get_max_data_size(const tks_node_tokens *store) {
    return store->max_data_size;
}

/* ---- the operation ---- */

tks_status tksp_node_op_new(const tks_node_tokens *store, size_t bytes, const tksp_op_kind *kind,
                            tks_safety safety, tks_bytes subject, tksp_node_op **out,
                            tks_error *err) {
    *out = NULL;
    tksp_node_op *op = (tksp_node_op *)tksp_op_new(bytes, kind, safety);
    if (op == NULL) return tks_fail_memory(err);
    op->op.durability = store->durability;
    op->base = tksp_arena_dup(&op->op.arena, store->base);
    op->subject = tksp_arena_dup(&op->op.arena, subject);
    op->values = tksp_arena_alloc(&op->op.arena, sizeof *op->values);
    if (op->op.arena.status != TKS_OK) {
        tks_op_free(&op->op);
        return tks_fail_memory(err);
    }
    op->values[0] = NULL;
    op->safety = safety;
    *out = op;
    return TKS_OK;
}

tks_status tksp_node_op_ready(tksp_node_op *op, tks_status status, tks_op **out, tks_error *err) {
    if (status == TKS_OK) status = op->op.arena.status;
    if (status != TKS_OK) {
        tks_op_free(&op->op);
        return status == TKS_ERR_MEMORY ? tks_fail_memory(err) : status;
    }
    *out = &op->op;
    return TKS_OK;
}

static void name(const tks_op *base, tksp_audit_names *out) {
    const tksp_node_op *op = (const tksp_node_op *)base;
    *out = (tksp_audit_names){.prefix = tks_bytes_of(op->base.data, op->base.size - 1),
                              .type = TKS_LITERAL("tokenstore")};
}

const tksp_audit_kind tksp_node_audit = {.name = name};

void tksp_node_op_clear(tks_op *op) {
    tksp_node_op *self = (tksp_node_op *)op;
    for (size_t i = 0; i < self->size; i++) tks_json_free((tks_json *)self->values[i]);
}

bool tksp_node_is_possible_id(tks_bytes id) {
    return tksp_is_possible_token(id) && memchr(id.data, ':', id.size) == NULL;
}

/* ---- commands ---- */

tks_bytes tksp_node_word(tksp_node_op *op, const char *kind, tks_bytes name) {
    size_t kind_size = strlen(kind), size = op->base.size + kind_size + name.size;
    char *word = tksp_arena_alloc(&op->op.arena, size);
    if (word == NULL) return tks_bytes_of(NULL, 0);
    memcpy(word, op->base.data, op->base.size);
    memcpy(word + op->base.size, kind, kind_size);
    memcpy(word + op->base.size + kind_size, name.data, name.size);
    return tks_bytes_of(word, size);
}

tks_status tksp_node_send(tksp_node_op *op, const tksp_script *script, size_t argc,
                          const tks_bytes *argv, tks_bytes route) {
    tks_bytes *words = tksp_arena_alloc(&op->op.arena, argc * sizeof *words);
    if (words == NULL) return TKS_ERR_MEMORY;
    memcpy(words, argv, argc * sizeof *words);
    return tksp_op_add(&op->op, script, words, argc, route);
}

/* A plain command costs the server a third of a script. */
tks_status tksp_node_send_get(tksp_node_op *op, tks_bytes key) {
    const tks_bytes echo[] = {TKS_LITERAL("ECHO"), op->subject};
    const tks_bytes words[] = {TKS_LITERAL("GET"), key};
    tks_status status = tksp_node_send(op, NULL, 2, echo, key);
    if (status == TKS_OK) status = tksp_node_send(op, NULL, 2, words, key);
    if (status == TKS_OK) op->op.commands[1].any_type = true;
    return status;
}

tks_status tksp_node_send_clean(tksp_node_op *op, tks_bytes set, const tksp_node_id *gone,
                                size_t count) {
    tks_bytes *words = tksp_arena_alloc(&op->op.arena, (4 + 3 * count) * sizeof *words);
    if (words == NULL) return TKS_ERR_MEMORY;
    size_t at = 1;
    words[at++] = set;
    for (size_t i = 0; i < count; i++) words[at++] = tksp_node_word(op, "id:", gone[i].id);
    for (size_t i = 0; i < count; i++) {
        if (gone[i].key.size > 0) words[at++] = tksp_node_word(op, "key:", gone[i].key);
    }
    words[0] = tksp_arena_int(&op->op.arena, (int64_t)at - 1);
    words[at++] = op->subject;
    words[at++] = op->base;
    for (size_t i = 0; i < count; i++) words[at++] = gone[i].id;
    if (op->op.arena.status != TKS_OK) return TKS_ERR_MEMORY;
    return tksp_op_add(&op->op, &tksp_script_node_clean, words, at, set);
}

/* ---- answers ---- */

tks_status tksp_node_check_echo(tksp_node_op *op, size_t command, tks_bytes echo) {
    const tks_reply *reply = op->op.commands[command].reply;
    if (tks_reply_get_type(reply) == TKS_REPLY_STRING &&
        tks_bytes_equal(tks_reply_get_bytes(reply), echo)) {
        return TKS_OK;
    }
    return tksp_op_fail_foreign(&op->op);
}

tks_status tksp_node_take_get(tksp_node_op *op, const tks_reply **value) {
    *value = NULL;
    tks_status status = tksp_node_check_echo(op, 0, op->subject);
    if (status != TKS_OK || tksp_op_found_nothing(&op->op, 1)) return status;
    if (tks_reply_get_type(op->op.commands[1].reply) != TKS_REPLY_STRING) {
        return tksp_op_fail_foreign(&op->op);
    }
    *value = op->op.commands[1].reply;
    return TKS_OK;
}

const tks_reply *tksp_node_checked_reply(tksp_node_op *op, size_t command, tks_bytes echo,
                                         tks_status *status) {
    const tks_reply *reply = op->op.commands[command].reply;
    const tks_reply *first =
        tks_reply_get_type(reply) == TKS_REPLY_ARRAY ? tks_reply_get_item(reply, 0) : NULL;
    if (first == NULL || tks_reply_get_type(first) != TKS_REPLY_STRING ||
        !tks_bytes_equal(tks_reply_get_bytes(first), echo)) {
        *status = tksp_op_fail_foreign(&op->op);
        return NULL;
    }
    *status = TKS_OK;
    return reply;
}

tks_status tksp_node_finish_bool(tks_op *op, int64_t now_ms) {
    (void)now_ms;
    op->result.type = TKS_RESULT_BOOL;
    op->result.integer = 0;
    if (op->count == 0) return TKS_OK;
    tksp_node_op *node = (tksp_node_op *)op;
    bool again;
    tks_status status = tksp_declare(op, node->subject, node->safety, &node->asked, &again);
    if (status != TKS_OK || again) return status;
    const tks_reply *reply = tksp_node_checked_reply(node, 0, node->subject, &status);
    if (reply == NULL) return status;
    const tks_reply *item = tks_reply_get_item(reply, 1);
    if (item == NULL || tks_reply_get_type(item) != TKS_REPLY_INTEGER) {
        return tksp_op_fail_foreign(op);
    }
    op->refused = tks_reply_get_integer(item) < 0;
    if (op->refused) {
        return tksp_op_fail(op, TKS_ERR_DATA,
                            "the stored value is not a readable token: nothing was changed");
    }
    op->result.integer = tks_reply_get_integer(item) > 0;
    return TKS_OK;
}

/* Writes " <id>" for a message, or nothing if it is not an id. Ids are public; other text may be
 * secret. */
static void name_token(tks_bytes id, char out[ID_SIZE + 2]) {
    static const char digits[] = "0123456789abcdef-";
    out[0] = '\0';
    if (id.size != ID_SIZE) return;
    for (size_t i = 0; i < id.size; i++) {
        if (id.data[i] == '\0' || strchr(digits, id.data[i]) == NULL) return;
    }
    out[0] = ' ';
    memcpy(out + 1, id.data, ID_SIZE);
    out[1 + ID_SIZE] = '\0';
}

static tks_status refuse_token(tksp_node_op *op, tks_bytes id, const char *problem) {
    char name[ID_SIZE + 2];
    name_token(id, name);
    op->op.refused = true;
    return tksp_op_fail(&op->op, TKS_ERR_DATA,
                        "the token%s is stored in an unreadable form (%.300s): delete removes it",
                        name, problem);
}

/* The text of a member that every token has. */
static bool get_text(const tks_json *token, const char *name, tks_bytes *out) {
    const tks_json *member =
        tks_json_get_type(token) == TKS_JSON_OBJECT ? tks_json_find(token, name) : NULL;
    if (member == NULL || tks_json_get_type(member) != TKS_JSON_STRING) return false;
    *out = tks_json_get_string(member);
    return true;
}

tks_status tksp_node_read(tksp_node_op *op, tks_bytes id, tks_bytes key, tks_bytes record) {
    tks_error why = TKS_ERROR_INIT;
    tks_json *token;
    tks_bytes stored_id, stored_key;
    tks_status status = tks_json_read_foreign(record, &token, &why);
    if (status == TKS_ERR_MEMORY) return TKS_ERR_MEMORY;
    if (status != TKS_OK) return refuse_token(op, id, why.message);
    if (!get_text(token, "id", &stored_id) || !get_text(token, "key", &stored_key)) {
        status = refuse_token(op, id, "not a JSON object with id and key");
    } else if (!tks_bytes_equal(stored_key, key)) {
        status = refuse_token(op, id, "it belongs to another key");
    } else if (id.size == 0 || tks_bytes_equal(stored_id, id)) {
        op->values[op->size++] = token;
        return TKS_OK;
    } /* otherwise the key now belongs to another token, and this id is dead */
    tks_json_free(token);
    return status;
}
