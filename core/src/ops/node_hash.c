/* node_hash.c - make_hash, get_hash, take_hash, del_hash: a value of a Tokenstore behind a random name. */
#include "node_tokens_private.h"

/* ---- make_hash ---- */

static tks_status finish_make(tks_op *op, int64_t now_ms) {
    (void)now_ms;
    if (tks_reply_get_type(op->commands[0].reply) != TKS_REPLY_STATUS)
        return tksp_op_fail_foreign(op);
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
    if (ttl_ms < 1000 || ttl_ms > TKS_DURATION_MAX_MS)
        return tks_fail(err, TKS_ERR_DATA, "ttl must be 1 to 315360000 seconds");
    if (value.size > store->max_data_size)
        return tks_fail(err, TKS_ERR_DATA, "value: %zu bytes, over the limit of %zu", value.size,
                        store->max_data_size);
    tks_buf_init(&hash, 2 * sizeof random);
    tks_random(random, store->hash_size);
    tks_status status = tks_encode(TKS_HEX, random, store->hash_size, &hash);
    if (status == TKS_OK)
        status = tksp_node_op_new(store, sizeof *node, &make_kind, TKS_IDEMPOTENT,
                                  tks_buf_bytes(&hash), &node, err);
    else
        status = tks_fail_memory(err);
    tks_wipe(random, sizeof random);
    tks_buf_wipe(&hash);
    if (status != TKS_OK) return status;
    const tks_bytes words[] = {TKS_LITERAL("SET"), tksp_node_word(node, "hash:", node->subject),
                               tksp_arena_dup(&node->op.arena, value), TKS_LITERAL("PX"),
                               tksp_node_int(node, ttl_ms)};
    status = tksp_node_send(node, NULL, 5, words, words[1]);
    return tksp_node_op_ready(node, status, out, err);
}

/* ---- get_hash, take_hash, del_hash ---- */

static tks_status set_text(tks_op *op, const tks_reply *reply) {
    op->result.type = TKS_RESULT_TEXT;
    op->result.text = tks_bytes_of(NULL, 0);
    if (reply == NULL || tks_reply_get_type(reply) == TKS_REPLY_NIL) return TKS_OK;
    if (tks_reply_get_type(reply) != TKS_REPLY_STRING) return tksp_op_fail_foreign(op);
    op->result.text = tks_reply_get_bytes(reply); /* the operation keeps the reply */
    if (op->result.text.data == NULL) op->result.text = TKS_LITERAL("");
    return TKS_OK;
}

static tks_status finish_get(tks_op *op, int64_t now_ms) {
    (void)now_ms;
    return set_text(op, op->count == 0 ? NULL : op->commands[0].reply);
}

static tks_status finish_take(tks_op *op, int64_t now_ms) {
    tks_status status;
    (void)now_ms;
    if (op->count == 0) return set_text(op, NULL);
    const tks_reply *reply = tksp_node_checked_reply((tksp_node_op *)op, 0, &status);
    return reply == NULL ? status : set_text(op, tks_reply_get_item(reply, 1));
}

static tks_status finish_del(tks_op *op, int64_t now_ms) {
    (void)now_ms;
    op->result.type = TKS_RESULT_BOOL;
    op->result.integer = 0;
    if (op->count == 0) return TKS_OK;
    const tks_reply *reply = op->commands[0].reply;
    if (tks_reply_get_type(reply) != TKS_REPLY_INTEGER) return tksp_op_fail_foreign(op);
    op->result.integer = tks_reply_get_integer(reply) > 0;
    return TKS_OK;
}

static const tksp_op_kind get_kind = {.finish = finish_get,
                                      .clear = tksp_node_op_clear,
                                      .cluster_advice = tksp_node_cluster_advice};
static const tksp_op_kind take_kind = {.finish = finish_take,
                                       .clear = tksp_node_op_clear,
                                       .cluster_advice = tksp_node_cluster_advice};
static const tksp_op_kind del_kind = {.finish = finish_del,
                                      .clear = tksp_node_op_clear,
                                      .cluster_advice = tksp_node_cluster_advice};

/* An operation about a presented hash; *possible: such a one could exist. */
static tks_status begin(const tks_node_tokens *store, const tksp_op_kind *kind, tks_safety safety,
                        tks_bytes hash, bool *possible, tksp_node_op **out, tks_error *err) {
    *possible = tksp_node_is_possible_id(hash);
    return tksp_node_op_new(store, sizeof **out, kind, safety, *possible ? hash : TKS_LITERAL(""),
                            out, err);
}

tks_status tks_node_tokens_get_hash(const tks_node_tokens *store, tks_bytes hash, tks_op **out,
                                    tks_error *err) {
    tksp_node_op *node;
    bool possible;
    *out = NULL;
    tks_status status = begin(store, &get_kind, TKS_READ, hash, &possible, &node, err);
    if (status != TKS_OK) return status;
    if (possible) {
        const tks_bytes words[] = {TKS_LITERAL("GET"), tksp_node_word(node, "hash:", hash)};
        status = tksp_node_send(node, NULL, 2, words, words[1]);
    }
    return tksp_node_op_ready(node, status, out, err);
}

/* A script, not GETDEL: that came with Redis 6.2. */
tks_status tks_node_tokens_take_hash(const tks_node_tokens *store, tks_bytes hash, tks_op **out,
                                     tks_error *err) {
    tksp_node_op *node;
    bool possible;
    *out = NULL;
    tks_status status = begin(store, &take_kind, TKS_ONCE, hash, &possible, &node, err);
    if (status != TKS_OK) return status;
    if (possible) {
        const tks_bytes words[] = {TKS_LITERAL("1"), tksp_node_word(node, "hash:", hash),
                                   node->subject};
        status = tksp_node_send(node, &tksp_script_node_take, 3, words, words[1]);
    }
    return tksp_node_op_ready(node, status, out, err);
}

tks_status tks_node_tokens_del_hash(const tks_node_tokens *store, tks_bytes hash, tks_op **out,
                                    tks_error *err) {
    tksp_node_op *node;
    bool possible;
    *out = NULL;
    tks_status status = begin(store, &del_kind, TKS_ONCE, hash, &possible, &node, err);
    if (status != TKS_OK) return status;
    if (possible) {
        const tks_bytes words[] = {TKS_LITERAL("DEL"), tksp_node_word(node, "hash:", hash)};
        status = tksp_node_send(node, NULL, 2, words, words[1]);
    }
    return tksp_node_op_ready(node, status, out, err);
}
