/* node_one.c - add, get, get_key, set, delete, delete_key: one token of a Tokenstore. */
#include "node_tokens_private.h"

enum {
    ID_SIZE = 36,
    RECORD_OVERHEAD_MAX = 16 * 1024 /* owner and key of 1024 bytes, each escaped, and the names */
};

/* ---- making ---- */

/* A random UUID. Source: RFC 9562, section 5.4. */
static void make_id(char out[ID_SIZE]) {
    static const char digits[] = "0123456789abcdef";
    unsigned char random[16];
    size_t at = 0;
    tks_random(random, sizeof random);
    random[6] = (unsigned char)((random[6] & 0x0f) | 0x40);
    random[8] = (unsigned char)((random[8] & 0x3f) | 0x80);
    for (size_t i = 0; i < sizeof random; i++) {
        if (i == 4 || i == 6 || i == 8 || i == 10) out[at++] = '-';
        out[at++] = digits[random[i] >> 4];
        out[at++] = digits[random[i] & 15];
    }
}

/* The length of valid UTF-8 as JavaScript counts it: in UTF-16 code units. */
static size_t javascript_length(tks_bytes text) {
    size_t length = 0;
    for (size_t i = 0; i < text.size; i++) {
        unsigned char c = (unsigned char)text.data[i];
        if ((c & 0xc0) != 0x80) length += c >= 0xf0 ? 2 : 1;
    }
    return length;
}

/* Appends `text` as a JSON string; `name` is its name in messages. */
static tks_status write_text(tks_buf *out, tks_bytes text, const char *name, tks_error *err) {
    tks_json_writer w;
    tks_json_writer_init(&w, out, SIZE_MAX, name, err);
    return tks_json_write_string(&w, text);
}

/* The record, with its members in the order of the Node package. */
static tks_status write_record(tks_buf *out, tks_bytes owner_id, tks_bytes attrs, tks_bytes key,
                               tks_bytes id, tks_error *err) {
    tks_status status = tks_buf_append_bytes(out, TKS_LITERAL("{\"owner_id\":"));
    if (status == TKS_OK) status = write_text(out, owner_id, "owner_id", err);
    if (status != TKS_OK) return status;
    tks_buf_append_bytes(out, TKS_LITERAL(",\"attrs\":"));
    tks_buf_append_bytes(out, attrs);
    status = tks_buf_append_bytes(out, TKS_LITERAL(",\"key\":"));
    if (status == TKS_OK) status = write_text(out, key, "key", err);
    if (status != TKS_OK) return status;
    tks_buf_append_bytes(out, TKS_LITERAL(",\"id\":\""));
    tks_buf_append_bytes(out, id);
    return tks_buf_append_bytes(out, TKS_LITERAL("\"}"));
}

static tks_status check_attrs(const tks_node_tokens *store, tks_bytes attrs, tks_error *err) {
    tks_status status = tks_json_check(attrs, store->max_data_size, err);
    if (status == TKS_OK && attrs.data[0] != '{') {
        status = tks_fail(err, TKS_ERR_DATA, "attrs is not an object: give names and values");
    }
    return status;
}

/* ---- add ---- */

typedef struct add_op {
    tksp_node_op node;
    tks_bytes key, record, set;
    bool cleaning; /* it is done; only the owner's set is being cleaned */
} add_op;

/* Looks whether the ids in `reply`, from the third item on, are dead. */
static tks_status send_clean(add_op *self, const tks_reply *reply) {
    enum { FIRST = 2 };
    tks_op *op = &self->node.op;
    size_t count = tks_reply_get_size(reply) - FIRST;
    tksp_node_id *ids = tksp_arena_alloc(&op->arena, count * sizeof *ids);
    if (ids == NULL) return TKS_ERR_MEMORY;
    for (size_t i = 0; i < count; i++) {
        const tks_reply *id = tks_reply_get_item(reply, FIRST + i);
        if (tks_reply_get_type(id) != TKS_REPLY_STRING) return tksp_op_fail_foreign(op);
        ids[i] = (tksp_node_id){tksp_arena_dup(&op->arena, tks_reply_get_bytes(id)), {NULL, 0}};
    }
    tksp_op_clear_commands(op);
    self->cleaning = true;
    return tksp_node_send_clean(&self->node, self->set, ids, count);
}

static tks_status finish_add(tks_op *op, int64_t now_ms) {
    add_op *self = (add_op *)op;
    tks_status status;
    (void)now_ms;
    const tks_reply *reply = tksp_node_checked_reply(&self->node, 0, self->node.subject, &status);
    if (self->cleaning) {
        if (reply != NULL) return TKS_OK;
        (void)tksp_op_take_failure(op);
        op->trust = TKS_TRUST_CLOSE;
        return TKS_OK;
    }
    if (reply == NULL) return status;
    const tks_reply *stored = tks_reply_get_item(reply, 1);
    if (stored == NULL || tks_reply_get_type(stored) != TKS_REPLY_INTEGER) {
        return tksp_op_fail_foreign(op);
    }
    op->refused = tks_reply_get_integer(stored) == 0;
    if (op->refused) {
        return tksp_op_fail(op, TKS_ERR_DATA, "key is already in use: use another one, or omit it");
    }
    status = tksp_node_read(&self->node, self->node.subject, self->key, self->record);
    op->result.type = TKS_RESULT_JSON;
    op->result.values = self->node.values;
    if (status != TKS_OK || tks_reply_get_size(reply) == 2) return status;
    return send_clean(self, reply);
}

/* The token is there, however the set is left. */
static bool spare_add(tks_op *op, const char *why) {
    (void)why;
    return ((add_op *)op)->cleaning;
}

static const tksp_op_kind add_kind = {.finish = finish_add,
                                      .audit = &tksp_node_audit,
                                      .spare = spare_add,
                                      .clear = tksp_node_op_clear,
                                      .cluster_advice = tksp_node_cluster_advice};

static tks_status check_key(const tks_node_tokens *store, tks_bytes key, tks_error *err) {
    tks_status status = tksp_check_name(key, "key", err);
    if (status == TKS_OK && javascript_length(key) != store->key_size) {
        status = tks_fail(err, TKS_ERR_DATA, "key must be %zu characters long, this store's size",
                          store->key_size);
    }
    return status;
}

static tks_status add_command(add_op *self, tks_bytes owner_id, int64_t duration_ms) {
    tksp_node_op *node = &self->node;
    self->set = tksp_node_word(node, "tokens:", owner_id);
    const tks_bytes words[] = {
        TKS_LITERAL("3"),
        tksp_node_word(node, "key:", self->key),
        tksp_node_word(node, "id:", node->subject),
        self->set,
        node->subject,
        self->key,
        self->record,
        tksp_arena_int(&node->op.arena, duration_ms),
    };
    return tksp_node_send(node, &tksp_script_node_add, 8, words, words[1]);
}

tks_status tks_node_tokens_add(const tks_node_tokens *store, tks_bytes owner_id, tks_bytes attrs,
                               tks_bytes key, int64_t duration_ms, tks_op **out, tks_error *err) {
    char made_key[TKS_NODE_KEY_SIZE_MAX], made_id[ID_SIZE];
    tks_bytes id = tks_bytes_of(made_id, ID_SIZE);
    tksp_node_op *node = NULL;
    tks_buf record;
    *out = NULL;
    tks_status status = tksp_check_name(owner_id, "owner_id", err);
    if (status == TKS_OK) status = check_attrs(store, attrs, err);
    if (status == TKS_OK && key.data != NULL) status = check_key(store, key, err);
    if (status == TKS_OK && duration_ms != 0) {
        status = tksp_check_duration(duration_ms, "duration", err);
    }
    if (status != TKS_OK) return status;
    if (key.data == NULL) {
        tks_random_letters(made_key, store->key_size);
        key = tks_bytes_of(made_key, store->key_size);
    }
    make_id(made_id);
    tks_buf_init(&record, attrs.size + RECORD_OVERHEAD_MAX);
    status = write_record(&record, owner_id, attrs, key, id, err);
    if (status == TKS_OK) {
        status = tksp_node_op_new(store, sizeof(add_op), &add_kind, TKS_IDEMPOTENT, id, &node, err);
    }
    if (status == TKS_OK) {
        add_op *self = (add_op *)node;
        self->key = tksp_arena_dup(&node->op.arena, key);
        self->record = tksp_arena_dup(&node->op.arena, tks_buf_bytes(&record));
        status = tksp_node_op_ready(node, add_command(self, owner_id, duration_ms), out, err);
    }
    tks_buf_wipe(&record);
    tks_wipe(made_key, sizeof made_key);
    return status == TKS_ERR_MEMORY ? tks_fail_memory(err) : status;
}

/* ---- get, get_key ---- */

/* Two plain reads: what id and record say of each other is checked, so no script need see both at once. */
typedef struct get_op {
    tksp_node_op node;
    tks_bytes key; /* as the id says; empty: it is being read */
} get_op;

static tks_status send_get_key(tksp_node_op *node, tks_bytes key) {
    const tks_bytes words[] = {TKS_LITERAL("GET"), tksp_node_word(node, "key:", key)};
    tks_status status = tksp_node_send(node, NULL, 2, words, words[1]);
    if (status == TKS_OK) node->op.commands[0].any_type = true;
    return status;
}

/* Takes the record under `key`, of the token `id` (empty: any). */
static tks_status take_record(tksp_node_op *node, tks_bytes id, tks_bytes key) {
    if (tksp_op_found_nothing(&node->op, 0)) return TKS_OK;
    const tks_reply *reply = node->op.commands[0].reply;
    if (tks_reply_get_type(reply) != TKS_REPLY_STRING) return tksp_op_fail_foreign(&node->op);
    return tksp_node_read(node, id, key, tks_reply_get_bytes(reply));
}

static tks_status finish_get(tks_op *op, int64_t now_ms) {
    get_op *self = (get_op *)op;
    const tks_reply *key;
    (void)now_ms;
    op->result.type = TKS_RESULT_JSON;
    op->result.values = self->node.values;
    if (op->count == 0) return TKS_OK;
    if (self->key.size > 0) return take_record(&self->node, self->node.subject, self->key);
    tks_status status = tksp_node_take_get(&self->node, &key);
    if (key == NULL || tks_reply_get_bytes(key).size == 0) return status;
    self->key = tksp_arena_dup(&op->arena, tks_reply_get_bytes(key));
    if (op->arena.status != TKS_OK) return TKS_ERR_MEMORY;
    tksp_op_clear_commands(op);
    return send_get_key(&self->node, self->key);
}

static const tksp_op_kind get_kind = {.finish = finish_get,
                                      .clear = tksp_node_op_clear,
                                      .cluster_advice = tksp_node_cluster_advice};

tks_status tks_node_tokens_get(const tks_node_tokens *store, tks_bytes id, tks_op **out,
                               tks_error *err) {
    tksp_node_op *node;
    bool possible = tksp_node_is_possible_id(id);
    *out = NULL;
    tks_status status = tksp_node_op_new(store, sizeof(get_op), &get_kind, TKS_READ,
                                         possible ? id : TKS_LITERAL(""), &node, err);
    if (status != TKS_OK) return status;
    if (possible) status = tksp_node_send_get(node, tksp_node_word(node, "id:", id));
    return tksp_node_op_ready(node, status, out, err);
}

static tks_status finish_get_key(tks_op *op, int64_t now_ms) {
    tksp_node_op *node = (tksp_node_op *)op;
    (void)now_ms;
    op->result.type = TKS_RESULT_JSON;
    op->result.values = node->values;
    return op->count > 0 ? take_record(node, tks_bytes_of(NULL, 0), node->subject) : TKS_OK;
}

static const tksp_op_kind get_key_kind = {.finish = finish_get_key,
                                          .clear = tksp_node_op_clear,
                                          .cluster_advice = tksp_node_cluster_advice};

tks_status tks_node_tokens_get_key(const tks_node_tokens *store, tks_bytes key, tks_op **out,
                                   tks_error *err) {
    tksp_node_op *node;
    bool possible = tksp_is_possible_token(key);
    *out = NULL;
    tks_status status = tksp_node_op_new(store, sizeof *node, &get_key_kind, TKS_READ,
                                         possible ? key : TKS_LITERAL(""), &node, err);
    if (status != TKS_OK) return status;
    if (possible) status = send_get_key(node, node->subject);
    return tksp_node_op_ready(node, status, out, err);
}

/* ---- set, delete, delete_key ---- */

static const tksp_op_kind bool_kind = {.finish = tksp_node_finish_bool,
                                       .audit = &tksp_node_audit,
                                       .clear = tksp_node_op_clear,
                                       .cluster_advice = tksp_node_cluster_advice};

/* Sends `script` for the key of `kind`. `attrs`: only for set. */
static tks_status make_change(const tks_node_tokens *store, const tksp_script *script,
                              const char *kind, bool possible, tks_bytes subject, tks_bytes attrs,
                              tks_op **out, tks_error *err) {
    tksp_node_op *node;
    *out = NULL;
    tks_status status = tksp_node_op_new(store, sizeof *node, &bool_kind, TKS_ONCE,
                                         possible ? subject : TKS_LITERAL(""), &node, err);
    if (status != TKS_OK) return status;
    if (possible) {
        const tks_bytes words[] = {TKS_LITERAL("1"), tksp_node_word(node, kind, subject),
                                   node->subject, node->base,
                                   tksp_arena_dup(&node->op.arena, attrs)};
        status = tksp_node_send(node, script, attrs.size > 0 ? 5 : 4, words, words[1]);
    }
    return tksp_node_op_ready(node, status, out, err);
}

/* By its id: with the id alone, the script only reads. */
static tks_status make_change_by_id(const tks_node_tokens *store, const tksp_script *script,
                                    tks_bytes id, tks_bytes attrs, tks_op **out, tks_error *err) {
    tks_status status =
        make_change(store, script, "id:", tksp_node_is_possible_id(id), id, attrs, out, err);
    if (status == TKS_OK) (*out)->safety = TKS_READ;
    return status;
}

tks_status tks_node_tokens_set(const tks_node_tokens *store, tks_bytes id, tks_bytes attrs,
                               tks_op **out, tks_error *err) {
    *out = NULL;
    tks_status status = check_attrs(store, attrs, err);
    if (status != TKS_OK) return status;
    return make_change_by_id(store, &tksp_script_node_set, id, attrs, out, err);
}

tks_status tks_node_tokens_delete(const tks_node_tokens *store, tks_bytes id, tks_op **out,
                                  tks_error *err) {
    return make_change_by_id(store, &tksp_script_node_delete, id, tks_bytes_of(NULL, 0), out, err);
}

tks_status tks_node_tokens_delete_key(const tks_node_tokens *store, tks_bytes key, tks_op **out,
                                      tks_error *err) {
    return make_change(store, &tksp_script_node_delete_key, "key:", tksp_is_possible_token(key),
                       key, tks_bytes_of(NULL, 0), out, err);
}
