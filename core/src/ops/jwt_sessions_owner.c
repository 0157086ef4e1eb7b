/* jwt_sessions_owner.c - all sessions of a user: list, count, get_values, destroy_all. */
#include "jwt_sessions_private.h"

enum { FIELDS = 3 }; /* per session in the script's reply: key, value, ttl */

/* A server that evicts keys may have evicted the index, which a later login then recreated. */
static tksp_rjwt_look how_to_look(const tks_jwt_sessions *sessions) {
    return sessions->node_writers ? TKSP_RJWT_SCAN : TKSP_RJWT_ASK;
}

/* ---- list, count, get_values ---- */

static tks_status send_list(tksp_rjwt_op *self) {
    return tksp_rjwt_send_script(self, &tksp_script_rjwt_list, 1, &self->index, 1, &self->id);
}

/* An unreadable record is listed as a session without data, so that it can be ended. */
static tks_status take_sessions(tksp_rjwt_op *self, const tks_reply *reply, size_t count) {
    self->sessions = tksp_arena_alloc(&self->op.arena, (count + 1) * sizeof *self->sessions);
    self->records = tksp_arena_alloc(&self->op.arena, (count + 1) * sizeof *self->records);
    if (self->op.arena.status != TKS_OK) return TKS_ERR_MEMORY;
    for (size_t i = 0; i < count; i++) {
        tks_bytes value = tks_reply_get_bytes(tks_reply_get_item(reply, FIELDS * i + 2));
        tks_json *record;
        if (tks_json_read_foreign(value, &record, NULL) == TKS_ERR_MEMORY) return TKS_ERR_MEMORY;
        self->records[self->size++] = record;
        self->sessions[i] =
            (tks_session){.rjwt = tks_reply_get_bytes(tks_reply_get_item(reply, FIELDS * i + 1)),
                          .id = self->id,
                          .iat = -1,
                          .ttl = tksp_rjwt_integer(reply, FIELDS * i + 3, -1),
                          .data = record != NULL ? tks_json_find(record, "dataSession") : NULL};
    }
    self->op.result.sessions = self->sessions;
    return TKS_OK;
}

static tks_status take_texts(tksp_rjwt_op *self, const tks_reply *reply, size_t count) {
    tks_bytes *texts = tksp_arena_alloc(&self->op.arena, (count + 1) * sizeof *texts);
    if (texts == NULL) return TKS_ERR_MEMORY;
    for (size_t i = 0; i < count; i++) {
        texts[i] = tks_reply_get_bytes(tks_reply_get_item(reply, FIELDS * i + 2));
    }
    self->op.result.texts = texts; /* the operation keeps the reply */
    return TKS_OK;
}

static tks_status take_list(tksp_rjwt_op *self) {
    bool again;
    tks_status status = tksp_rjwt_declare(self, &again);
    if (status != TKS_OK || again) return status;
    const tks_reply *reply = tksp_rjwt_checked_reply(self, &status);
    if (reply == NULL) return status;
    size_t count = (tks_reply_get_size(reply) - 1) / FIELDS;
    for (size_t i = 0; i < count; i++) {
        const tks_reply *key = tks_reply_get_item(reply, FIELDS * i + 1);
        const tks_reply *value = tks_reply_get_item(reply, FIELDS * i + 2);
        if (value == NULL || tks_reply_get_type(key) != TKS_REPLY_STRING ||
            tks_reply_get_type(value) != TKS_REPLY_STRING) {
            return tksp_op_fail_foreign(&self->op);
        }
    }
    self->op.result.type = self->wanted;
    self->op.result.size = count;
    switch (self->wanted) {
    case TKS_RESULT_SESSIONS: return take_sessions(self, reply, count);
    case TKS_RESULT_TEXTS: return take_texts(self, reply, count);
    default: self->op.result.integer = (int64_t)count; return TKS_OK;
    }
}

static tks_status make_list(const tks_jwt_sessions *sessions, tks_bytes id, tks_result_type wanted,
                            tks_op **out, tks_error *err) {
    tksp_rjwt_op *self;
    *out = NULL;
    tks_status status = tksp_rjwt_check_id(id, err);
    if (status == TKS_OK) {
        status = tksp_rjwt_op_new(TKS_READ, id, tks_bytes_of(NULL, 0), &self, err);
    }
    if (status != TKS_OK) return status;
    self->send = send_list;
    self->take = take_list;
    self->wanted = wanted;
    return tksp_rjwt_op_ready(self, how_to_look(sessions), out, err);
}

tks_status tks_jwt_sessions_list(const tks_jwt_sessions *sessions, tks_bytes id, tks_op **out,
                                 tks_error *err) {
    return make_list(sessions, id, TKS_RESULT_SESSIONS, out, err);
}

tks_status tks_jwt_sessions_count(const tks_jwt_sessions *sessions, tks_bytes id, tks_op **out,
                                  tks_error *err) {
    return make_list(sessions, id, TKS_RESULT_COUNT, out, err);
}

tks_status tks_jwt_sessions_get_values(const tks_jwt_sessions *sessions, tks_bytes id, tks_op **out,
                                       tks_error *err) {
    return make_list(sessions, id, TKS_RESULT_TEXTS, out, err);
}

/* ---- destroy_all ---- */

/* With the index alone, the script only reads. */
static tks_status send_destroy_all(tksp_rjwt_op *self) {
    if (self->found_count == 0) self->op.safety = TKS_READ;
    return tksp_rjwt_send_script(self, &tksp_script_rjwt_destroy_all, 1, &self->index, 1,
                                 &self->id);
}

static tks_status take_destroy_all(tksp_rjwt_op *self) {
    bool again;
    tks_status status = tksp_rjwt_declare(self, &again);
    if (status != TKS_OK || again) return status;
    const tks_reply *reply = tksp_rjwt_checked_reply(self, &status);
    if (reply == NULL) return status;
    self->op.result.type = TKS_RESULT_COUNT;
    self->op.result.integer = tksp_rjwt_integer(reply, 1, 0);
    return TKS_OK;
}

tks_status tks_jwt_sessions_destroy_all(const tks_jwt_sessions *sessions, tks_bytes id,
                                        tks_op **out, tks_error *err) {
    tksp_rjwt_op *self;
    *out = NULL;
    tks_status status = tksp_rjwt_check_id(id, err);
    if (status == TKS_OK) {
        status = tksp_rjwt_op_new(TKS_ONCE, id, tks_bytes_of(NULL, 0), &self, err);
    }
    if (status != TKS_OK) return status;
    self->op.durability = sessions->durability;
    self->send = send_destroy_all;
    self->take = take_destroy_all;
    return tksp_rjwt_op_ready(self, how_to_look(sessions), out, err);
}
