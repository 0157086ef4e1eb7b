/* node_hash.c - make_hash, get_hash, take_hash, del_hash: values of a Tokenstore under random
 * names. */
#include "node_tokens_private.h"

/* ---- make_hash ---- */

static tks_status finish_make(tks_op *op, int64_t now_ms) {
    (void)now_ms;
    if (tks_reply_get_type(op->commands[0].reply) != TKS_REPLY_STATUS) {
        return tksp_op_fail_foreign(op);
    }
    op->result.type = TKS_RESULT_TEXT;
    op->result.text = ((tksp_node_op *)op)->subject;
    return TKS_OK;
}

static const tksp_op_kind make_kind = {.finish = finish_make,
                                       .clear = tksp_node_op_clear,
                                       .cluster_advice = tksp_node_cluster_advice};

tks_status tks_node_tokens_make_hash(const tks_node_tokens *store, tks_bytes value, int64_t ttl_ms,
                                     tks_op **out, tks_error *err) {
    unsigned char random[TKS_NODE_HASH_SIZE_MAX];
    tksp_node_op *node = NULL;
    tks_buf hash;
    *out = NULL;
    tks_status status = tksp_check_duration(ttl_ms, "ttl", err);
    if (status != TKS_OK) return status;
    if (value.size > store->max_data_size) {
        return tks_fail(err, TKS_ERR_DATA, "value: %zu bytes, over the limit of %zu", value.size,
                        store->max_data_size);
    }
    tks_buf_init(&hash, 2 * sizeof random);
    tks_random(random, store->hash_size);
    status = tks_encode(TKS_HEX, random, store->hash_size, &hash);
    if (status == TKS_OK) {
        status = tksp_node_op_new(store, sizeof *node, &make_kind, TKS_IDEMPOTENT,
                                  tks_buf_bytes(&hash), &node, err);
    } else {
        status = tks_fail_memory(err);
    }
    tks_wipe(random, sizeof random);
    tks_buf_wipe(&hash);
    if (status != TKS_OK) return status;
    const tks_bytes words[] = {TKS_LITERAL("SET"), tksp_node_word(node, "hash:", node->subject),
                               tksp_arena_dup(&node->op.arena, value), TKS_LITERAL("PX"),
                               tksp_arena_int(&node->op.arena, ttl_ms)};
    status = tksp_node_send(node, NULL, 5, words, words[1]);
    return tksp_node_op_ready(node, status, out, err);
}

/* ---- get_hash ---- */

static tks_status take_value(tks_op *op, const tks_reply *value) {
    op->result.type = TKS_RESULT_TEXT;
    op->result.text = tks_bytes_of(NULL, 0);
    if (value == NULL) return TKS_OK;
    if (tks_reply_get_type(value) != TKS_REPLY_STRING) return tksp_op_fail_foreign(op);
    op->result.text = tks_reply_get_bytes(value); /* the operation keeps the reply */
    return TKS_OK;
}

static tks_status finish_get(tks_op *op, int64_t now_ms) {
    const tks_reply *value = NULL;
    (void)now_ms;
    tks_status status = op->count > 0 ? tksp_node_take_get((tksp_node_op *)op, &value) : TKS_OK;
    return status == TKS_OK ? take_value(op, value) : status;
}

static const tksp_op_kind get_kind = {.finish = finish_get,
                                      .clear = tksp_node_op_clear,
                                      .cluster_advice = tksp_node_cluster_advice};

/* ---- take_hash, del_hash: one script ---- */

static tks_status send_take(tksp_node_op *node, tks_bytes key) {
    const tks_bytes words[] = {TKS_LITERAL("1"), key, node->subject};
    return tksp_node_send(node, &tksp_script_node_take_hash, 3, words, key);
}

/* The hash's value; NULL: not found. */
static tks_status taken(tks_op *op, const tks_reply **value) {
    tksp_node_op *node = (tksp_node_op *)op;
    tks_status status = TKS_OK;
    *value = NULL;
    if (op->count == 0) return TKS_OK;
    const tks_reply *reply = tksp_node_checked_reply(node, 0, node->subject, &status);
    if (reply != NULL) *value = tks_reply_get_item(reply, 1);
    return status;
}

static tks_status finish_take(tks_op *op, int64_t now_ms) {
    const tks_reply *value;
    (void)now_ms;
    tks_status status = taken(op, &value);
    return status == TKS_OK ? take_value(op, value) : status;
}

static tks_status finish_delete(tks_op *op, int64_t now_ms) {
    const tks_reply *value;
    (void)now_ms;
    tks_status status = taken(op, &value);
    op->result.type = TKS_RESULT_BOOL;
    op->result.integer = value != NULL;
    return status;
}

static const tksp_op_kind take_kind = {.finish = finish_take,
                                       .clear = tksp_node_op_clear,
                                       .cluster_advice = tksp_node_cluster_advice};
static const tksp_op_kind delete_kind = {.finish = finish_delete,
                                         .clear = tksp_node_op_clear,
                                         .cluster_advice = tksp_node_cluster_advice};

/* ---- making them ---- */

static tks_status make(const tks_node_tokens *store, const tksp_op_kind *kind, tks_safety safety,
                       tks_bytes hash, tks_status (*send)(tksp_node_op *node, tks_bytes key),
                       tks_op **out, tks_error *err) {
    bool possible = tksp_node_is_possible_id(hash);
    tksp_node_op *node;
    *out = NULL;
    tks_status status = tksp_node_op_new(store, sizeof *node, kind, safety,
                                         possible ? hash : TKS_LITERAL(""), &node, err);
    if (status != TKS_OK) return status;
    if (possible) status = send(node, tksp_node_word(node, "hash:", hash));
    return tksp_node_op_ready(node, status, out, err);
}

tks_status tks_node_tokens_get_hash(const tks_node_tokens *store, tks_bytes hash, tks_op **out,
                                    tks_error *err) {
    return make(store, &get_kind, TKS_READ, hash, tksp_node_send_get, out, err);
}

tks_status tks_node_tokens_take_hash(const tks_node_tokens *store, tks_bytes hash, tks_op **out,
                                     tks_error *err) {
    return make(store, &take_kind, TKS_ONCE, hash, send_take, out, err);
}

tks_status tks_node_tokens_del_hash(const tks_node_tokens *store, tks_bytes hash, tks_op **out,
                                    tks_error *err) {
    return make(store, &delete_kind, TKS_ONCE, hash, send_take, out, err);
}
