/* jwt_sessions.c - RedisJWT: its options, and what its operations share. */
#include "audit.h"
#include "jwt_sessions_private.h"

#include <stdlib.h>

#include "declare.h"

static const char index_prefix[] = "rjwt-sessions/"; /* no ':', unlike a session's key */

const char tksp_rjwt_cluster_advice[] =
    "on a cluster, a user's keys must share a slot: put the user's key in braces, such as "
    "\"{bob}\"";

/* ---- options ---- */

tks_status tks_jwt_sessions_new(const tks_jwt_sessions_options *options, tks_jwt_sessions **out,
                                tks_error *err) {
    *out = NULL;
    tks_status status = tks_secret_start(err);
    tks_jwt_sessions_options o = *options;
    if (status == TKS_OK) status = tksp_options_complete(&tksp_rjwt_options, &o, err);
    if (status != TKS_OK) return status;
    if (o.key_count == 0) {
        return tks_fail(err, TKS_ERR_CONFIGURATION,
                        "secret is missing: give a secret of at least 32 bytes, or a key");
    }
    if (o.key_count > TKS_JWT_TRIES_MAX) {
        return tks_fail(err, TKS_ERR_CONFIGURATION, "more than %d keys", TKS_JWT_TRIES_MAX);
    }
    const tks_key *signer = o.keys[0];
    if (!tks_key_can_sign(signer) ||
        (tks_key_get_algorithms(signer) & TKS_JWT_BIT(o.algorithm)) == 0) {
        return tks_fail(err, TKS_ERR_CONFIGURATION,
                        "the %s key cannot sign with %s: give the private key, or another "
                        "algorithm",
                        tks_key_get_kind_name(signer), tks_jwt_alg_name(o.algorithm));
    }
    tks_jwt_sessions *sessions = calloc(1, sizeof *sessions);
    tks_key **keys = calloc(o.key_count, sizeof *keys);
    tksp_rjwt_memory *memory = tksp_rjwt_memory_new();
    if (sessions == NULL || keys == NULL || memory == NULL) {
        tksp_rjwt_memory_free(memory);
        free(keys);
        free(sessions);
        return tks_fail_memory(err);
    }
    for (size_t i = 0; i < o.key_count; i++) keys[i] = tks_key_ref(o.keys[i]);
    sessions->keys = keys;
    sessions->key_count = o.key_count;
    sessions->algorithm = o.algorithm;
    sessions->max_sessions = o.max_sessions;
    sessions->node_writers = o.node_writers;
    sessions->max_data_size = o.max_data_size;
    sessions->max_size = o.max_size;
    sessions->durability = o.durability;
    sessions->memory = memory;
    *out = sessions;
    return TKS_OK;
}

void tks_jwt_sessions_free(tks_jwt_sessions *sessions) {
    if (sessions == NULL) return;
    for (size_t i = 0; i < sessions->key_count; i++) tks_key_free(sessions->keys[i]);
    free(sessions->keys);
    tksp_rjwt_memory_free(sessions->memory);
    free(sessions);
}

size_t tks_jwt_sessions_get_max_data_size(const tks_jwt_sessions *sessions) {
    return sessions->max_data_size;
}

/* ---- names ---- */

tks_status tksp_rjwt_check_id(tks_bytes id, tks_error *err) {
    tks_status status = tksp_check_name(id, "id", err);
    if (status == TKS_OK && memchr(id.data, ':', id.size) != NULL) {
        status =
            tks_fail(err, TKS_ERR_DATA,
                     "id contains a ':', the separator in session keys: use another character");
    }
    return status;
}

static bool is_alphanumeric(char c) {
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

bool tksp_rjwt_split(tks_bytes key, tks_bytes *id) {
    if (key.size < TKS_RJWT_SUFFIX + 2) return false;
    *id = tks_bytes_of(key.data, key.size - TKS_RJWT_SUFFIX - 1);
    if (key.data[id->size] != ':') return false;
    for (size_t i = id->size + 1; i < key.size; i++) {
        if (!is_alphanumeric(key.data[i])) return false;
    }
    return tksp_rjwt_check_id(*id, NULL) == TKS_OK;
}

/* ---- words ---- */

tks_bytes tksp_rjwt_index(tksp_arena *arena, tks_bytes id) {
    size_t head = sizeof index_prefix - 1;
    char *key = tksp_arena_alloc(arena, head + id.size);
    if (key == NULL) return tks_bytes_of(NULL, 0);
    memcpy(key, index_prefix, head);
    if (id.size > 0) memcpy(key + head, id.data, id.size);
    return tks_bytes_of(key, head + id.size);
}

tks_status tksp_rjwt_send(tksp_rjwt_op *self, size_t count, const tks_bytes *words) {
    tks_bytes *copy = tksp_arena_alloc(&self->op.arena, count * sizeof *copy);
    if (copy == NULL) return TKS_ERR_MEMORY;
    memcpy(copy, words, count * sizeof *copy);
    return tksp_op_add(&self->op, NULL, copy, count, self->index);
}

tks_status tksp_rjwt_send_script(tksp_rjwt_op *self, const tksp_script *script, size_t key_count,
                                 const tks_bytes *keys, size_t arg_count, const tks_bytes *args) {
    size_t all = key_count + self->found_count, at = 0;
    tks_bytes *words = tksp_arena_alloc(&self->op.arena, (1 + all + arg_count) * sizeof *words);
    if (words == NULL) return TKS_ERR_MEMORY;
    words[at++] = tksp_arena_int(&self->op.arena, (int64_t)all);
    for (size_t i = 0; i < key_count; i++) words[at++] = keys[i];
    for (size_t i = 0; i < self->found_count; i++) words[at++] = self->found[i];
    for (size_t i = 0; i < arg_count; i++) words[at++] = args[i];
    if (self->op.arena.status != TKS_OK) return TKS_ERR_MEMORY;
    return tksp_op_add(&self->op, script, words, at, self->index);
}

tks_status tksp_rjwt_declare(tksp_rjwt_op *self, bool *again) {
    return tksp_declare(&self->op, self->subject, self->safety, &self->asked, again);
}

/* ---- the operation ---- */

static tks_status finish(tks_op *op, int64_t now_ms) {
    tksp_rjwt_op *self = (tksp_rjwt_op *)op;
    return self->looking != TKSP_RJWT_FOUND ? tksp_rjwt_take_look(self, now_ms) : self->take(self);
}

static void clear(tks_op *op) {
    tksp_rjwt_op *self = (tksp_rjwt_op *)op;
    for (size_t i = 0; i < self->size; i++) tks_json_free(self->records[i]);
    tks_json_free(self->claims);
    tks_json_free(self->record);
    tksp_near_release(self->near);
    tksp_rjwt_memory_free(self->memory);
}

/* The user's session is there, however the index is left. */
static bool spare(tks_op *op, const char *why) {
    (void)why;
    return ((tksp_rjwt_op *)op)->cleaning;
}

static void name(const tks_op *op, tksp_audit_names *out) {
    *out = (tksp_audit_names){.prefix = TKS_LITERAL("rjwt-sessions"),
                              .type = TKS_LITERAL("jwt"),
                              .owner = ((const tksp_rjwt_op *)op)->id,
                              .sessions = true};
}

static const tksp_audit_kind audit_kind = {.name = name};

const tksp_op_kind tksp_rjwt_kind = {.find = tksp_rjwt_find_verified,
                                     .audit = &audit_kind,
                                     .finish = finish,
                                     .spare = spare,
                                     .clear = clear,
                                     .cluster_advice = tksp_rjwt_cluster_advice};

tks_status tksp_rjwt_op_new(tks_safety safety, tks_bytes id, tks_bytes key, tksp_rjwt_op **out,
                            tks_error *err) {
    tksp_rjwt_op *self = (tksp_rjwt_op *)tksp_op_new(sizeof *self, &tksp_rjwt_kind, safety);
    *out = NULL;
    if (self == NULL) return tks_fail_memory(err);
    tksp_arena *arena = &self->op.arena;
    self->id = tksp_arena_dup(arena, id);
    self->key = tksp_arena_dup(arena, key);
    self->subject = key.size > 0 ? self->key : self->id;
    self->index = tksp_rjwt_index(arena, id);
    if (arena->status != TKS_OK) {
        tks_op_free(&self->op);
        return tks_fail_memory(err);
    }
    *out = self;
    return TKS_OK;
}

tks_status tksp_rjwt_op_ready(tksp_rjwt_op *self, tksp_rjwt_look look, tks_op **out,
                              tks_error *err) {
    tks_status status = tksp_rjwt_send_look(self, look);
    if (status == TKS_OK) status = self->op.arena.status;
    if (status != TKS_OK) {
        tks_op_free(&self->op);
        return status == TKS_ERR_MEMORY ? tks_fail_memory(err) : status;
    }
    *out = &self->op;
    return TKS_OK;
}

/* ---- a session's record ---- */

tks_status tksp_rjwt_send_record(tksp_rjwt_op *self) {
    const tks_bytes get[] = {TKS_LITERAL("GET"), self->key};
    const tks_bytes ttl[] = {TKS_LITERAL("TTL"), self->key};
    tks_status status = tksp_rjwt_send(self, 2, get);
    if (status == TKS_OK) self->op.commands[0].any_type = true;
    return status == TKS_OK ? tksp_rjwt_send(self, 2, ttl) : status;
}

tks_status tksp_rjwt_take_record(tksp_rjwt_op *self, bool *found, tks_bytes *text) {
    const tks_reply *record = self->op.commands[0].reply, *ttl = self->op.commands[1].reply;
    *text = tks_bytes_of(NULL, 0);
    *found = false;
    if (tks_reply_get_type(ttl) != TKS_REPLY_INTEGER) return tksp_op_fail_foreign(&self->op);
    self->ttl_left = tks_reply_get_integer(ttl);
    if (tksp_op_found_nothing(&self->op, 0) || self->ttl_left == -2) return TKS_OK;
    if (tks_reply_get_type(record) != TKS_REPLY_STRING) return tksp_op_fail_foreign(&self->op);
    *text = tks_reply_get_bytes(record); /* the operation keeps the reply */
    *found = true;
    return TKS_OK;
}

static bool is_text(const tks_json *node, tks_bytes text) {
    return node != NULL && tks_json_get_type(node) == TKS_JSON_STRING &&
           tks_bytes_equal(tks_json_get_string(node), text);
}

/* True if the record begins as both packages write it, `{"rjwt":"<key>"`. A key with escapes never
 * matches. */
static bool begins_with_key(tks_bytes record, tks_bytes key) {
    static const char head[] = "{\"rjwt\":\"";
    const size_t size = sizeof head - 1;
    return record.size > size + key.size && memcmp(record.data, head, size) == 0 &&
           memcmp(record.data + size, key.data, key.size) == 0 &&
           record.data[size + key.size] == '"';
}

/* Like tksp_rjwt_read_record, without a tree: once the name matches, the rest need only be valid
 * JSON. */
static tks_status check_record(tks_bytes key, tks_bytes text, bool *known, tks_error *why) {
    const size_t size = sizeof "{\"rjwt\":\"\"}" - 1 + key.size;
    *known = begins_with_key(text, key);
    if (!*known || (text.size == size && text.data[size - 1] == '}')) return TKS_OK;
    tks_json *tree;
    tks_status status = tks_json_read_foreign(text, &tree, why);
    tks_json_free(tree);
    return status;
}

tks_status tksp_rjwt_read_record(tks_bytes key, tks_bytes text, tks_json **out, tks_error *err) {
    tks_error why = TKS_ERROR_INIT;
    tks_json *record = NULL;
    bool is_ours = false;
    tks_status status = out == NULL ? check_record(key, text, &is_ours, &why) : TKS_OK;
    if (status == TKS_OK && !is_ours) {
        status = tks_json_read_foreign(text, &record, &why);
        is_ours = status == TKS_OK && tks_json_get_type(record) == TKS_JSON_OBJECT &&
                  is_text(tks_json_find(record, "rjwt"), key);
    }
    if (status == TKS_OK && is_ours && out != NULL) {
        *out = record;
        return TKS_OK;
    }
    tks_json_free(record);
    if (status == TKS_OK && is_ours) return TKS_OK;
    if (status == TKS_ERR_MEMORY) return tks_fail_memory(err);
    return tks_fail(
        err, TKS_ERR_DATA,
        "the value at the session's key is not this session: does another program write there?");
}

/* ---- answers ---- */

const tks_reply *tksp_rjwt_checked_reply(tksp_rjwt_op *self, tks_status *status) {
    const tks_reply *reply = self->op.commands[0].reply;
    const tks_reply *echo =
        tks_reply_get_type(reply) == TKS_REPLY_ARRAY ? tks_reply_get_item(reply, 0) : NULL;
    *status = TKS_OK;
    if (echo != NULL && tks_reply_get_type(echo) == TKS_REPLY_STRING &&
        tks_bytes_equal(tks_reply_get_bytes(echo), self->subject)) {
        return reply;
    }
    *status = tksp_op_fail_foreign(&self->op);
    return NULL;
}

int64_t tksp_rjwt_integer(const tks_reply *reply, size_t i, int64_t otherwise) {
    const tks_reply *item = tks_reply_get_item(reply, i);
    if (item == NULL || tks_reply_get_type(item) != TKS_REPLY_INTEGER) return otherwise;
    return tks_reply_get_integer(item);
}
