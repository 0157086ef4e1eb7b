/* jwt_sessions_verify.c - verify: the signature here, the session in Redis, in one round trip. */
#include "jwt_sessions_private.h"

static tks_status send_verify(tksp_rjwt_op *self) {
    const tks_bytes get[] = {TKS_LITERAL("GET"), self->key};
    const tks_bytes ttl[] = {TKS_LITERAL("TTL"), self->key};
    tks_status status = tksp_rjwt_send(self, NULL, 2, get);
    return status == TKS_OK ? tksp_rjwt_send(self, NULL, 2, ttl) : status;
}

static tks_status fail_ended(tks_error *err) {
    return tks_fail(err, TKS_ERR_INVALID_TOKEN, "the session has ended");
}

static tks_status fail_no_session(tks_error *err) {
    return tks_fail(err, TKS_ERR_DATA,
                    "what is stored under the session's key is not this session: does another "
                    "program write there?");
}

/* The object that the Node package gives: claims, id, ttl, dataSession. */
static tks_status write_result(const tksp_rjwt_op *self, const tks_json *data, int64_t ttl,
                               tks_buf *out, tks_error *err) {
    tks_json_writer w;
    const tks_json *claim = tks_json_get_child(self->jwt.claims);
    tks_json_writer_init(&w, out, SIZE_MAX, "the token", err);
    tks_status status = tks_json_begin_object(&w);
    for (; claim != NULL && status == TKS_OK; claim = tks_json_get_next(claim)) {
        tks_bytes name = tks_json_get_name(claim);
        if (tks_bytes_equal(name, TKS_LITERAL("id")) || tks_bytes_equal(name, TKS_LITERAL("ttl")) ||
            tks_bytes_equal(name, TKS_LITERAL("dataSession")))
            continue; /* what Redis knows counts */
        status = tks_json_write_name(&w, name);
        if (status == TKS_OK) status = tks_json_write_tree(&w, claim);
    }
    if (status == TKS_OK) status = tks_json_write_name(&w, TKS_LITERAL("id"));
    if (status == TKS_OK) status = tks_json_write_string(&w, self->id);
    if (status == TKS_OK) status = tks_json_write_name(&w, TKS_LITERAL("ttl"));
    if (status == TKS_OK) status = tks_json_write_integer(&w, ttl);
    if (status != TKS_OK) return status;
    if (data != NULL) {
        tks_buf_append_bytes(out, TKS_LITERAL(",\"dataSession\":"));
        tks_json_writer_init(&w, out, SIZE_MAX, "dataSession", err);
        status = tks_json_write_tree(&w, data);
        if (status != TKS_OK) return status;
    }
    return tks_buf_append_char(out, '}') == TKS_OK ? TKS_OK : tks_fail_memory(err);
}

static bool is_text(const tks_json *node, tks_bytes text) {
    return node != NULL && tks_json_get_type(node) == TKS_JSON_STRING &&
           tks_bytes_equal(tks_json_get_string(node), text);
}

static tks_status take_verify(tksp_rjwt_op *self) {
    tks_error *err = &self->op.error;
    const tks_reply *value = self->op.commands[0].reply, *ttl = self->op.commands[1].reply;
    tks_error why = TKS_ERROR_INIT;
    tks_json *session = NULL;
    tks_buf text;
    if (tks_reply_get_type(ttl) != TKS_REPLY_INTEGER) return tksp_op_fail_foreign(&self->op);
    if (tks_reply_get_type(value) == TKS_REPLY_NIL || tks_reply_get_integer(ttl) == -2)
        return fail_ended(err);
    if (tks_reply_get_type(value) != TKS_REPLY_STRING) return tksp_op_fail_foreign(&self->op);
    tks_status status =
        tks_json_parse_envelope(tks_reply_get_bytes(value), SIZE_MAX, &session, &why);
    if (status == TKS_ERR_MEMORY) return tks_fail_memory(err);
    if (status != TKS_OK || tks_json_get_type(session) != TKS_JSON_OBJECT ||
        !is_text(tks_json_find(session, "rjwt"), self->key)) {
        tks_json_free(session);
        return fail_no_session(err);
    }
    const tks_json *data = self->value_session ? tks_json_find(session, "dataSession") : NULL;
    tks_buf_init(&text, SIZE_MAX);
    status = write_result(self, data, tks_reply_get_integer(ttl), &text, err);
    if (status == TKS_OK) status = tksp_rjwt_add_value(self, &text);
    tks_buf_wipe(&text);
    tks_json_free(session);
    self->op.result.type = TKS_RESULT_JSON;
    self->op.result.values = self->values;
    return status;
}

tks_status tks_jwt_sessions_verify(const tks_jwt_sessions *sessions, tks_bytes token,
                                   bool value_session, double now, tks_op **out, tks_error *err) {
    static const tks_bytes required[] = {{"rjwt", 4}};
    const tks_jwt_policy policy = {.algorithms = TKS_JWT_BIT(sessions->algorithm),
                                   .required = required,
                                   .required_count = 1,
                                   .now = now};
    tks_jwt jwt = {NULL, NULL};
    tksp_rjwt_op *self;
    tks_bytes key, id;
    *out = NULL;
    tks_status status =
        tks_jwt_decode(token, sessions->keys, sessions->key_count, &policy, &jwt, err);
    if (status != TKS_OK) return status;
    const tks_json *rjwt = tks_json_find(jwt.claims, "rjwt");
    if (tks_json_get_type(rjwt) == TKS_JSON_STRING)
        key = tks_json_get_string(rjwt);
    else
        key = tks_bytes_of(NULL, 0);
    if (!tksp_rjwt_split(key, &id)) {
        tks_jwt_clear(&jwt);
        return tks_fail(err, TKS_ERR_INVALID_TOKEN, "the token names no session");
    }
    status = tksp_rjwt_op_new(TKS_READ, id, key, &self, err);
    if (status != TKS_OK) {
        tks_jwt_clear(&jwt);
        return status;
    }
    self->jwt = jwt;
    self->value_session = value_session;
    self->send = send_verify;
    self->take = take_verify;
    return tksp_rjwt_op_ready(self, false, out, err);
}
