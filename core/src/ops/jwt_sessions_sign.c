/* jwt_sessions_sign.c - sign and put: one script creates a session and ends the excess ones. */
#include "jwt_sessions_private.h"

enum { RECORD_OVERHEAD_MAX = 16 * 1024 }; /* an id of 1024 bytes, each escaped, and the names */

static tks_status send_sign(tksp_rjwt_op *self) {
    bool is_put = self->token.size == 0; /* the caller chose the suffix */
    const tks_bytes keys[] = {self->key, self->index};
    const tks_bytes args[] = {self->value, self->ttl, self->max,
                              is_put ? TKS_LITERAL("1") : TKS_LITERAL("0")};
    /* Optional words are left out, because each one costs time. */
    return tksp_rjwt_send_script(self, &tksp_script_rjwt_sign, 2, keys,
                                 is_put         ? 4
                                 : self->capped ? 3
                                                : 2,
                                 args);
}

/* Looks whether the sessions of the members in `reply`, from the third item on, are still there. */
static tks_status send_clean(tksp_rjwt_op *self, const tks_reply *reply) {
    enum { FIRST = 2, STAMP = 16 };
    tksp_arena *arena = &self->op.arena;
    size_t count = tks_reply_get_size(reply) - FIRST;
    tks_bytes *words = tksp_arena_alloc(arena, (2 + 2 * count) * sizeof *words);
    if (words == NULL) return TKS_ERR_MEMORY;
    words[0] = tksp_arena_int(arena, (int64_t)count + 1);
    words[1] = self->index;
    for (size_t i = 0; i < count; i++) {
        tks_bytes member = tks_reply_get_bytes(tks_reply_get_item(reply, FIRST + i));
        size_t stamp = member.size < STAMP ? member.size : STAMP;
        size_t size = self->id.size + 1 + member.size - stamp;
        char *session = tksp_arena_alloc(arena, size);
        if (session == NULL) return TKS_ERR_MEMORY;
        memcpy(session, self->id.data, self->id.size);
        session[self->id.size] = ':';
        memcpy(session + self->id.size + 1, member.data + stamp, member.size - stamp);
        words[2 + i] = tks_bytes_of(session, size);
        words[2 + count + i] = tksp_arena_dup(arena, member);
    }
    tksp_op_clear_commands(&self->op);
    if (arena->status != TKS_OK) return TKS_ERR_MEMORY;
    self->cleaning = true;
    return tksp_op_add(&self->op, &tksp_script_rjwt_clean, words, 2 + 2 * count, self->index);
}

/* Whatever it did, the session is there. */
static tks_status take_clean(tksp_rjwt_op *self) {
    const tks_reply *reply = self->op.commands[0].reply;
    if (tks_reply_get_type(reply) != TKS_REPLY_STRING ||
        !tks_bytes_equal(tks_reply_get_bytes(reply), self->index)) {
        self->op.trust = TKS_TRUST_CLOSE; /* the reply to another request */
    }
    return TKS_OK;
}

/* The reply names members of the index. */
static bool has_members(tksp_rjwt_op *self, const tks_reply *reply) {
    bool are_texts = tks_reply_get_size(reply) > 2 && tksp_rjwt_integer(reply, 1, 0) == 1 &&
                     tks_bytes_equal(tks_reply_get_bytes(tks_reply_get_item(reply, 0)), self->key);
    for (size_t i = 2; are_texts && i < tks_reply_get_size(reply); i++) {
        are_texts = tks_reply_get_type(tks_reply_get_item(reply, i)) == TKS_REPLY_STRING;
    }
    return are_texts;
}

static tks_status take_sign(tksp_rjwt_op *self) {
    bool again;
    if (self->cleaning) return take_clean(self);
    tks_status status = tksp_rjwt_declare(self, &again);
    if (status != TKS_OK || again) return status;
    const tks_reply *reply = self->op.commands[0].reply;
    self->op.refused = tks_reply_get_type(reply) == TKS_REPLY_NIL;
    if (self->op.refused) {
        return tksp_op_fail(
            &self->op, TKS_ERR_DATA,
            "the value at the session's key was written by another program: nothing was changed");
    }
    bool listed = tks_reply_get_type(reply) == TKS_REPLY_ARRAY && has_members(self, reply);
    if (!listed && (tks_reply_get_type(reply) != TKS_REPLY_STRING ||
                    !tks_bytes_equal(tks_reply_get_bytes(reply), self->key))) {
        return tksp_op_fail_foreign(&self->op);
    }
    if (self->token.size > 0) {
        self->op.result.type = TKS_RESULT_TEXT;
        self->op.result.text = self->token;
    } else {
        self->op.result.type = TKS_RESULT_BOOL;
        self->op.result.integer = 1;
    }
    return listed ? send_clean(self, reply) : TKS_OK;
}

/* Creates the operation for the session `key` of the user `id`. Empty token: put. */
static tks_status make(const tks_jwt_sessions *sessions, tks_bytes id, tks_bytes key,
                       tks_bytes value, tks_bytes token, int64_t ttl_ms, tks_op **out,
                       tks_error *err) {
    tksp_rjwt_op *self;
    tks_status status = ttl_ms != 0 ? tksp_check_duration(ttl_ms, "ttl", err) : TKS_OK;
    if (status == TKS_OK) status = tksp_rjwt_op_new(TKS_IDEMPOTENT, id, key, &self, err);
    if (status != TKS_OK) return status;
    self->op.durability = sessions->durability;
    self->send = send_sign;
    self->take = take_sign;
    self->token = tksp_arena_dup(&self->op.arena, token);
    self->value = tksp_arena_dup(&self->op.arena, value);
    self->ttl = tksp_arena_int(&self->op.arena, ttl_ms);
    self->capped = sessions->max_sessions > 0;
    self->max = tksp_arena_int(&self->op.arena, sessions->max_sessions);
    self->memory = tksp_rjwt_memory_ref(sessions->memory);
    tksp_rjwt_look look = sessions->node_writers ? TKSP_RJWT_SCAN : TKSP_RJWT_RECALL;
    return tksp_rjwt_op_ready(self, self->capped ? look : TKSP_RJWT_FOUND, out, err);
}

/* {"rjwt":"<key>" */
static tks_status begin_object(tks_buf *out, tks_bytes key, tks_error *err) {
    tks_json_writer w;
    tks_buf_append_bytes(out, TKS_LITERAL("{\"rjwt\":"));
    tks_json_writer_init(&w, out, SIZE_MAX, "id", err);
    return tks_json_write_string(&w, key);
}

static void add_member(tks_buf *out, const char *name, tks_bytes value) {
    if (value.size == 0) return;
    tks_buf_append(out, ",\"", 2);
    tks_buf_append(out, name, strlen(name));
    tks_buf_append(out, "\":", 2);
    tks_buf_append_bytes(out, value);
}

static tks_status write_token(const tks_jwt_sessions *sessions, const tks_jwt_session_new *new,
                              tks_bytes key, tks_buf *out, tks_error *err) {
    tks_buf claims;
    tks_buf_init(&claims, RECORD_OVERHEAD_MAX + new->data_token.size);
    tks_status status = begin_object(&claims, key, err);
    if (status == TKS_OK) {
        add_member(&claims, "dataToken", new->data_token);
        tks_buf_append_bytes(&claims, TKS_LITERAL(",\"iat\":"));
        tks_buf_append_int(&claims, (int64_t) new->now);
        status = tks_buf_append_char(&claims, '}');
        if (status != TKS_OK) (void)tks_fail_memory(err);
    }
    if (status == TKS_OK) {
        status = tks_jwt_encode(tks_buf_bytes(&claims), sessions->keys[0], sessions->algorithm,
                                tks_bytes_of(NULL, 0), sessions->max_size, out, err);
    }
    tks_buf_wipe(&claims);
    return status;
}

tks_status tks_jwt_sessions_sign(const tks_jwt_sessions *sessions, const tks_jwt_session_new *new,
                                 tks_op **out, tks_error *err) {
    char rjwt[TKS_NAME_MAX + 1 + TKS_RJWT_SUFFIX];
    tks_buf token, value;
    *out = NULL;
    tks_status status = tksp_rjwt_check_id(new->id, err);
    if (status == TKS_OK && new->data_session.size > sessions->max_data_size) {
        status = tks_fail(err, TKS_ERR_DATA, "data_session: %zu bytes, over the limit of %zu",
                          new->data_session.size, sessions->max_data_size);
    }
    if (status != TKS_OK) return status;
    memcpy(rjwt, new->id.data, new->id.size);
    rjwt[new->id.size] = ':';
    tks_random_letters(rjwt + new->id.size + 1, TKS_RJWT_SUFFIX);
    tks_bytes key = tks_bytes_of(rjwt, new->id.size + 1 + TKS_RJWT_SUFFIX);

    tks_buf_init(&token, TKS_JWT_SIZE_MAX);
    tks_buf_init(&value, RECORD_OVERHEAD_MAX + new->data_session.size);
    status = begin_object(&value, key, err);
    if (status == TKS_OK) {
        add_member(&value, "dataSession", new->data_session);
        status = tks_buf_append_char(&value, '}');
        if (status != TKS_OK) (void)tks_fail_memory(err);
    }
    if (status == TKS_OK) status = write_token(sessions, new, key, &token, err);
    if (status == TKS_OK) {
        status = make(sessions, new->id, key, tks_buf_bytes(&value), tks_buf_bytes(&token),
                      new->ttl_ms, out, err);
    }
    tks_buf_wipe(&token);
    tks_buf_wipe(&value);
    return status;
}

tks_status tks_jwt_sessions_put(const tks_jwt_sessions *sessions, tks_bytes rjwt, tks_bytes value,
                                int64_t ttl_ms, tks_op **out, tks_error *err) {
    tks_error why = TKS_ERROR_INIT;
    tks_bytes id;
    *out = NULL;
    if (!tksp_rjwt_split(rjwt, &id)) {
        return tks_fail(err, TKS_ERR_DATA,
                        "key is not a session key: it must be an id, ':' and 11 letters or digits");
    }
    if (value.size > sessions->max_data_size) {
        return tks_fail(err, TKS_ERR_DATA, "value: %zu bytes, over the limit of %zu", value.size,
                        sessions->max_data_size);
    }
    tks_status status = tksp_rjwt_read_record(rjwt, value, NULL, &why);
    if (status == TKS_ERR_MEMORY) return tks_fail_memory(err);
    if (status != TKS_OK) {
        return tks_fail(
            err, TKS_ERR_DATA,
            "value is not a session: it must be a JSON object whose \"rjwt\" is the key");
    }
    return make(sessions, id, rjwt, value, tks_bytes_of(NULL, 0), ttl_ms, out, err);
}
